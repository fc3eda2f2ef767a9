"""The one worker that `dev` starts: a child process that speaks to the server over loopback as any worker does."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bolti_server.base.settings import Settings

STOP_SECONDS = 15.0
STEADY_SECONDS = 10.0  # one that lived so long did not die of its start
LONGEST_PAUSE_SECONDS = 30.0
_COMMAND = (sys.executable, "-m", "bolti_server.entrypoints.worker")


def pause_seconds(quick_deaths: int) -> float:
    """Before the next start: none after the first death, then 1, 2, 4 … seconds while each one dies soon after its start.

    What is wrong then does not go away by itself, and each start costs a second of a core.
    """
    return 0.0 if quick_deaths <= 1 else min(2.0 ** (quick_deaths - 2), LONGEST_PAUSE_SECONDS)


class WorkerChild:
    """`monotonic` and `command` are a test's to replace."""

    def __init__(
        self,
        settings: Settings,
        *,
        capacity: int,
        log_file: Path,
        monotonic: Callable[[], float] = time.monotonic,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self._environment = {
            **os.environ,
            "BOLTI_INTERNAL_URL": settings.internal_url,
            "BOLTI_WORKER_TOKEN": settings.worker_token,
            "BOLTI_DATA_DIR": str(settings.data_dir),
            "BOLTI_WORKER_CAPACITY": str(capacity),
            # Ctrl-C must not wait for people to finish talking; STOP_SECONDS leaves the time for a goodbye.
            "BOLTI_WORKER_DRAIN_SECONDS": "2",
            # When this process is killed, its worker ends its calls and goes: the next `dev` starts one of its own.
            "BOLTI_WORKER_PARENT_PID": str(os.getpid()),
        }
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None
        self._monotonic, self._command = monotonic, command
        self._started_at = 0.0
        self._quick_deaths = 0
        self._restart_at: float | None = None  # of one that is known to be dead

    @property
    def pid(self) -> int:
        """Of the worker that runs, or ran last."""
        return 0 if self._process is None else self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                # Ctrl-C in the terminal goes to the parent alone, which stops things in order.
                start_new_session=True,
            )
        self._started_at, self._restart_at = self._monotonic(), None

    async def restart_if_dead(self) -> bool:
        """True when it had died and a new one is starting; one that dies at every start is started less and less often."""
        if self._process is None or self._process.returncode is None:
            return False
        now = self._monotonic()
        if self._restart_at is None:
            was_quick = now - self._started_at < STEADY_SECONDS
            self._quick_deaths = self._quick_deaths + 1 if was_quick else 0
            self._restart_at = now + pause_seconds(self._quick_deaths)
        if now < self._restart_at:
            return False
        await self.start()
        return True

    async def stop(self) -> None:
        """Drains it by SIGTERM, and kills it after STOP_SECONDS. Safe to repeat."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
