"""`bolti-server worker`: the process that talks. Settings come from the environment (`WorkerSettings`).

SIGTERM and SIGINT drain it. So does the death of the process named by BOLTI_WORKER_PARENT_PID: the worker of a `dev` that
was killed finishes its calls and goes, and does not take calls away from the next one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from bolti_server.base.logging import configure_logging
from bolti_server.bootstrap.worker import run_worker
from bolti_server.bootstrap.worker_settings import Stopping, WorkerSettings
from bolti_server.entrypoints.complaints import (
    CannotStart,
    complaints_about_livekit,
    read_settings,
)

LOOK_FOR_PARENT_SECONDS = 1.0
ORPHAN_GRACE_SECONDS = 600.0  # nobody waits for an orphan: its calls may take their time


def run() -> int:
    """Until it is told to stop. Exit code 2: a setting is missing or wrong."""
    try:
        settings = read_settings(WorkerSettings)
        if complaints := complaints_about_livekit(settings):
            raise CannotStart(complaints)
    except CannotStart as problem:
        return problem.tell("worker")
    configure_logging(settings.log_level, settings.log_format)
    asyncio.run(_run(settings))
    return 0


async def _run(settings: WorkerSettings) -> None:
    stopping = Stopping()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(
            number, stopping.stop, settings.worker_drain_seconds
        )
    watch = asyncio.create_task(_watch_parent(settings.worker_parent_pid, stopping))
    try:
        await run_worker(settings, stopping)
    finally:
        watch.cancel()


async def _watch_parent(parent_pid: int | None, stopping: Stopping) -> None:
    while parent_pid is not None and os.getppid() == parent_pid:  # noqa: ASYNC110 - the kernel tells nobody
        await asyncio.sleep(LOOK_FOR_PARENT_SECONDS)
    if parent_pid is not None:
        stopping.stop(ORPHAN_GRACE_SECONDS)


if __name__ == "__main__":
    sys.exit(run())
