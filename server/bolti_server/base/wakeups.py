"""Wake-ups inside one process: after a commit, whoever waits for its topic looks at the database at once.

Rule: a wake-up is a hint, never the truth: it says nothing across processes and may come too often, so every waiter also
looks on its own every now and then. A waiter listens before it looks, else a wake-up between both is lost:

    with wakeups.listen("claimable") as listener:
        while not (found := await look()):
            if not await listener.wait(timeout_seconds) and wakeups.is_stopping:
                break

`stop()` ends every wait of the process at once, now and later: long polls and streams must not hold up a SIGTERM.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Listener:
    """One waiter on one topic. A wake-up that came since `listen` or since the last `wait` counts."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def wait(self, timeout_seconds: float) -> bool:
        """True when woken (also by `stop()`), False when the time is over."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True

    def wake(self) -> None:
        self._event.set()


class Wakeups:
    """Topics and who listens to them. Belongs to one event loop; `wake` is called from that loop's thread."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self._is_stopping = False

    @property
    def is_stopping(self) -> bool:
        """True once the process is about to end: answer what you have and go."""
        return self._is_stopping

    def wake(self, topic: str) -> None:
        """Wakes all who listen to `topic` now."""
        for listener in self._listeners.get(topic, ()):
            listener.wake()

    @contextmanager
    def listen(self, topic: str) -> Iterator[Listener]:
        listener = Listener()
        if self._is_stopping:
            listener.wake()
        self._listeners.setdefault(topic, set()).add(listener)
        try:
            yield listener
        finally:
            listeners = self._listeners[topic]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[topic]

    async def wait(self, topic: str, timeout_seconds: float) -> bool:
        """Waits for the next wake-up of `topic`; for callers that have nothing to look at before."""
        with self.listen(topic) as listener:
            return await listener.wait(timeout_seconds)

    def stop(self) -> None:
        """Wakes everyone, for good. Safe to repeat."""
        self._is_stopping = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.wake()
