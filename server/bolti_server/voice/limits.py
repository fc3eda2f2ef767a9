"""What ends a call that nobody ends: silence on both sides, and the time that the hold pays for."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import attrs
from livekit.agents import AgentSession, AgentStateChangedEvent, UserStateChangedEvent

from bolti_server.voice.ending import Ending
from bolti_server.voice.speaking import Speaker
from bolti_server.worker_api.messages import CallSpec

SHORTEST_WAIT_SECONDS = 3.0
LONGEST_PROMPT_SECONDS = 15.0


async def end_at_cap(spec: CallSpec, ending: Ending) -> None:
    """Begin it at the answer. Seconds are the loop's monotonic ones; those that an agent before has talked count."""
    talked_ms = 0 if spec.takeover is None else spec.takeover.answered_ms_ago or 0
    await asyncio.sleep(max(0.0, spec.max_duration_seconds - talked_ms / 1000))
    ending.decide(spec.code_at_cap)


async def end_at_silence(
    session: AgentSession[Any], spec: CallSpec, ending: Ending, speaker: Speaker
) -> None:
    """Begin it at the answer. An agent that thinks or waits for a tool is not silent: that has limits of its own.

    On the way the agent asks whether somebody is still there; that takes no silence away, so it puts nothing off.
    """
    changed = asyncio.Event()
    silence = _Silence()

    def note_agent(_event: AgentStateChangedEvent) -> None:
        changed.set()

    def note_user(event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            silence.end()
        changed.set()

    session.on("agent_state_changed", note_agent)
    session.on("user_state_changed", note_user)
    prompts = prompt_instants(spec.silence_timeout_seconds, spec.silence_prompt.times)
    while True:
        changed.clear()
        if session.user_state == "speaking" or session.agent_state in ("speaking", "thinking"):
            if not silence.is_asking:
                silence.end()
            await changed.wait()
            continue
        silence.is_asking = False
        is_prompt = silence.prompts < len(prompts)
        limit = prompts[silence.prompts] if is_prompt else spec.silence_timeout_seconds
        began = time.monotonic()
        try:
            async with asyncio.timeout(limit - silence.seconds):
                await changed.wait()
            silence.seconds += time.monotonic() - began
        except TimeoutError:
            if not is_prompt:
                ending.decide("silence_timeout")
                return
            silence.seconds = limit
            silence.prompts += 1
            silence.is_asking = True
            await speaker.ask_whether_still_there(LONGEST_PROMPT_SECONDS)


@attrs.define
class _Silence:
    """How long nobody has spoken, the agent's questions about it aside, and how many those were."""

    seconds: float = 0.0
    prompts: int = 0
    is_asking: bool = False  # the agent speaks, or has only just stopped

    def end(self) -> None:
        self.seconds, self.prompts, self.is_asking = 0.0, 0, False


def prompt_instants(silence_timeout_seconds: float, times: int) -> list[float]:
    """After how many seconds of silence the agent asks: each halves what is left, and leaves time to answer."""
    instants: list[float] = []
    left = float(silence_timeout_seconds)
    for _ in range(times):
        left /= 2
        if left < SHORTEST_WAIT_SECONDS:
            break
        instants.append(silence_timeout_seconds - left)
    return instants
