"""What ends a call that nobody ends: silence on both sides, and the time that the hold pays for."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import AgentSession

from bolti_server.voice.ending import Ending
from bolti_server.worker_api.messages import CallSpec


async def end_at_cap(spec: CallSpec, ending: Ending) -> None:
    """Begin it at the answer. Seconds are the loop's monotonic ones."""
    await asyncio.sleep(spec.max_duration_seconds)
    ending.decide("credits_exhausted" if spec.is_cap_shortened else "max_duration")


async def end_at_silence(session: AgentSession[Any], spec: CallSpec, ending: Ending) -> None:
    """Begin it at the answer. An agent that thinks or waits for a tool is not silent: that has limits of its own."""
    changed = asyncio.Event()

    def note(_event: object) -> None:
        changed.set()

    session.on("agent_state_changed", note)
    session.on("user_state_changed", note)
    while True:
        changed.clear()
        is_quiet = session.user_state != "speaking" and session.agent_state not in (
            "speaking",
            "thinking",
        )
        try:
            async with asyncio.timeout(spec.silence_timeout_seconds if is_quiet else None):
                await changed.wait()
        except TimeoutError:
            ending.decide("silence_timeout")
            return
