"""The internal API: what workers ask of the server. Its messages are `worker_api.messages`; it is no part of the contract.

Rules: every request names the protocol; a message that is not of it is refused whole; PostgreSQL's text and jsonb hold no
U+0000, and what was said on the phone must not get stuck for one, so it is dropped from whatever a worker sends.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from bolti_server.base.errors import Refusal
from bolti_server.calls import (
    answering,
    claiming,
    commands,
    leases,
    recordings,
    spec,
    tool_calls,
    transfer_intent,
)
from bolti_server.calls.dial_intent import commit_intent
from bolti_server.calls.following import follow
from bolti_server.calls.long_polls import connection_of
from bolti_server.web.responses import json_response
from bolti_server.worker_api.messages import (
    PROTOCOL_HEADER,
    PROTOCOL_VERSION,
    ClaimRequest,
    DialIntent,
    InboundCall,
    Reports,
    ToolRequest,
    TransferIntent,
)
from bolti_server.world import World

REPORTS_LIMIT_BYTES = 16 * 1024 * 1024  # what a spool of an hour without a server may hold
_LARGEST = 2**31 - 1
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

T = TypeVar("T", bound=msgspec.Struct)
Fenced = TypeVar("Fenced", DialIntent, TransferIntent, Reports, ToolRequest)


@post("/internal/claim", status_code=200)
async def claim(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[bytes]:
    leases.check_worker_token(world.settings.worker_token, _token(request))
    message = await _message(request, ClaimRequest)
    if not message.worker_id or len(message.worker_id) > 200 or len(message.name) > 200:
        raise Refusal(400, "validation_failed", "worker_id and name: At most 200 characters.")
    if not (0 <= message.capacity <= _LARGEST and 0 <= message.text_capacity <= _LARGEST):
        raise Refusal(400, "validation_failed", "capacity: Is a number of calls.")
    async with connection_of(request) as gone:
        return json_response(await claiming.claim(world, message, gone=gone))


@post("/internal/inbound", status_code=200)
async def post_inbound(
    request: Request[Any, Any, Any], world: NamedDependency[World]
) -> Response[bytes]:
    leases.check_worker_token(world.settings.worker_token, _token(request))
    call = await _message(request, InboundCall)
    names = (call.worker_id, call.room, call.sip_call_id, call.trunk_id)
    if not all(names) or max(map(len, (*names, call.from_number, call.to_number))) > 200:
        detail = (
            "worker_id, room, sip_call_id and trunk_id: Are needed, and at most 200 characters."
        )
        raise Refusal(400, "validation_failed", detail)
    return json_response(await answering.answer_inbound(world, call))


@get("/internal/conversations/{conversation_id:str}/spec")
async def get_spec(
    request: Request[Any, Any, Any], world: NamedDependency[World], conversation_id: FromPath[str]
) -> Response[bytes]:
    epoch = leases.epoch_of(world.vault, _token(request), conversation_id)
    return json_response(await spec.spec_of(world, conversation_id, epoch))


@post("/internal/conversations/{conversation_id:str}/dial-intent", status_code=200)
async def post_intent(
    request: Request[Any, Any, Any], world: NamedDependency[World], conversation_id: FromPath[str]
) -> Response[bytes]:
    intent = await _of_agent(request, world, conversation_id, DialIntent)
    return json_response(await commit_intent(world, conversation_id, intent))


@post("/internal/conversations/{conversation_id:str}/transfer-intent", status_code=200)
async def post_transfer_intent(
    request: Request[Any, Any, Any], world: NamedDependency[World], conversation_id: FromPath[str]
) -> Response[bytes]:
    intent = await _of_agent(request, world, conversation_id, TransferIntent)
    return json_response(await transfer_intent.permit(world, conversation_id, intent))


@post(
    "/internal/conversations/{conversation_id:str}/reports",
    status_code=200,
    request_max_body_size=REPORTS_LIMIT_BYTES,
)
async def post_reports(
    request: Request[Any, Any, Any], world: NamedDependency[World], conversation_id: FromPath[str]
) -> Response[bytes]:
    reports = await _of_agent(request, world, conversation_id, Reports)
    return json_response(await follow(world, conversation_id, reports))


@post("/internal/conversations/{conversation_id:str}/tools", status_code=200)
async def post_tool_call(
    request: Request[Any, Any, Any], world: NamedDependency[World], conversation_id: FromPath[str]
) -> Response[bytes]:
    message = await _of_agent(request, world, conversation_id, ToolRequest)
    async with connection_of(request) as gone:
        return json_response(await tool_calls.call_once(world, conversation_id, message, gone=gone))


@get("/internal/conversations/{conversation_id:str}/commands")
async def poll(
    request: Request[Any, Any, Any], world: NamedDependency[World], conversation_id: FromPath[str]
) -> Response[bytes]:
    epoch = leases.epoch_of(world.vault, _token(request), conversation_id)
    leases.check_same(epoch, _number(request, "epoch"))
    after = _number(request, "after")
    async with connection_of(request) as gone:
        return json_response(
            await commands.poll_commands(world, conversation_id, epoch, after=after, gone=gone)
        )


@put(
    "/internal/conversations/{conversation_id:str}/recording",
    status_code=200,
    request_max_body_size=recordings.MOST_BYTES,
)
async def put_recording(
    request: Request[Any, Any, Any], world: NamedDependency[World], conversation_id: FromPath[str]
) -> Response[bytes]:
    epoch = leases.epoch_of(world.vault, _token(request), conversation_id)
    leases.check_same(epoch, _number(request, "epoch"))
    age_ms = _number(request, "age_ms") if "age_ms" in request.query_params else None
    stored = await recordings.store_recording(
        world, conversation_id, epoch, request.stream(), age_ms=age_ms
    )
    return json_response(stored)


ROUTES: list[HTTPRouteHandler] = [
    claim,
    post_inbound,
    get_spec,
    post_intent,
    post_transfer_intent,
    post_reports,
    post_tool_call,
    poll,
    put_recording,
]


def _token(request: Request[Any, Any, Any]) -> str:
    _check_protocol(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _check_protocol(request: Request[Any, Any, Any]) -> None:
    spoken = request.headers.get(PROTOCOL_HEADER.lower())
    if spoken != PROTOCOL_VERSION:
        raise Refusal(
            400,
            "protocol_mismatch",
            f"This server speaks {PROTOCOL_HEADER}: {PROTOCOL_VERSION}, the request says "
            f"{'nothing' if spoken is None else repr(spoken[:20])}. Run a worker of the same release.",
        )


async def _message(request: Request[Any, Any, Any], kind: type[T]) -> T:
    raw = await request.body()
    if b"\\u0000" in raw:
        raw = _NUL.sub(rb"\1", raw)
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, "validation_failed", f"Not a {kind.__name__}: {error}") from None


async def _of_agent(
    request: Request[Any, Any, Any], world: World, conversation_id: str, kind: type[Fenced]
) -> Fenced:
    """A message of the agent that has the call: it says the epoch that its token was minted for."""
    epoch = leases.epoch_of(world.vault, _token(request), conversation_id)
    message = await _message(request, kind)
    leases.check_same(epoch, message.epoch)
    return message


def _number(request: Request[Any, Any, Any], name: str) -> int:
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LARGEST):
        raise Refusal(400, "validation_failed", f"{name}: Is a number.")
    return int(text)
