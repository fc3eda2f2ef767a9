"""The one worker that `dev` starts: a child process that speaks to the server over loopback as any worker does."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from bolti_server.base.settings import Settings

STOP_SECONDS = 15.0
RESTART_PAUSE_SECONDS = 1.0


class WorkerChild:
    def __init__(self, settings: Settings, *, capacity: int, log_file: Path) -> None:
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
        self._started_at = 0.0

    @property
    def pid(self) -> int:
        """Of the worker that runs, or ran last."""
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bolti_server.entrypoints.worker",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                # Ctrl-C in the terminal goes to the parent alone, which stops things in order.
                start_new_session=True,
            )
        self._started_at = time.monotonic()

    async def restart_if_dead(self) -> bool:
        """True when it had died and a new one is starting; a crash at every start is retried once a second."""
        if self._process is None or self._process.returncode is None:
            return False
        if time.monotonic() - self._started_at < RESTART_PAUSE_SECONDS:
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
