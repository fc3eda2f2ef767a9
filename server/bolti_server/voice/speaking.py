"""What is said without the model: disclosure and greeting, and the words before we hang up.

Rule: what comes first is synthesized before the number is dialed, so that it is heard as soon as the callee answers, and
so that a voice that does not work is found before anybody's phone rings.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import attrs
from livekit import rtc
from livekit.agents import NOT_GIVEN, Agent, AgentSession

from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.voice.fallback import text_of
from bolti_server.voice.phrases import phrases_in
from bolti_server.voice.tts_chain import TtsChain
from bolti_server.worker_api.messages import CallSpec

WARM_SECONDS = 8.0
INTERRUPT_SECONDS = 1.5


@attrs.frozen
class _Opening:
    text: str
    frames: list[rtc.AudioFrame]
    may_be_interrupted: bool


class Speaker:
    """Speaks through the session; `warm()` before the dial, `greet()` at the answer."""

    def __init__(self, session: AgentSession[Any], voice: TtsChain, spec: CallSpec) -> None:
        self._session = session
        self._voice = voice
        self._spec = spec
        self._openings: list[_Opening] = []
        self._has_agent = asyncio.Event()
        self._has_agent.set()
        self.phrases = phrases_in(spec.primary_language)

    async def warm(self) -> None:
        """Synthesizes disclosure and greeting. Raises ModelUnavailable."""
        spec = self._spec
        texts = [(spec.disclosure_text, False), (spec.greeting, spec.turn.is_interruption_enabled)]
        if spec.transcript_so_far:  # this agent replaces another, which has said both
            texts = []
        if is_in_midcall(spec):
            texts.insert(0, (self.phrases.cut_off, spec.turn.is_interruption_enabled))
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
        turns = self._spec.transcript_so_far
        # Whoever took a call over answers what was said last; where the agent before had the word, the callee goes on.
        if turns and (not is_in_midcall(self._spec) or turns[-1].role == "user"):
            self._session.generate_reply()

    def ask_again(self) -> None:
        """One failure: ask the callee to say it again."""
        self._say_while_open(self.phrases.ask_again)

    def ask_for_a_moment(self) -> None:
        """Something takes long: so that nobody thinks that the line is dead."""
        self._say_while_open(self.phrases.one_moment)

    def _say_while_open(self, text: str) -> None:
        with suppress(RuntimeError):  # the session is closing: nobody listens any more
            self._session.say(text)

    async def ask_whether_still_there(self, within_seconds: float) -> None:
        """In a silence. Returns when it is said, or broken off; never takes longer."""
        await self.say(self._spec.silence_prompt.text or self.phrases.still_there, within_seconds)

    async def say(self, text: str, within_seconds: float, *, to_end: bool = False) -> None:
        """After what is being said. Returns when it is said, or broken off (`to_end`: whatever the callee says, it is not);
        never takes longer."""
        may_be_interrupted = False if to_end else NOT_GIVEN
        try:
            async with asyncio.timeout(within_seconds):
                await self._has_agent.wait()
                await self._session.say(text, allow_interruptions=may_be_interrupted)
        except TimeoutError:
            return

    def change_agent(self, agent: Agent) -> None:
        """Another agent speaks from now on. The session refuses words while it changes, so they wait for `agent_is_here`."""
        self._has_agent.clear()
        self._session.update_agent(agent)

    def agent_is_here(self) -> None:
        """The session takes words again."""
        self._has_agent.set()

    async def say_to_end(self, text: str, within_seconds: float) -> None:
        """Stops whatever is being said, then says `text` to its end, whatever the callee says. Never takes longer."""
        try:
            async with asyncio.timeout(within_seconds):
                await self.stop()
                await self.say(text, within_seconds, to_end=True)
        except TimeoutError:
            return

    async def stop(self) -> None:
        """Silence, now; what was heard of the turn is kept. Takes at most INTERRUPT_SECONDS."""
        stopped = self._session.interrupt(force=True)
        await asyncio.wait({stopped}, timeout=INTERRUPT_SECONDS)

    async def _synthesized(self, text: str) -> list[rtc.AudioFrame]:
        # By the same socket as the answers later: it is open and proven when the callee picks up.
        try:
            async with asyncio.timeout(WARM_SECONDS):
                return [frame async for frame in self._voice.frames(_read(text))]
        except Exception as error:  # the edge to a vendor's plugin, which may raise anything
            said = "no sound came in time" if isinstance(error, TimeoutError) else text_of(error)
            raise ModelUnavailable(
                f"The voice of {self._spec.tts.provider} could not be synthesized: {said}"
            ) from error


def is_in_midcall(spec: CallSpec) -> bool:
    """Whether somebody has talked with an agent already, who was lost."""
    return spec.takeover is not None and spec.takeover.answered_ms_ago is not None


async def _read(text: str) -> AsyncIterator[str]:
    yield text


async def _played(frames: list[rtc.AudioFrame]) -> AsyncIterator[rtc.AudioFrame]:
    for frame in frames:
        yield frame
