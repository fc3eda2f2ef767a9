"""While something takes long the callee is not left in silence: the agent asks for a moment, and another."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from bolti_server.voice.speaking import Speaker

PATIENCE_SECONDS = 2.0  # with a tool
TRANSFER_PATIENCE_SECONDS = 6.0  # with a telephone that rings
MORE_PATIENCE_SECONDS = 8.0  # and again after each so many

Result = TypeVar("Result")


async def with_words(
    asked: asyncio.Future[Result], speaker: Speaker, patience_seconds: float = PATIENCE_SECONDS
) -> Result:
    """What `asked` comes to."""
    while True:
        done, _ = await asyncio.wait({asked}, timeout=patience_seconds)
        if done:
            return asked.result()
        speaker.ask_for_a_moment()
        patience_seconds = MORE_PATIENCE_SECONDS
