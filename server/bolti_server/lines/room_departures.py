"""Why the other side of a room is gone: told once, as a hangup code.

Rules: the SIP service reports the same reason for a callee who hangs up and for a call that it ended at its cap, so the
clock tells them apart. A room that was closed is no reason by itself: whoever closed it (our server) says why by a
command; only where nobody does in time it is a loss. An agent that was replaced leaves without a word.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from livekit import rtc

from bolti_server.base.logging import get_logger
from bolti_server.lines.room_other_side import SIP, OtherSide
from bolti_server.worker_api.messages import CallSpec

NEAR_CAP_SECONDS = 1.5
RECONNECT_SECONDS = 8.0
CLOSED_SECONDS = 3.0  # until a command must have said why the room was closed

_CLOSED_BY_SOMEBODY = frozenset({"ROOM_DELETED", "ROOM_CLOSED", "PARTICIPANT_REMOVED"})
# The SIP service, its connection or ours died; the callee did not hang up.
_LOST = frozenset(
    {
        "UNKNOWN_REASON",
        "SERVER_SHUTDOWN",
        "STATE_MISMATCH",
        "JOIN_FAILURE",
        "SIGNAL_CLOSE",
        "SIP_TRUNK_FAILURE",
        "CONNECTION_TIMEOUT",
        "MEDIA_FAILURE",
        "AGENT_ERROR",
    }
)

log = get_logger("room")


class Departures:
    def __init__(self, room: rtc.Room, other: OtherSide, spec: CallSpec) -> None:
        self._room = room
        self._other = other
        self._spec = spec
        self._on_left: list[Callable[[str], None]] = []
        self._left: str | None = None
        self._answered_at: float | None = None  # monotonic; of the first agent's answer
        self._timer: asyncio.TimerHandle | None = None
        self._is_held_back = False
        self._held: str | None = None
        self.is_over = False
        other.on_departure(self._departed)
        room.on("disconnected", self._disconnected)
        room.on("reconnecting", self._reconnecting)
        room.on("reconnected", self._reconnected)

    def on_left(self, callback: Callable[[str], None]) -> None:
        """Called once with a hangup code; at once where it is known already."""
        self._on_left.append(callback)
        if self._left is not None:
            callback(self._left)

    def answered(self) -> None:
        """From now on a departure ends the call; before, it is part of the dial."""
        takeover = self._spec.takeover
        ago_ms = 0 if takeover is None else takeover.answered_ms_ago or 0
        self._answered_at = time.monotonic() - ago_ms / 1000
        if self._other.departure is not None:
            self._departed(self._other.departure)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """While somebody else is being asked to take the call over, a departure is not told; after it, it is."""
        self._is_held_back = True
        try:
            yield
        finally:
            self._is_held_back = False
            if self._held is not None:
                self.left(self._held)

    def left(self, code: str) -> None:
        if self.is_over:
            return
        if self._is_held_back:
            self._held = self._held or code
            return
        self.is_over = True
        self._left = code
        self._stop_timer()
        for callback in self._on_left:
            callback(code)

    def close(self) -> None:
        """We end it ourselves: nothing is told any more. Safe to repeat."""
        self.is_over = True
        self._stop_timer()

    def _departed(self, reason: str) -> None:
        log.info("other_side_left", reason=reason, room=self._room.name)
        if self._answered_at is None:
            if self._spec.direction == "inbound":
                self.left("caller_cancelled")
            return  # of a dial its reply tells more
        if reason in _CLOSED_BY_SOMEBODY:
            self._wait_for_command()
        elif reason in _LOST and self._spec.line.kind == "room":
            self.left("media_lost")
        elif self.seconds_left <= NEAR_CAP_SECONDS:
            self.left(self._spec.code_at_cap)
        else:
            self.left(
                "remote_hangup"
            )  # a browser whose connection broke is no fault of ours either

    @property
    def seconds_left(self) -> float:
        """Until the cap, of a call that is answered."""
        assert self._answered_at is not None
        talked = time.monotonic() - self._answered_at
        return max(0.0, self._spec.max_duration_seconds - talked)

    def _disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        if self.is_over:
            return
        name = rtc.DisconnectReason.Name(reason)
        log.warning("room_left", reason=name, room=self._room.name)
        if name == "DUPLICATE_IDENTITY":
            self.left("agent_lost")  # another agent has this call: the line is left to it
        elif name in _CLOSED_BY_SOMEBODY:
            self._wait_for_command()
        else:
            self.left("media_lost")

    def _reconnecting(self) -> None:
        log.warning("room_reconnecting", room=self._room.name)
        self._start_timer(RECONNECT_SECONDS)

    def _reconnected(self) -> None:
        log.info("room_reconnected", room=self._room.name)
        self._stop_timer()
        if not self.is_over and self._other.has_been_there:
            present = {each.identity for each in self._room.remote_participants.values()}
            there = self._other.participant
            if there is not None and there.kind == SIP and there.identity not in present:
                self._departed("CONNECTION_TIMEOUT")

    def _wait_for_command(self) -> None:
        self._start_timer(CLOSED_SECONDS)

    def _start_timer(self, seconds: float) -> None:
        if self._timer is None and not self.is_over:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self.left, "media_lost")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
