"""The media server as the server process sees it: rooms, the agents sent into them, who is there, and what it tells us.

Rules: every call has a time-out of its own and raises one of two errors: `MediaUnreachable` (nobody knows whether it was
done) or `MediaRefused` (it was not done). All are safe to repeat. What the media server tells by itself (callbacks) are
hints; `look` is the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import attrs

AGENT_NAME = "bolti-call"  # under which agent workers register
AGENT_IDENTITY = "agent"  # the same for every agent of a call: a new one replaces the ghost of a dead one at once
CALLEE_IDENTITY = "callee"  # of the participant that we dial
GUEST_IDENTITY = "transfer"  # of the participant that a warm transfer calls into a call
BROWSER_IDENTITY = "browser"
INBOUND_ROOM_PREFIX = "in-"
INBOUND_RINGING_SECONDS = 20  # then the SIP service refuses the call by itself
# A room that nobody of ours closes any more is closed by LiveKit: while nobody has come, and after everybody has left.
EMPTY_SECONDS = 60
DEPARTURE_SECONDS = 20
DTMF_CODES = {key: code for code, key in enumerate("0123456789*#ABCD")}  # RFC 4733, section 3.2
# Of the clock in SDP: of PCMU and PCMA, and of G722 too, though it is 16 kHz (RFC 3551, section 4.5.2).
CODEC_RATE = 8000

CallStatus = Literal["dialing", "ringing", "active", "hangup", "automation", "unknown"]


class MediaUnreachable(Exception):
    """No answer in time, or none that can be understood."""


@attrs.frozen
class MediaRefused(Exception):
    """It answered that it won't; `code` as it says (Twirp)."""

    code: str
    detail: str


@attrs.frozen
class OtherSide:
    """The participant on the telephone's, or the browser's, side."""

    identity: str
    kind: Literal["sip", "browser"]
    call_status: CallStatus
    sip_call_id: str | None
    attributes: Mapping[str, str]


@attrs.frozen
class RoomLook:
    """Who is in a room now."""

    exists: bool
    other_side: OtherSide | None = None
    other_count: int = 0  # of all who are no agents: after a warm transfer two talk with each other
    agent_count: int = 0


@attrs.frozen
class OpenRoom:
    name: str
    created_at: datetime


@attrs.frozen
class InboundTrunk:
    """What the SIP service has to know to let calls in. `allowed_addresses` empty and no username: it must not be set up."""

    trunk_id: str  # ours
    numbers: Sequence[str]
    allowed_addresses: Sequence[str]
    username: str | None
    password: str | None = attrs.field(repr=False)
    codecs: Sequence[str] = ()  # empty: all that it knows
    metadata: str = ""  # reaches the agent's job of each call


@attrs.frozen
class MediaTrunk:
    """What `set_inbound_trunk` has made there."""

    media_trunk_id: str
    media_rule_id: str


@attrs.frozen
class MediaEvent:
    """A verified callback: something happened in `room`."""

    kind: str  # participant_joined, participant_left, room_finished …
    room: str


class ForgedCallback(Exception):
    """Its signature does not fit."""


class MediaServer(Protocol):
    async def send_agent(self, room: str, metadata: str, *, is_first: bool = False) -> None:
        """Makes the room where it is missing and asks for an agent in it. `metadata` reaches the agent's job.

        `is_first`: nobody was ever sent into this room, so that it can be one request; in a room that is there
        already it would send nobody.
        """
        ...

    async def look(self, room: str) -> RoomLook: ...

    async def close_room(self, room: str) -> None:
        """Everybody in it is hung up. A room that does not exist is closed."""
        ...

    async def list_rooms(self) -> Sequence[OpenRoom]: ...

    async def set_inbound_trunk(self, trunk: InboundTrunk, known: MediaTrunk | None) -> MediaTrunk:
        """Makes or replaces the trunk and the rule that sends an agent into a room of its own for each call."""
        ...

    async def remove_inbound_trunk(self, known: MediaTrunk) -> None:
        """What does not exist is removed."""
        ...

    def browser_token(self, room: str, *, name: str, seconds: int) -> str:
        """Lets one browser into this room, as BROWSER_IDENTITY, to speak and to listen."""
        ...

    def read_callback(self, body: bytes, authorization: str) -> MediaEvent | None:
        """None for what is about no room. Raises ForgedCallback."""
        ...

    async def aclose(self) -> None: ...
