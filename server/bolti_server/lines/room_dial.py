"""Somebody is dialed into a room: sent once, and then whoever is in the room tells what came of it.

Rule: a dial whose reply is lost, or not understood, may have rung somewhere. It is never sent again; the participant is
looked for, waited for while it rings, and where it was never seen the outcome is unknown.
"""

from __future__ import annotations

import asyncio
from typing import Any

from livekit import api

from bolti_server.base.logging import get_logger
from bolti_server.lines import sip_outcomes
from bolti_server.lines.line import DialFailed
from bolti_server.lines.room_other_side import OtherSide
from bolti_server.lines.room_servers import RoomServers

APPEAR_SECONDS = 2.0  # a participant whose dial was not replied to may be on its way

log = get_logger("room")


class RoomDial:
    """`other` is the participant that the request names. Close it at the end of the call: the reply may come late."""

    def __init__(self, servers: RoomServers, other: OtherSide) -> None:
        self._servers = servers
        self._other = other
        self._tasks: list[asyncio.Task[Any]] = []

    async def send(self, request: api.CreateSIPParticipantRequest) -> None:
        """Returns when it has answered. Raises DialFailed."""
        seconds = request.ringing_timeout.seconds
        reply = asyncio.create_task(self._servers.dial(request, lambda: self._other.has_rung))
        active = asyncio.create_task(self._other.wait_until(lambda: self._other.is_active, seconds))
        self._tasks = [reply, active]
        await asyncio.wait({reply, active}, return_when=asyncio.FIRST_COMPLETED)
        if active.done() and active.result():
            return  # before the reply, which now tells nothing new
        active.cancel()
        unknown = await reply
        if unknown is not None:
            log.warning("dial_not_understood", detail=unknown.detail, room=request.room_name)
            await self._look(request, unknown.detail)

    def close(self) -> None:
        """Safe to repeat."""
        for task in self._tasks:
            task.cancel()

    async def _look(self, request: api.CreateSIPParticipantRequest, detail: str) -> None:
        other = self._other
        if not other.has_been_there:
            await other.wait_until(lambda: other.has_been_there, APPEAR_SECONDS)
        if not other.has_been_there and not await self._servers.is_in_room(
            request.room_name, request.participant_identity
        ):
            raise _unknown(detail)
        seconds = request.ringing_timeout.seconds
        await other.wait_until(lambda: other.is_active or other.has_left, seconds)
        if other.is_active:
            return
        if other.departure is not None:
            raise sip_outcomes.of_departure(other.departure, has_rung=other.has_rung)
        if other.has_rung:
            raise DialFailed("no_answer", None, "It rang, and nobody picked up.")
        raise _unknown(detail)


def _unknown(detail: str) -> DialFailed:
    return DialFailed("outcome_unknown", None, f"The dial was not replied to: {detail}"[:300])
