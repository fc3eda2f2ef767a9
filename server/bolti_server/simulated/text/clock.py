"""Virtual time for the two sides of one call: it passes only while both wait.

Rules: each side is a task that the clock knows. While any of them computes, or waits for something real (a language model,
a tool), time stands still; when all of them wait for the clock, it jumps to the next instant at which something is due.
Instants are milliseconds since the clock was made; of two things that are due at one instant the one asked for first comes
first, so that the same call runs the same way every time. Every wait has an end.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any

import attrs


@attrs.define(eq=False)
class _Wait:
    is_over: Callable[[], bool]
    future: asyncio.Future[bool]
    is_resumed: bool = False


@attrs.define(eq=False)
class Timer:
    """Something that is due; `cancel()` takes it back."""

    action: Callable[[], None] | None

    def cancel(self) -> None:
        self.action = None


class VirtualClock:
    """The task that makes it is the first of its sides; others are begun with `spawn`."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._computing = 1
        self._timers: list[tuple[int, int, Timer]] = []
        self._count = 0
        self._waits: list[_Wait] = []
        self._is_stopped = False

    def stop(self) -> None:
        """Time stands still for ever: who waits waits until it is cancelled. Safe to repeat."""
        self._is_stopped = True

    def at(self, ms: int, action: Callable[[], None]) -> Timer:
        """Does `action` at the instant `ms`, or as soon as time passes where that is over."""
        self._count += 1
        timer = Timer(action)
        heapq.heappush(self._timers, (ms, self._count, timer))
        return timer

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Another side of the call: time waits for it too until it ends. The caller owns the task."""
        self._computing += 1
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._ended)
        return task

    async def until(self, is_over: Callable[[], bool], *, by_ms: int) -> bool:
        """Waits until `is_over()`, or until the instant `by_ms`: whether it was over by then."""
        if is_over():
            return True
        wait = _Wait(is_over, asyncio.get_running_loop().create_future())
        timer = self.at(by_ms, lambda: self._resume(wait, is_over()))
        self._waits.append(wait)
        self._computing -= 1
        try:
            self._advance()
            return await wait.future
        finally:
            timer.cancel()
            if not wait.is_resumed:  # cancelled: this side computes again, if only to clean up
                wait.is_resumed = True
                self._computing += 1
                self._waits.remove(wait)

    async def sleep(self, ms: int) -> None:
        await self.until(_never, by_ms=self.now_ms + ms)

    def look(self) -> None:
        """Something has changed: who waited for it goes on."""
        for wait in [wait for wait in self._waits if wait.is_over()]:
            self._resume(wait, True)

    def _resume(self, wait: _Wait, is_over: bool) -> None:
        if wait.is_resumed:
            return
        wait.is_resumed = True
        self._waits.remove(wait)
        self._computing += 1
        if not wait.future.done():
            wait.future.set_result(is_over)

    def _advance(self) -> None:
        while self._computing == 0 and self._timers and not self._is_stopped:
            at_ms, _, timer = heapq.heappop(self._timers)
            if timer.action is None:
                continue
            self.now_ms = max(self.now_ms, at_ms)
            timer.action()
            self.look()

    def _ended(self, _task: asyncio.Task[None]) -> None:
        self._computing -= 1
        self._advance()


def _never() -> bool:
    return False
