"""Answers that wait until there is something to say: looked for at once, at each wake-up, and every now and then.

Rule: nobody waits for a peer that has gone: the caller hands over an event that is set when the connection is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from litestar import Request

from bolti_server.base.db import spawn
from bolti_server.base.wakeups import Listener
from bolti_server.world import World

T = TypeVar("T")


@asynccontextmanager
async def connection_of(request: Request[Any, Any, Any]) -> AsyncIterator[asyncio.Event]:
    """An event that is set once the peer of `request` is gone. Its body must have been read."""
    gone = asyncio.Event()
    watcher = spawn(_watch(request, gone), name="watch connection")
    try:
        yield gone
    finally:
        watcher.cancel()
        await asyncio.wait({watcher})


async def until_found(
    world: World,
    topic: str,
    look: Callable[[], Awaitable[T | None]],
    *,
    wait_seconds: float,
    look_seconds: float,
    gone: asyncio.Event,
) -> T | None:
    """What `look` finds first; None when the time is over, the peer gone or the process about to stop."""
    ends_at = world.clock.monotonic() + wait_seconds
    with world.wakeups.listen(topic) as listener:
        while not gone.is_set():
            found = await look()
            left = ends_at - world.clock.monotonic()
            if found is not None or left <= 0 or world.wakeups.is_stopping:
                return found
            await _wait(listener, gone, min(left, look_seconds))
    return None


async def _wait(listener: Listener, gone: asyncio.Event, seconds: float) -> None:
    woken = spawn(listener.wait(seconds), name="wait for wake-up")
    cut = spawn(gone.wait(), name="wait for disconnect")
    try:
        await asyncio.wait({woken, cut}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (woken, cut):
            task.cancel()
        await asyncio.wait({woken, cut})


async def _watch(request: Request[Any, Any, Any], gone: asyncio.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()
