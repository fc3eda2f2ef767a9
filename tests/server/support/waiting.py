"""Waiting for a fact: it is looked for every few milliseconds until it is there or the deadline has passed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY_SECONDS = 0.01


async def until(look: Callable[[], Awaitable[T]], *, seconds: float = 5.0, what: str = "it") -> T:
    """The first true value that `look` returns. Raises AssertionError when none came in time."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return found
