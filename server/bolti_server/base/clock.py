"""Time inside the process: for waits and time-outs only.

Rule: an instant that is stored or compared with a stored one comes from the database's `bolti_now()`, so that all
processes, and tests that move time, share one clock. What is left for a process is how long to wait.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """This machine's idea of now, aware, UTC (log lines, short-lived links; never a stored instant)."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward: for measuring and for deadlines of this process."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The real one."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def rfc3339(instant: datetime) -> str:
    """`instant` (aware, any zone) as the wire wants it: UTC, milliseconds, `Z`: 2026-11-24T10:00:00.123Z."""
    assert instant.tzinfo is not None, "a naive time has no meaning here"
    utc = instant.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
