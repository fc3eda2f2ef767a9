"""The participant on the other side of a room: whether it is there, what its telephone does, how it went.

Rule: the media server's events come in order and are never asked for; whoever waits looks at what is known first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from livekit import rtc

from bolti_server.rooms.media import GUEST_IDENTITY

STATUS = "sip.callStatus"
SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP
STANDARD = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
_RINGING = frozenset({"ringing", "active", "automation"})


class OtherSide:
    """`identity` None: the first of that kind that was not called into the call."""

    def __init__(
        self,
        room: rtc.Room,
        *,
        kind: rtc.ParticipantKind.ValueType,
        identity: str | None,
    ) -> None:
        self._room = room
        self._kind = kind
        self._identity = identity
        self._changed = asyncio.Event()
        self._on_status: list[Callable[[str], None]] = []
        self._on_departure: list[Callable[[str], None]] = []
        self.participant: rtc.RemoteParticipant | None = None
        self.has_been_there = False
        self.has_rung = False
        self.departure: str | None = None  # why it left, as the media server names it
        room.on("participant_connected", self._arrived)
        room.on("participant_attributes_changed", self._attributes_changed)
        room.on("participant_disconnected", self._departed)
        self.look()

    def look(self) -> None:
        """Finds it among those who are in the room already (the room tells of them when it is connected)."""
        for participant in list(self._room.remote_participants.values()):
            self._arrived(participant)

    @property
    def is_there(self) -> bool:
        return self.participant is not None

    @property
    def status(self) -> str:
        """Of its telephone: dialing, ringing, active, hangup; "" where there is none."""
        return "" if self.participant is None else self.participant.attributes.get(STATUS, "")

    def on_status(self, callback: Callable[[str], None]) -> None:
        """Called with each new status."""
        self._on_status.append(callback)

    def on_departure(self, callback: Callable[[str], None]) -> None:
        """Called with the reason when it leaves."""
        self._on_departure.append(callback)

    def is_it(self, participant: rtc.Participant | None) -> bool:
        return participant is not None and self.is_there and participant.identity == self._identity

    @property
    def is_active(self) -> bool:
        """Whether its telephone has answered, and has not hung up."""
        return self.status == "active"

    @property
    def has_left(self) -> bool:
        return self.has_been_there and not self.is_there

    def subscribe(self) -> None:
        """To what it publishes, now and later: a caller rings until somebody does."""
        if self.participant is None:
            return
        for publication in self.participant.track_publications.values():
            publication.set_subscribed(True)
        self._room.on("track_published", self._track_published)

    async def wait_until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether it came to that in time."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Nothing is told any more. Safe to repeat."""
        self._room.off("participant_connected", self._arrived)
        self._room.off("participant_attributes_changed", self._attributes_changed)
        self._room.off("participant_disconnected", self._departed)
        self._room.off("track_published", self._track_published)

    def _arrived(self, participant: rtc.RemoteParticipant) -> None:
        if self.is_there or participant.kind != self._kind:
            return
        if self._identity not in (None, participant.identity):
            return
        if self._identity is None and participant.identity == GUEST_IDENTITY:
            return
        self._identity = participant.identity
        self.participant = participant
        self.has_been_there = True
        self.departure = None
        self._note(self.status)

    def _track_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if self.is_it(participant):
            publication.set_subscribed(True)

    def _attributes_changed(self, changed: Mapping[str, str], participant: rtc.Participant) -> None:
        if self.is_it(participant) and STATUS in changed:
            self._note(self.status)

    def _departed(self, participant: rtc.RemoteParticipant) -> None:
        if not self.is_it(participant):
            return
        reason = rtc.DisconnectReason.Name(
            participant.disconnect_reason or rtc.DisconnectReason.UNKNOWN_REASON
        )
        self.participant, self.departure = None, reason
        self._changed.set()
        for callback in self._on_departure:
            callback(reason)

    def _note(self, status: str) -> None:
        self.has_rung = self.has_rung or status in _RINGING
        self._changed.set()
        for callback in self._on_status:
            callback(status)
