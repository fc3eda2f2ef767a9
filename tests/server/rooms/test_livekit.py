"""LiveKit's server API as we use it: against a small server that speaks Twirp, checks tokens and misbehaves on command."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from google.protobuf.message import Message
from livekit import api

from bolti_server.rooms.livekit import LiveKitMedia
from bolti_server.rooms.media import (
    AGENT_NAME,
    BROWSER_IDENTITY,
    CALLEE_IDENTITY,
    ForgedCallback,
    InboundTrunk,
    MediaEvent,
    MediaRefused,
    MediaUnreachable,
)

KEY, SECRET = "key-of-the-tests", "secret-of-the-tests-0123456789abcdef"
REQUESTS: dict[str, tuple[type[Message], type[Message]]] = {
    "RoomService/CreateRoom": (api.CreateRoomRequest, api.Room),
    "RoomService/ListRooms": (api.ListRoomsRequest, api.ListRoomsResponse),
    "RoomService/DeleteRoom": (api.DeleteRoomRequest, api.DeleteRoomResponse),
    "RoomService/ListParticipants": (api.ListParticipantsRequest, api.ListParticipantsResponse),
    "AgentDispatchService/CreateDispatch": (api.CreateAgentDispatchRequest, api.AgentDispatch),
}
KINDS = api.ParticipantInfo.Kind
STATES = api.ParticipantInfo.State


@attrs.define
class TwirpServer:
    """Answers with `answers`, or with what a default message is; `refusal` is (status, body) of every answer."""

    asked: list[tuple[str, Any, api.VideoGrants]] = attrs.Factory(list)
    answers: dict[str, Message] = attrs.Factory(dict)
    refusal: tuple[int, str] | None = None
    is_silent: bool = False
    is_cutting: bool = False
    released: asyncio.Event = attrs.Factory(asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = api.TokenVerifier(KEY, SECRET).verify(token)
        kind, answer = REQUESTS[method]
        message = kind.FromString(await request.read())
        self.asked.append((method, message, claims.video or api.VideoGrants()))
        if self.is_silent:
            await self.released.wait()
        if self.is_cutting:
            assert request.transport is not None
            request.transport.close()
        if self.refusal is not None:
            status, body = self.refusal
            kind_of_body = "application/json" if body.startswith("{") else "text/html"
            return web.Response(status=status, text=body, content_type=kind_of_body)
        body = self.answers.get(method, answer()).SerializeToString()
        return web.Response(body=body, content_type="application/protobuf")

    @property
    def methods(self) -> list[str]:
        return [method.split("/")[1] for method, _, _ in self.asked]


@pytest.fixture
async def server() -> AsyncIterator[tuple[TwirpServer, str]]:
    made = TwirpServer()
    app = web.Application()
    app.router.add_post("/twirp/livekit.{method:.*}", made.handle)
    async with TestServer(app) as listening:
        yield made, str(listening.make_url("")).rstrip("/")
        made.released.set()


@pytest.fixture
def livekit(server: tuple[TwirpServer, str]) -> TwirpServer:
    return server[0]


@pytest.fixture
async def media(server: tuple[TwirpServer, str]) -> AsyncIterator[LiveKitMedia]:
    made = LiveKitMedia.open(server[1], sip_url=None, key=KEY, secret=SECRET, request_seconds=0.5)
    yield made
    await made.aclose()


def participant(identity: str, kind: Any, **more: Any) -> api.ParticipantInfo:
    return api.ParticipantInfo(identity=identity, kind=kind, state=STATES.ACTIVE, **more)


def inside(livekit: TwirpServer, *there: api.ParticipantInfo) -> None:
    livekit.answers["RoomService/ListRooms"] = api.ListRoomsResponse(rooms=[api.Room(name="r")])
    livekit.answers["RoomService/ListParticipants"] = api.ListParticipantsResponse(
        participants=there
    )


async def test_the_first_agent_comes_with_the_room_in_one_request(
    livekit: TwirpServer, media: LiveKitMedia
) -> None:
    await media.send_agent("conv_1", '{"epoch":1}', is_first=True)
    [(method, request, grants)] = livekit.asked
    assert method == "RoomService/CreateRoom"
    assert (request.name, request.empty_timeout > 0) == ("conv_1", True)
    assert [(each.agent_name, each.metadata) for each in request.agents] == [
        (AGENT_NAME, '{"epoch":1}')
    ]
    assert grants.room_create is True


async def test_a_later_agent_is_asked_for_after_the_room_is_made_sure_of(
    livekit: TwirpServer, media: LiveKitMedia
) -> None:
    await media.send_agent("conv_1", '{"epoch":2}')
    assert livekit.methods == ["CreateRoom", "CreateDispatch"]
    _, request, grants = livekit.asked[1]
    assert (request.agent_name, request.room, request.metadata) == (
        AGENT_NAME,
        "conv_1",
        '{"epoch":2}',
    )
    assert (grants.room_admin, grants.room) == (True, "conv_1")


async def test_a_look_sees_who_is_on_the_phone_and_how_many_agents_there_are(
    livekit: TwirpServer, media: LiveKitMedia
) -> None:
    attributes = {"sip.callStatus": "active", "sip.callID": "SCL_7"}
    inside(
        livekit,
        participant("agent", KINDS.AGENT),
        participant("sip_+1202", KINDS.SIP, attributes=attributes),
    )
    look = await media.look("r")
    assert (look.exists, look.agent_count) == (True, 1)
    assert look.other_side is not None
    assert (look.other_side.identity, look.other_side.kind) == ("sip_+1202", "sip")
    assert (look.other_side.call_status, look.other_side.sip_call_id) == ("active", "SCL_7")


async def test_of_several_the_callee_is_meant_and_a_browser_is_one_too(
    livekit: TwirpServer, media: LiveKitMedia
) -> None:
    inside(
        livekit,
        participant("transfer", KINDS.SIP, joined_at_ms=1),
        participant(CALLEE_IDENTITY, KINDS.SIP, joined_at_ms=2),
        participant("recorder", KINDS.EGRESS),
    )
    look = await media.look("r")
    assert look.other_side is not None
    assert look.other_side.identity == CALLEE_IDENTITY
    assert look.other_side.call_status == "unknown", "it says nothing"
    assert look.other_count == 2
    inside(livekit, participant("transfer", KINDS.SIP))
    assert (await media.look("r")).other_side is None, (
        "whom a transfer brought in is not the callee"
    )
    inside(livekit, participant(BROWSER_IDENTITY, KINDS.STANDARD))
    browser = (await media.look("r")).other_side
    assert browser is not None
    assert (browser.kind, browser.call_status) == ("browser", "active")


async def test_who_has_left_is_not_there_and_a_room_that_is_not_there_does_not_exist(
    livekit: TwirpServer, media: LiveKitMedia
) -> None:
    gone = participant(CALLEE_IDENTITY, KINDS.SIP)
    gone.state = STATES.DISCONNECTED
    inside(livekit, gone)
    look = await media.look("r")
    assert (look.exists, look.other_side) == (True, None)
    livekit.answers.clear()
    assert (await media.look("r")).exists is False


async def test_a_room_that_is_not_there_is_closed(
    livekit: TwirpServer, media: LiveKitMedia
) -> None:
    await media.close_room("r")
    livekit.refusal = (404, json.dumps({"code": "not_found", "msg": "no such room"}))
    await media.close_room("r")
    assert livekit.methods == ["DeleteRoom", "DeleteRoom"]


async def test_open_rooms_are_listed_with_their_age(
    livekit: TwirpServer, media: LiveKitMedia
) -> None:
    livekit.answers["RoomService/ListRooms"] = api.ListRoomsResponse(
        rooms=[api.Room(name="conv_1", creation_time=1_790_000_000)]
    )
    [room] = await media.list_rooms()
    assert room.name == "conv_1"
    assert room.created_at == datetime.fromtimestamp(1_790_000_000, UTC)


REFUSALS = [
    (400, '{"code":"invalid_argument","msg":"no"}', MediaRefused),
    (429, '{"code":"resource_exhausted","msg":"full"}', MediaRefused),
    (503, '{"code":"unavailable","msg":"no nodes"}', MediaRefused),
    (401, "invalid token", MediaRefused),
    (403, "", MediaRefused),
    (500, '{"code":"internal","msg":"oops"}', MediaUnreachable),
    (408, '{"code":"deadline_exceeded","msg":"late"}', MediaUnreachable),
    (502, "<html>bad gateway</html>", MediaUnreachable),
    (404, "<html>what is this</html>", MediaUnreachable),
    (200, "<html>a login page</html>", MediaUnreachable),
]


@pytest.mark.parametrize(("status", "body", "expected"), REFUSALS)
async def test_what_was_not_done_is_told_from_what_may_have_been_and_nothing_is_sent_twice(
    livekit: TwirpServer,
    media: LiveKitMedia,
    status: int,
    body: str,
    expected: type[Exception],
) -> None:
    livekit.refusal = (status, body)
    with pytest.raises(expected) as caught:
        await media.send_agent("conv_1", "{}", is_first=True)
    assert len(livekit.asked) == 1
    if isinstance(caught.value, MediaRefused):
        assert caught.value.code
        assert SECRET not in repr(caught.value)


async def test_no_answer_in_time_is_unreachable_and_is_not_asked_again(
    livekit: TwirpServer, media: LiveKitMedia
) -> None:
    livekit.is_silent = True
    with pytest.raises(MediaUnreachable):
        await media.send_agent("conv_1", "{}", is_first=True)
    livekit.released.set()
    livekit.is_cutting = True
    with pytest.raises(MediaUnreachable):
        await media.send_agent("conv_1", "{}", is_first=True)
    assert len(livekit.asked) == 2


async def test_nobody_there_is_unreachable() -> None:
    media = LiveKitMedia.open("http://127.0.0.1:1", sip_url=None, key=KEY, secret=SECRET)
    try:
        with pytest.raises(MediaUnreachable):
            await media.look("r")
    finally:
        await media.aclose()


async def test_sip_is_asked_where_sip_is(server: tuple[TwirpServer, str]) -> None:
    livekit, url = server
    media = LiveKitMedia.open(url, sip_url="http://127.0.0.1:1", key=KEY, secret=SECRET)
    trunk = InboundTrunk("trunk_1", ["+12025550100"], ["192.0.2.1"], None, None)
    try:
        with pytest.raises(MediaUnreachable):
            await media.set_inbound_trunk(trunk, None)
        assert not livekit.asked
        await media.list_rooms()
        assert livekit.methods == ["ListRooms"]
    finally:
        await media.aclose()


async def test_a_browser_may_speak_and_listen_in_its_one_room_for_a_while(
    media: LiveKitMedia,
) -> None:
    claims = api.TokenVerifier(KEY, SECRET).verify(
        media.browser_token("conv_1", name="Visitor", seconds=60)
    )
    assert (claims.identity, claims.name) == (BROWSER_IDENTITY, "Visitor")
    assert claims.video is not None
    assert (claims.video.room_join, claims.video.room) == (True, "conv_1")
    assert claims.video.can_publish_sources == ["microphone"]
    assert not any((claims.video.room_admin, claims.video.room_create, claims.video.agent))


# ---- callbacks ----

BODY = b'{"event":"participant_left","room":{"name":"conv_1","sid":"RM_1"},"new_field":1}'


def signed(body: bytes, *, secret: str = SECRET, key: str = KEY, seconds: int = 60) -> str:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    token = api.AccessToken(key, secret).with_ttl(timedelta(seconds=seconds))
    return token.with_sha256(digest).to_jwt()


@pytest.mark.parametrize("prefix", ["", "Bearer "])
async def test_a_callback_of_livekit_is_read(media: LiveKitMedia, prefix: str) -> None:
    event = media.read_callback(BODY, prefix + signed(BODY))
    assert event == MediaEvent("participant_left", "conv_1")


async def test_what_is_about_no_room_says_nothing(media: LiveKitMedia) -> None:
    body = b'{"event":"egress_started"}'
    assert media.read_callback(body, signed(body)) is None


async def test_forged_changed_and_outdated_callbacks_are_refused(media: LiveKitMedia) -> None:
    not_json = b"\xff not json"
    browser = media.browser_token("conv_1", name="Visitor", seconds=60)
    for body, authorization in [
        (BODY, ""),
        (BODY, "Bearer"),
        (BODY, "a.b.c"),
        (BODY, "\N{SNOWMAN}"),
        (BODY, signed(BODY, secret="another-secret-0123456789abcdefgh")),
        (BODY, signed(BODY, key="another-key")),
        (BODY, signed(BODY, seconds=-120)),
        (BODY, signed(b"another body")),
        (BODY, browser),  # signed by our key, but not for this
        (not_json, signed(not_json)),
        (b"{", signed(b"{")),
    ]:
        with pytest.raises(ForgedCallback):
            media.read_callback(body, authorization)
