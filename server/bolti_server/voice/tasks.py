"""The background tasks of one call. Rule: a task that fails ends the call; it does not leave it hanging."""

from __future__ import annotations

import asyncio
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

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(
            self._guarded(name, work), name=f"{name} {self._conversation_id}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        """Returns when all have ended, or after CANCEL_SECONDS."""
        running = set(self._tasks)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=CANCEL_SECONDS)

    async def _guarded(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            log.exception("call_task_failed", task=name, conversation_id=self._conversation_id)
            self._ending.decide("agent_lost", f"{name} failed: {type(error).__name__}")
