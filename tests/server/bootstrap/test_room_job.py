"""A call's own process in a room: what must hold whatever becomes of the room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from livekit.agents import AutoSubscribe

from bolti_server.bootstrap.room_job import _Job


class Slow:
    """A job's context whose room takes its time."""

    def __init__(self) -> None:
        self.job = SimpleNamespace(room=SimpleNamespace(name="conv_1"))
        self.has_begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.outcome = ""

    async def connect(self, *, auto_subscribe: AutoSubscribe) -> None:
        self.has_begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            raise
        self.outcome = "joined"


async def test_joining_a_room_is_never_cancelled_half_way() -> None:
    """livekit 1.1.21 ends the whole process some seconds after that."""
    context = Slow()
    nobody = cast(Any, None)
    job = _Job(nobody, Path("drain"), cast(Any, context), nobody, nobody, nobody)
    joining = asyncio.create_task(job._join(AutoSubscribe.SUBSCRIBE_ALL))
    await context.has_begun.wait()
    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)
    assert context.outcome == ""
    context.may_end.set()
    await asyncio.sleep(0)
    assert context.outcome == "joined"
