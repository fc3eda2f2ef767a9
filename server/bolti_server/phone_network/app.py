"""The phone network's HTTP side: LiveKit's SIP service by Twirp, and beside it what callers, tests and the curious ask for.

Rule: all of it wants a token of the media server's key and secret, as LiveKit's services do (sip grant `call` to dial and
to transfer, which wants `roomAdmin` too, `admin` for the rest); only `GET /` and
`GET /health` are free, and tell what this is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
from google.protobuf.message import Message
from litestar import Litestar, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from livekit.protocol import sip

from bolti_server import __version__
from bolti_server.phone_network.beside import DESKS, Desk
from bolti_server.phone_network.dialing import create_participant
from bolti_server.phone_network.network import Network
from bolti_server.phone_network.tokens import Doorkeeper, Unreadable
from bolti_server.phone_network.transferring import transfer_participant
from bolti_server.phone_network.twirp import JSON, TwirpError, decode, encode
from bolti_server.simulated.voices import start_voices, stop_voices

MOST_BYTES = 1_000_000
WHAT = (
    "Bolti's phone network: callees of the simulated network in the rooms of a LiveKit server. It stands in for LiveKit's "
    "SIP service at /twirp/livekit.SIP/. Guide: docs/guides/phone-network.md"
)

AnyRequest = Request[Any, Any, Any]
Act = Callable[[Any], Message | Awaitable[Message]]


def build_app(network: Network, doorkeeper: Doorkeeper) -> Litestar:
    """`network.stop` runs when the app stops."""

    @get("/")
    async def about() -> Response[bytes]:
        told = {"what": WHAT, "version": __version__, "livekit_url": network.livekit.url}
        return Response(msgspec.json.encode(told), media_type=JSON)

    @get("/health")
    async def health() -> Response[bytes]:
        return Response(b'{"status":"ok"}', media_type=JSON)

    desks = [_desk(network, doorkeeper, *where, desk) for where, desk in DESKS.items()]
    return Litestar(
        [about, health, _sip_service(network, doorkeeper), *desks],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MOST_BYTES,
        on_startup=[start_voices],  # so that the first callee does not wait for its voice
        on_shutdown=[network.stop, stop_voices],
    )


def _sip_service(network: Network, doorkeeper: Doorkeeper) -> HTTPRouteHandler:
    methods = _methods_of(network)

    @post("/twirp/livekit.SIP/{method:str}", status_code=200)
    async def twirp(method: FromPath[str], request: AnyRequest) -> Response[bytes]:
        try:
            claims = doorkeeper.read(request.headers.get("Authorization"))
            if method not in methods:
                raise TwirpError("bad_route", f'no handler for path "{request.url.path}"')
            kind, act = methods[method]
            content_type = request.headers.get("Content-Type", "")
            message = decode(kind, content_type, await request.body())
            doorkeeper.check(claims, method, message)
            answer = act(message)
            if isinstance(answer, Awaitable):
                answer = await answer
            body, content_type = encode(answer, content_type)
        except Unreadable as reason:
            return Response(str(reason).encode(), media_type="text/plain", status_code=401)
        except TwirpError as error:
            return _refused(error)
        return Response(body, media_type=content_type)

    return twirp


def _methods_of(network: Network) -> dict[str, tuple[type[Message], Act]]:
    trunks = network.trunks
    return {
        "CreateSIPParticipant": (
            sip.CreateSIPParticipantRequest,
            lambda message: create_participant(network, message),
        ),
        "TransferSIPParticipant": (
            sip.TransferSIPParticipantRequest,
            lambda message: transfer_participant(network, message),
        ),
        "CreateSIPInboundTrunk": (sip.CreateSIPInboundTrunkRequest, trunks.create_trunk),
        "ListSIPInboundTrunk": (sip.ListSIPInboundTrunkRequest, trunks.list_trunks),
        "UpdateSIPInboundTrunk": (sip.UpdateSIPInboundTrunkRequest, trunks.update_trunk),
        "DeleteSIPTrunk": (sip.DeleteSIPTrunkRequest, trunks.delete_trunk),
        "CreateSIPDispatchRule": (sip.CreateSIPDispatchRuleRequest, trunks.create_rule),
        "ListSIPDispatchRule": (sip.ListSIPDispatchRuleRequest, trunks.list_rules),
        "UpdateSIPDispatchRule": (sip.UpdateSIPDispatchRuleRequest, trunks.update_rule),
        "DeleteSIPDispatchRule": (sip.DeleteSIPDispatchRuleRequest, trunks.delete_rule),
    }


def _desk(
    network: Network, doorkeeper: Doorkeeper, method: str, path: str, act: Desk
) -> HTTPRouteHandler:
    async def answer(request: AnyRequest) -> Response[bytes]:
        try:
            claims = doorkeeper.read(request.headers.get("Authorization"))
            doorkeeper.check(claims, path, None)
            told = await act(network, await request.body())
        except Unreadable as reason:
            return _refused(TwirpError("unauthenticated", str(reason)))
        except TwirpError as error:
            return _refused(error)
        except msgspec.MsgspecError as error:
            return _refused(TwirpError("invalid_argument", str(error)))
        return Response(msgspec.json.encode(told), media_type=JSON)

    handler = HTTPRouteHandler(path, http_method=cast(Any, method), status_code=200)
    return handler(answer)


def _refused(error: TwirpError) -> Response[bytes]:
    return Response(error.to_json(), media_type=JSON, status_code=error.http_status)
