"""The background tasks of one call. Rule: a task that fails ends the call; it does not leave it hanging."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Coroutine
from typing import Any

from bolti_server.base.logging import get_logger
from bolti_server.voice.ending import Ending

CANCEL_SECONDS = 2.0

log = get_logger("voice")


class CallTasks:
    def __init__(self, conversation_id: str, ending: Ending) -> None:
        self._conversation_id = conversation_id
        self._ending = ending
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"{name} {self._conversation_id}")
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._done, name))
        return task

    async def cancel(self) -> None:
        """Returns when all have ended, or after CANCEL_SECONDS."""
        running = set(self._tasks)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=CANCEL_SECONDS)

    def _done(self, name: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            call_id = self._conversation_id
            log.error("call_task_failed", task=name, conversation_id=call_id, exc_info=error)
            self._ending.decide("agent_lost", f"{name} failed: {type(error).__name__}")
