"""Who is called into a call in a room: a second telephone beside the callee's, for a warm transfer.

Rule: who does not take the call is not left ringing: a later answer would meet an agent that has given them up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from livekit import rtc

from bolti_server.lines.line import DialFailed, GuestDial, TransferFailed
from bolti_server.lines.room_dial import RoomDial
from bolti_server.lines.room_other_side import SIP, OtherSide
from bolti_server.lines.room_requests import guest_request
from bolti_server.lines.room_servers import RoomServers
from bolti_server.rooms.media import GUEST_IDENTITY
from bolti_server.worker_api.messages import CallSpec

RATE = 16_000
FRAME_MS = 20
TRACK_SECONDS = 10.0  # from the answer to its track


class RoomGuest:
    """A `lines.line.Guest`."""

    def __init__(self, room: rtc.Room, servers: RoomServers, spec: CallSpec) -> None:
        self._room = room
        self._servers = servers
        self._spec = spec
        self._other = OtherSide(room, kind=SIP, identity=GUEST_IDENTITY)
        self._dialing = RoomDial(servers, self._other)
        self._left = asyncio.Event()
        self._other.on_departure(lambda _reason: self._left.set())

    async def dial(self, dial: GuestDial, *, call_seconds: float) -> None:
        """Returns when it has answered. Raises TransferFailed."""
        request = guest_request(self._room.name, self._spec, dial, call_seconds=call_seconds)
        try:
            await self._dialing.send(request)
        except DialFailed as failed:
            raise TransferFailed(failed.code, failed.sip_status, failed.detail) from failed
        self._other.subscribe()

    @property
    def has_left(self) -> bool:
        return self._left.is_set()

    async def wait_until_left(self) -> None:
        await self._left.wait()

    async def sound(self) -> AsyncIterator[rtc.AudioFrame]:
        track = await self._track()
        if track is None:
            return
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=FRAME_MS)
        try:
            async for event in stream:
                if self.has_left:
                    return
                yield event.frame
        finally:
            await stream.aclose()

    async def dismiss(self) -> None:
        """It is hung up, whether it rings or talks; the callee stays."""
        self.close()
        await self._servers.remove(self._room.name, GUEST_IDENTITY)

    def close(self) -> None:
        """Nothing is told any more. Safe to repeat."""
        self._dialing.close()
        self._other.close()

    async def _track(self) -> rtc.Track | None:
        """Its sound, as soon as it is subscribed to; None where none comes."""
        subscribed = asyncio.Event()

        def look(*_: object) -> None:
            subscribed.set()

        self._room.on("track_subscribed", look)
        try:
            async with asyncio.timeout(TRACK_SECONDS):
                while (track := self._subscribed_track()) is None and not self.has_left:
                    subscribed.clear()
                    await subscribed.wait()
                return track
        except TimeoutError:
            return None
        finally:
            self._room.off("track_subscribed", look)

    def _subscribed_track(self) -> rtc.Track | None:
        there = self._other.participant
        publications = [] if there is None else there.track_publications.values()
        return next((each.track for each in publications if each.track is not None), None)
