"""Waiting and blocking work, once for each face: the asynchronous names are turned into the others by tools/unasync.py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Blocks this thread: the wait before a retry, which is all that a synchronous client can do then."""
    time.sleep(seconds)  # noqa: TID251 - backoff; there is nothing to wait on


async def async_sleep(seconds: float) -> None:
    """Lets other tasks run."""
    await asyncio.sleep(seconds)


def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Does it here and now."""
    return work(*args, **kwargs)


async def async_in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Does it beside the event loop: for the disk."""
    return await asyncio.to_thread(work, *args, **kwargs)
