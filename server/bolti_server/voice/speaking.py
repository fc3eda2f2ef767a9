"""What is said without the model: disclosure and greeting, and the words before we hang up.

Rule: what comes first is synthesized before the number is dialed, so that it is heard as soon as the callee answers, and
so that a voice that does not work is found before anybody's phone rings.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import attrs
from livekit import rtc
from livekit.agents import AgentSession, APIConnectOptions, APIError, tts

from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.voice.phrases import phrases_in
from bolti_server.worker_api.messages import CallSpec

WARM_SECONDS = 8.0
INTERRUPT_SECONDS = 1.5
_WARM_OPTIONS = APIConnectOptions(max_retry=1, retry_interval=0.3, timeout=3.0)


@attrs.frozen
class _Opening:
    text: str
    frames: list[rtc.AudioFrame]
    may_be_interrupted: bool


class Speaker:
    """Speaks through the session; `warm()` before the dial, `greet()` at the answer."""

    def __init__(self, session: AgentSession[Any], voice: tts.TTS[Any], spec: CallSpec) -> None:
        self._session = session
        self._voice = voice
        self._spec = spec
        self._openings: list[_Opening] = []
        self.phrases = phrases_in(spec.primary_language)

    async def warm(self) -> None:
        """Synthesizes disclosure and greeting. Raises ModelUnavailable."""
        spec = self._spec
        texts = [(spec.disclosure_text, False), (spec.greeting, spec.turn.is_interruption_enabled)]
        if spec.transcript_so_far:  # this agent replaces another, which has said both
            texts = []
        for text, may_be_interrupted in texts:
            if text:
                frames = await self._synthesized(text)
                self._openings.append(_Opening(text, frames, may_be_interrupted))
        if not self._openings:
            self._voice.prewarm()

    def greet(self) -> None:
        """At once: the sound is there already. A replacing agent goes on with the conversation instead."""
        for opening in self._openings:
            self._session.say(
                opening.text,
                audio=_played(opening.frames),
                allow_interruptions=opening.may_be_interrupted,
            )
        if self._spec.transcript_so_far:
            self._session.generate_reply()

    def ask_again(self) -> None:
        """One failure: ask the callee to say it again."""
        self._session.say(self.phrases.ask_again)

    async def say_to_end(self, text: str, within_seconds: float) -> None:
        """Stops whatever is being said, then says `text` to its end, whatever the callee says. Never takes longer."""
        try:
            async with asyncio.timeout(within_seconds):
                await self.stop()
                await self._session.say(text, allow_interruptions=False)
        except TimeoutError:
            return

    async def stop(self) -> None:
        """Silence, now; what was heard of the turn is kept. Takes at most INTERRUPT_SECONDS."""
        stopped = self._session.interrupt(force=True)
        await asyncio.wait({stopped}, timeout=INTERRUPT_SECONDS)

    async def _synthesized(self, text: str) -> list[rtc.AudioFrame]:
        try:
            async with asyncio.timeout(WARM_SECONDS):
                return [frame async for frame in self._frames(text)]
        except (APIError, TimeoutError) as error:
            said = str(error) or "no sound came in time"
            raise ModelUnavailable(
                f"The voice of {self._spec.tts.provider} could not be synthesized: {said[:300]}"
            ) from error

    async def _frames(self, text: str) -> AsyncIterator[rtc.AudioFrame]:
        if not self._voice.capabilities.streaming:
            async with self._voice.synthesize(text, conn_options=_WARM_OPTIONS) as chunks:
                async for chunk in chunks:
                    yield chunk.frame
            return
        # By the same socket as the answers later: it is open and proven when the callee picks up.
        async with self._voice.stream(conn_options=_WARM_OPTIONS) as stream:
            stream.push_text(text)
            stream.end_input()
            async for audio in stream:
                yield audio.frame


async def _played(frames: list[rtc.AudioFrame]) -> AsyncIterator[rtc.AudioFrame]:
    for frame in frames:
        yield frame
