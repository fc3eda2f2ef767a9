"""`dev` starts its worker again when it died, and does not hammer one that can't live."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bolti_server.base.settings import Settings
from bolti_server.entrypoints.worker_child import WorkerChild, pause_seconds

DIES_AT_ONCE = (sys.executable, "-c", "")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_worker_that_dies_again_and_again_is_started_less_and_less_often(
    settings: Settings, tmp_path: Path
) -> None:
    clock = Clock()
    worker = WorkerChild(
        settings, capacity=1, log_file=tmp_path / "log", monotonic=clock, command=DIES_AT_ONCE
    )
    await worker.start()
    waited = []
    for _ in range(8):
        await dead(worker)
        died_at = clock.now
        while not await worker.restart_if_dead():
            clock.now += 0.5
        waited.append(clock.now - died_at)
    assert waited == [0, 1, 2, 4, 8, 16, 30, 30]
    await dead(worker)
    clock.now += 3600  # it lived for an hour
    assert await worker.restart_if_dead()
    await worker.stop()


def test_a_first_death_is_mended_at_once() -> None:
    assert [pause_seconds(n) for n in (0, 1, 2)] == [0, 0, 1]


async def dead(worker: WorkerChild) -> None:
    async with asyncio.timeout(20):
        while worker.is_alive:
            await asyncio.sleep(0.01)
