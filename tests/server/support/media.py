"""A media server in memory: rooms, the agents that were sent, and whatever a test says of it. It remembers everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from bolti_server.rooms.media import (
    BROWSER_IDENTITY,
    CALLEE_IDENTITY,
    CallStatus,
    ForgedCallback,
    InboundTrunk,
    MediaEvent,
    MediaRefused,
    MediaTrunk,
    MediaUnreachable,
    OpenRoom,
    OtherSide,
    RoomLook,
)

SIGNED = "signed by the media server of the test"


class FakeMedia:
    """Implements `rooms.media.MediaServer`. `failure` is raised by whatever is asked next, until it is None again."""

    def __init__(self) -> None:
        self.failure: MediaUnreachable | MediaRefused | None = None
        self.sent: list[tuple[str, str]] = []  # (room, metadata) of every agent that was asked for
        self.rooms: dict[str, RoomLook] = {}
        self.created_at: dict[str, datetime] = {}
        self.closed: list[str] = []
        self.trunks: dict[str, InboundTrunk] = {}  # by our id
        self.removed: list[MediaTrunk] = []
        self.tokens: list[tuple[str, str, int]] = []  # (room, name, seconds)

    async def send_agent(self, room: str, metadata: str, *, is_first: bool = False) -> None:
        self._answer()
        self.sent.append((room, metadata))
        self.rooms.setdefault(room, RoomLook(exists=True))
        self.created_at.setdefault(room, datetime.now(UTC))

    async def look(self, room: str) -> RoomLook:
        self._answer()
        return self.rooms.get(room, RoomLook(exists=False))

    async def close_room(self, room: str) -> None:
        self._answer()
        self.rooms.pop(room, None)
        self.closed.append(room)

    async def list_rooms(self) -> Sequence[OpenRoom]:
        self._answer()
        return [OpenRoom(name, self.created_at[name]) for name in self.rooms]

    async def set_inbound_trunk(self, trunk: InboundTrunk, known: MediaTrunk | None) -> MediaTrunk:
        self._answer()
        self.trunks[trunk.trunk_id] = trunk
        return known or MediaTrunk(f"ST_{trunk.trunk_id}", f"SDR_{trunk.trunk_id}")

    async def remove_inbound_trunk(self, known: MediaTrunk) -> None:
        self._answer()
        self.trunks.pop(known.media_trunk_id.removeprefix("ST_"), None)
        self.removed.append(known)

    def browser_token(self, room: str, *, name: str, seconds: int) -> str:
        self.tokens.append((room, name, seconds))
        return f"token-for-{room}"

    def read_callback(self, body: bytes, authorization: str) -> MediaEvent | None:
        if authorization != SIGNED:
            raise ForgedCallback("not by the media server of the test")
        told: Mapping[str, str] = msgspec.json.decode(body, type=dict[str, str])
        return MediaEvent(told["kind"], told["room"]) if told.get("room") else None

    async def aclose(self) -> None:
        return

    # ---- what a test does ----

    def join(
        self,
        room: str,
        status: CallStatus = "active",
        *,
        identity: str = CALLEE_IDENTITY,
        count: int = 1,
    ) -> None:
        """The other side is in the room (from now on with that status); `count`: with whom a transfer brought in."""
        kind: Literal["sip", "browser"] = "browser" if identity == BROWSER_IDENTITY else "sip"
        side = OtherSide(identity, kind, status, "SCL_1" if kind == "sip" else None, {})
        self.rooms[room] = RoomLook(exists=True, other_side=side, other_count=count)
        self.created_at.setdefault(room, datetime.now(UTC))

    def leave(self, room: str) -> None:
        """The other side has gone; the room is there as long as anybody is, also the ghost of a dead agent."""
        self.rooms[room] = RoomLook(exists=True)

    def _answer(self) -> None:
        if self.failure is not None:
            raise self.failure
