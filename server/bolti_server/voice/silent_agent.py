"""Agents that speak by a chain of vendors, and the one that does nothing else: after a warm transfer."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from typing import Any

from livekit import rtc
from livekit.agents import Agent, ModelSettings

from bolti_server.voice.failures import Failures
from bolti_server.voice.tts_chain import TtsChain


class SpeakingAgent(Agent):
    """It speaks by a chain of vendors; what they can't do becomes an end of the call."""

    def __init__(self, voice: TtsChain, failures: Failures, **agent: Any) -> None:
        super().__init__(**agent)
        self._voice = voice
        self._failures = failures

    async def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncIterable[rtc.AudioFrame]:
        """The sound of `text`. Raises when nobody can speak it (to its end), which the session must know."""
        sound = self._voice.frames(text)
        try:
            async for frame in sound:
                yield frame
        except Exception as error:
            self._failures.tts_failed(error)
            raise
        finally:
            await sound.aclose()


class SilentAgent(SpeakingAgent):
    """It hears and answers nobody: others talk with each other. It can still be made to say something."""

    def __init__(self, voice: TtsChain, failures: Failures, on_here: Callable[[], None]) -> None:
        super().__init__(
            voice,
            failures,
            instructions="",
            stt=None,
            vad=None,
            llm=None,
            turn_handling={"turn_detection": "manual"},
        )

        self._on_here = on_here

    async def on_enter(self) -> None:
        """The session has it now."""
        self._on_here()
