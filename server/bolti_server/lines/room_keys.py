"""Keys that the agent presses in a room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from livekit import rtc

from bolti_server.rooms.media import DTMF_CODES

KEY_SECONDS = (
    0.25  # from one key to the next: RFC 4733 events of 100-250 ms must not run into each other
)
PAUSE_SECONDS = 0.5  # of a w
SEND_SECONDS = 3.0


async def press(room: rtc.Room, keys: str, *, until: Callable[[], bool]) -> None:
    """One after another: 0-9, *, #, A-D, and w for a pause. Returns when all are sent, or when `until()` holds."""
    for key in keys:
        if until():
            return
        if key == "w":
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        async with asyncio.timeout(SEND_SECONDS):
            await room.local_participant.publish_dtmf(code=DTMF_CODES[key], digit=key)
        await asyncio.sleep(KEY_SECONDS)
