"""The phone network as one process holds it: where the rooms are, who is on a call in them, what was dialed.

One owner for every call's task: `stop` hangs all of them up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import attrs

from bolti_server.base.logging import get_logger
from bolti_server.phone_network.behaviour import Behaviours
from bolti_server.phone_network.phone_in_room import LiveKit, PhoneInRoom, Voice
from bolti_server.phone_network.records import KEPT, Dial, IncomingCall
from bolti_server.phone_network.trunks import Trunks

STOP_SECONDS = 5.0

log = get_logger("phone_network")


@attrs.define(eq=False)
class Leg:
    """A telephone in a room, and the record of how it came there."""

    phone: PhoneInRoom
    record: Dial | IncomingCall


@attrs.define(eq=False)
class Network:
    livekit: LiveKit
    voice: Voice = "modem"
    behaviours: Behaviours = attrs.Factory(Behaviours)
    trunks: Trunks = attrs.Factory(Trunks)
    dials: deque[Dial] = attrs.Factory(lambda: deque(maxlen=KEPT))
    calls: deque[IncomingCall] = attrs.Factory(lambda: deque(maxlen=KEPT))
    _legs: dict[tuple[str, str], Leg] = attrs.Factory(dict)
    _tasks: set[asyncio.Task[Any]] = attrs.Factory(set)

    def leg_of(self, room: str, identity: str) -> Leg | None:
        return self._legs.get((room, identity))

    def add_leg(self, leg: Leg) -> None:
        self._legs[leg.record.room, leg.record.identity] = leg

    def remove_leg(self, leg: Leg) -> None:
        """Only this very one: another may have taken its place."""
        key = (leg.record.room, leg.record.identity)
        if self._legs.get(key) is leg:
            del self._legs[key]

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """A task that this network owns."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("leg_broke", leg=task.get_name(), exc_info=error)

    def close(self, leg: Leg) -> None:
        """The leg is over: what it heard and said is written down."""
        self.remove_leg(leg)
        record, phone = leg.record, leg.phone
        record.ended_at = now()
        record.keys, record.heard, record.said = phone.keys, phone.heard, phone.said
        log.info(
            "leg_ended",
            room=record.room,
            sip_call_id=record.sip_call_id,
            outcome=record.outcome,
            sip_status=record.sip_status,
        )

    async def stop(self) -> None:
        """Everybody hangs up. Safe to repeat."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), STOP_SECONDS)


def now() -> datetime:
    return datetime.now(UTC)
