"""A room without a media server, and a SIP service that answers what a test says: RoomLine's two boundaries."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
from livekit import api, rtc
from tests.server.support.call_specs import call_spec

from bolti_server.lines.line import DialFailed
from bolti_server.lines.room_servers import RoomServers, UnknownOutcome
from bolti_server.rooms.media import BROWSER_IDENTITY, CALLEE_IDENTITY
from bolti_server.worker_api.messages import CallSpec, LineSpec, SipTrunk

SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP
STANDARD = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
TRUNK = SipTrunk(host="sip.example.com:5061", transport="tls", username="bolti", password="secret")


def room_spec(kind: str = "room", **changes: Any) -> CallSpec:
    line = LineSpec(
        kind="browser" if kind == "browser" else "room",
        from_number="+14155550100",
        to_number="+14155550123",
        is_simulated=changes.pop("is_simulated", False),
        scenario=changes.pop("scenario", None),
        room="conv_1",
    )
    return call_spec(line=line, **changes)


@attrs.define(eq=False)
class FakePublication:
    is_subscribed: bool = False
    track: Any = None
    sid: str = "TR_1"
    source: int = rtc.TrackSource.SOURCE_MICROPHONE

    def set_subscribed(self, subscribed: bool) -> None:
        self.is_subscribed = subscribed


@attrs.define(eq=False)
class FakeParticipant:
    identity: str
    kind: int = SIP
    attributes: dict[str, str] = attrs.Factory(dict)
    disconnect_reason: int | None = None
    track_publications: dict[str, FakePublication] = attrs.Factory(dict)
    sid: str = "PA_1"


@attrs.define(eq=False)
class _Local:
    identity: str = "agent"
    keys: list[tuple[int, str]] = attrs.Factory(list)

    async def publish_dtmf(self, *, code: int, digit: str) -> None:
        self.keys.append((code, digit))


class FakeRoom(rtc.EventEmitter[str]):
    name = "conv_1"

    def __init__(self) -> None:
        super().__init__()
        self.remote_participants: dict[str, FakeParticipant] = {}
        self.local_participant = _Local()

    def joins(
        self, status: str = "", identity: str = CALLEE_IDENTITY, kind: int = SIP
    ) -> FakeParticipant:
        joined = FakeParticipant(identity, kind, {"sip.callStatus": status} if status else {})
        joined.track_publications["TR_1"] = FakePublication()
        self.remote_participants[identity] = joined
        self.emit("participant_connected", joined)
        return joined

    def browser_joins(self) -> FakeParticipant:
        return self.joins(identity=BROWSER_IDENTITY, kind=STANDARD)

    def becomes(self, status: str, identity: str = CALLEE_IDENTITY) -> None:
        participant = self.remote_participants[identity]
        participant.attributes["sip.callStatus"] = status
        self.emit("participant_attributes_changed", {"sip.callStatus": status}, participant)

    def leaves(self, reason: str, identity: str = CALLEE_IDENTITY) -> None:
        participant = self.remote_participants.pop(identity)
        participant.disconnect_reason = rtc.DisconnectReason.Value(reason)
        self.emit("participant_disconnected", participant)

    def is_left(self, reason: str) -> None:
        """This side is thrown out."""
        self.emit("disconnected", rtc.DisconnectReason.Value(reason))


class FakeServers(RoomServers):
    """`reply` is what a dial comes to (None: answered); until it is set, the dial is under way."""

    def __init__(self) -> None:
        self.dials: list[api.CreateSIPParticipantRequest] = []
        self.transfers: list[tuple[str, str, str]] = []
        self.closed: list[str] = []
        self.removed: list[str] = []
        self.known_in_room = False
        self.transfer_reply: UnknownOutcome | DialFailed | None = None
        self.on_transfer: Any = None
        self._reply: asyncio.Future[UnknownOutcome | DialFailed | None] = (
            asyncio.get_running_loop().create_future()
        )
        self.was_dialed = asyncio.Event()

    def next_dial(self) -> None:
        """What was replied was of the dial before."""
        self._reply = asyncio.get_running_loop().create_future()
        self.was_dialed.clear()

    def reply(self, reply: UnknownOutcome | DialFailed | None) -> None:
        self._reply.set_result(reply)

    async def dial(self, request: Any, has_rung: Any) -> UnknownOutcome | None:
        self.dials.append(request)
        self.was_dialed.set()
        reply = await self._reply
        if isinstance(reply, DialFailed):
            raise reply
        return reply

    async def transfer(self, room: str, identity: str, to: str) -> UnknownOutcome | None:
        self.transfers.append((room, identity, to))
        if self.on_transfer is not None:
            self.on_transfer()
        if isinstance(self.transfer_reply, DialFailed):
            raise self.transfer_reply
        return self.transfer_reply

    async def is_in_room(self, room: str, identity: str) -> bool:
        return self.known_in_room

    async def remove(self, room: str, identity: str) -> None:
        self.removed.append(identity)

    async def close_room(self, room: str) -> None:
        self.closed.append(room)
