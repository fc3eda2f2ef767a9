"""What runs beside a call belongs to it."""

from __future__ import annotations

import asyncio

from bolti_server.voice.ending import Ending
from bolti_server.voice.tasks import CallTasks


async def fails() -> None:
    raise LookupError("a bug of ours")


async def test_a_task_that_fails_ends_the_call_and_says_which() -> None:
    ending = Ending()
    CallTasks("conv_1", ending).spawn("follow commands", fails())
    async with asyncio.timeout(5):
        end = await ending.wait()
    assert (end.code, end.detail) == ("agent_lost", "follow commands failed: LookupError")


async def test_tasks_end_with_their_call_and_that_is_no_failure() -> None:
    ending, never = Ending(), asyncio.Event()
    tasks = CallTasks("conv_1", ending)

    async def waits() -> None:
        await never.wait()

    tasks.spawn("end at cap", waits())
    await asyncio.sleep(0)
    await tasks.cancel()
    await asyncio.sleep(0)
    assert ending.end is None
    assert [task for task in asyncio.all_tasks() if "conv_1" in task.get_name()] == []
