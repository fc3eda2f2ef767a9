"""TextLine: what passes between an agent and a scripted callee where words alone travel, in virtual time.

Rules: it is the audio line's behaviour without its sound: the same callees ring, answer, refuse and hang up; words take
the time that a voice would take (`pace`); who is spoken to hears the words that were over when speech broke off. A callee
that talks over the agent stops it as the agent's turn settings say. What can't be told without sound (how well words are
recognized, at which word exactly somebody stops) is not pretended: docs/guides/text-line.md lists it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

import attrs

from bolti_server.base.logging import get_logger
from bolti_server.lines.line import DialFailed
from bolti_server.simulated.callee_ear import END_OF_TURN_MS
from bolti_server.simulated.callees import Callee, callee_of
from bolti_server.simulated.phone import PAUSE, PhoneDown, key_ms
from bolti_server.simulated.text.clock import Timer, VirtualClock
from bolti_server.simulated.text.pace import spoken_ms, word_ends, words_in
from bolti_server.simulated.text.phone import TextPhone
from bolti_server.simulated.transfers import transfer_to
from bolti_server.worker_api.messages import LineSpec, TurnSpec

SETUP_MS = 50  # from dialing to the first sign of the other side, as on the audio line
# Until the voice detector is sure that the callee speaks; measured on the audio line, 2026-11-25.
DETECTION_MS = 100
LONGEST_MS = 24 * 3600 * 1000

log = get_logger("simulated")


@attrs.define(eq=False)
class Speech:
    """One side speaks. `end_ms` is where it would end, and where it did once `is_over`; instants since the answer."""

    text: str
    start_ms: int
    end_ms: int
    may_be_interrupted: bool = True
    is_interrupted: bool = False
    is_over: bool = False

    def heard_by(self, ms: int) -> str:
        """The words that are over at the instant `ms`."""
        whole_ms = self.end_ms - self.start_ms
        return (
            self.text if ms >= self.end_ms else words_in(self.text, (ms - self.start_ms) / whole_ms)
        )

    def break_off(self, ms: int) -> None:
        heard = self.heard_by(ms)
        self.is_interrupted, self.is_over = heard != self.text, True
        self.text, self.end_ms = heard, min(ms, self.end_ms)


class Ear(Protocol):
    """Who follows the callee's voice word by word, besides the agent, which hears turns. Instants are since the answer."""

    is_listening: bool

    def voice_began(self, at_ms: float) -> None: ...

    def words(self, text: str, at_ms: float, *, is_final: bool) -> None: ...

    def voice_ended(self, at_ms: float) -> None: ...


class TextLine:
    """`ear` and the callbacks are set by who talks on the agent's side before `connect()`."""

    def __init__(
        self,
        line: LineSpec,
        turn: TurnSpec,
        clock: VirtualClock,
        *,
        ring_timeout_seconds: int,
        agent_speed: float = 1.0,
        callee: Callee | None = None,
    ) -> None:
        self._callee = callee_of(line) if callee is None else callee
        self._clock = clock
        self._turn = turn
        self._ring_timeout_seconds = ring_timeout_seconds
        self._agent_speed = agent_speed
        self._answered_ms = 0
        self._agent: Speech | None = None
        self.latest: Speech | None = None  # of the agent, going on or over
        self._talking: Speech | None = None  # the callee
        self._unanswered: list[Speech] = []  # of the callee, over, not taken by `listen` yet
        self._deaf_until_ms = 0
        self._quiet_since_ms = 0
        self._turn_end: Timer | None = None
        self._heard: list[str] = []  # by the callee, of the agent's turn that goes on
        self._voiced_ms = 0
        self._task: asyncio.Task[None] | None = None
        self.turns: list[str] = []  # of the agent, as the callee heard them, over
        self.is_turn_open = False
        self.on_ringing: Callable[[], None] = lambda: None
        self.on_left: Callable[[str], None] = lambda _code: None
        self.on_key: Callable[[str], None] = lambda _key: None
        self.on_beep: Callable[[int], None] = lambda _length_ms: None
        self.ear: Ear | None = None
        self.is_agent_stopped = False
        self.transferred_to: str | None = None  # where the callee went by a transfer
        self.phone = TextPhone(self, clock)

    @property
    def now_ms(self) -> int:
        """Milliseconds since the answer."""
        return self._clock.now_ms - self._answered_ms

    # ---- the agent's side ----

    async def connect(self) -> None:
        """Rings; returns with the answer, which is instant 0 from then on. Raises DialFailed."""
        refusal, ring_ms = self._callee.refusal, self._callee.ring_ms
        await self._clock.sleep(SETUP_MS)
        if refusal is not None and ring_ms == 0:
            raise attrs.evolve(refusal)
        self.on_ringing()
        if ring_ms is None or ring_ms > 1000 * self._ring_timeout_seconds:
            await self._clock.sleep(1000 * self._ring_timeout_seconds)
            raise DialFailed(
                "no_answer", None, f"Rang for {self._ring_timeout_seconds} s; nobody picked up."
            )
        await self._clock.sleep(ring_ms)
        if refusal is not None:
            raise attrs.evolve(refusal)
        self._answered_ms = self._clock.now_ms
        self._task = self._clock.spawn(self._run_callee(), name="text_callee")

    def stop_agent(self) -> None:
        """What the agent's side is at (speaking, too) is over now, and so is all that it begins until `resume_agent`: it
        has to look."""
        self.is_agent_stopped = True
        self._clock.look()

    def resume_agent(self) -> None:
        self.is_agent_stopped = False

    async def say(
        self, text: str, *, may_be_interrupted: bool = True, within_ms: int = LONGEST_MS
    ) -> Speech:
        """The agent speaks; returns when it is said, or broken off: the callee talks over it, or it takes too long."""
        speech = self._speech(text, may_be_interrupted, self._agent_speed)
        self._agent = self.latest = speech
        if self._turn_end is not None:
            self._turn_end.cancel()
        if not self.is_turn_open:
            self.is_turn_open, self._voiced_ms = True, 0
        self._at(speech.end_ms, lambda: self._agent_is_quiet(speech))
        self._plan_interruption()
        self._clock.look()
        await self.wait_for(lambda: speech.is_over, by_ms=self.now_ms + within_ms)
        self._interrupt(speech)
        return speech

    async def listen(self, *, silence_ms: int) -> Speech | None:
        """The callee's turn when it is over (joined where it only paused); None after `silence_ms` of silence."""
        while not self._is_turn_taken() and not self.is_agent_stopped:
            quiet_since_ms = self._quiet_since_ms if self._talking is None else self._talking.end_ms
            await self.wait_for(self._is_turn_taken, by_ms=quiet_since_ms + silence_ms)
            is_quiet = self._talking is None and self._quiet_since_ms == quiet_since_ms
            if not self._is_turn_taken() and is_quiet:
                return None
        return self.take_unanswered()

    @property
    def is_callee_speaking(self) -> bool:
        return self._talking is not None

    @property
    def is_callee_heard(self) -> bool:
        """Whether it speaks, or has said something that nobody has taken yet."""
        return self._talking is not None or bool(self._unanswered)

    async def wait_for(self, is_over: Callable[[], bool], *, by_ms: int) -> bool:
        """Whether it was over by then, or the agent was stopped."""
        return await self._clock.until(
            lambda: self.is_agent_stopped or is_over(), by_ms=self._answered_ms + by_ms
        )

    async def pass_time(self, ms: int) -> None:
        """The agent thinks."""
        if ms > 0:
            await self.wait_for(_never, by_ms=self.now_ms + ms)
        self._quiet_since_ms = self.now_ms

    async def press(self, keys: str) -> None:
        """The agent presses keys at the callee's ear, one after another; `w` is a pause."""
        for key in keys:
            if key != PAUSE:
                self.phone.take_key(key)
                self._clock.look()
            await self.pass_time(key_ms(key))

    async def transfer(self, to_number: str) -> None:
        """Connects the callee with whoever is at a number of the simulated network. Raises TransferFailed."""
        await self.bring_in(to_number)
        await self.hangup()  # it talks with somebody else now

    async def bring_in(self, to_number: str) -> None:
        """Whoever is there comes into the call, and the callee hears what the agent says to it. Raises TransferFailed."""
        outcome = transfer_to(to_number)
        await self.pass_time(outcome.ring_ms)
        if outcome.failure is not None:
            raise attrs.evolve(outcome.failure)
        self.transferred_to = to_number

    def take_unanswered(self) -> Speech | None:
        """What the callee has said and nobody has taken yet, as one turn."""
        taken, self._unanswered = self._unanswered, []
        if not taken:
            return None
        text = " ".join(speech.text for speech in taken)
        return Speech(text, taken[0].start_ms, taken[-1].end_ms, is_over=True)

    def silence_agent(self) -> Speech | None:
        """What the agent was saying, as far as it was heard; None where it was silent."""
        speech = self._agent
        if speech is not None:
            self._interrupt(speech)
        return speech

    def break_off(self) -> Speech | None:
        """The call ends now. As `silence_agent`, and the callee's words are those that were heard."""
        if self._talking is not None:
            self._talking.break_off(self.now_ms)
            self._callee_is_quiet(self._talking)
        return self.silence_agent()

    async def hangup(self) -> None:
        """Safe to repeat."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    # ---- the callee's side (TextPhone) ----

    @property
    def is_agent_speaking(self) -> bool:
        return self._agent is not None

    @property
    def voiced_ms(self) -> int:
        """Of the agent's voice in its turn that goes on, or the last one."""
        return self._voiced_ms + (0 if self._agent is None else self.now_ms - self._agent.start_ms)

    async def callee_says(self, text: str) -> None:
        speech = self._speech(text, True, 1.0)
        self._talking = speech
        self._follow(speech)
        self._at(speech.end_ms, lambda: self._callee_is_quiet(speech))
        self._plan_interruption()
        await self._clock.until(lambda: speech.is_over, by_ms=LONGEST_MS)

    # ---- how it goes on ----

    def _speech(self, text: str, may_be_interrupted: bool, speed: float) -> Speech:
        end_ms = self.now_ms + spoken_ms(text, speed)
        return Speech(text, self.now_ms, end_ms, may_be_interrupted)

    def _plan_interruption(self) -> None:
        """Where both speak: when the agent will notice, and stop."""
        agent, callee = self._agent, self._talking
        if agent is None or callee is None or not agent.may_be_interrupted:
            return
        begins_ms = max(agent.start_ms, callee.start_ms)
        cut_ms = begins_ms + self._turn.interruption_min_duration_ms + DETECTION_MS
        if callee.end_ms - callee.start_ms < self._turn.interruption_min_duration_ms:
            cut_ms = (
                callee.end_ms + self._turn.endpointing_min_delay_ms
            )  # a word is a turn of its own
        if cut_ms < agent.end_ms:
            self._at(cut_ms, lambda: self._interrupt(agent))

    def _interrupt(self, speech: Speech) -> None:
        if not speech.is_over:
            speech.break_off(self.now_ms)
            self._agent_is_quiet(speech)

    def _agent_is_quiet(self, speech: Speech) -> None:
        if self._agent is not speech:
            return
        self._agent, speech.is_over = None, True
        self._quiet_since_ms = self.now_ms
        self._voiced_ms += speech.end_ms - speech.start_ms
        if not speech.may_be_interrupted:
            self._deaf_until_ms = speech.end_ms
        self._heard.append(speech.text)
        self._turn_end = self._at(self.now_ms + END_OF_TURN_MS, self._end_turn)

    def _end_turn(self) -> None:
        self.is_turn_open = False
        self.turns.append(" ".join(" ".join(self._heard).split()))
        self._heard = []

    def _callee_is_quiet(self, speech: Speech) -> None:
        if self._talking is not speech:
            return
        self._talking, speech.is_over = None, True
        self._quiet_since_ms = self.now_ms
        text = self._understood(speech)
        if text:
            self._unanswered.append(attrs.evolve(speech, text=text))
            self._at(self.now_ms + self._turn.endpointing_min_delay_ms, _nothing)
        if self.ear is not None:
            if text:
                self.ear.words(text, self.now_ms, is_final=True)
            self.ear.voice_ended(self.now_ms)

    def _understood(self, speech: Speech) -> str:
        """Its words by now; what is said over an agent that may not be interrupted is not listened to."""
        if self._agent is not None and not self._agent.may_be_interrupted:
            return ""
        whole_ms = max(1, speech.end_ms - speech.start_ms)
        lost = words_in(speech.text, (self._deaf_until_ms - speech.start_ms) / whole_ms)
        return " ".join(speech.heard_by(self.now_ms).split()[len(lost.split()) :])

    def _follow(self, speech: Speech) -> None:
        """Tells the ear of each word of the callee when it is over."""
        if self.ear is None or not self.ear.is_listening:
            return
        self.ear.voice_began(self.now_ms)
        whole_ms = speech.end_ms - speech.start_ms
        for part in word_ends(speech.text)[:-1]:
            at_ms = speech.start_ms + math.ceil(part * whole_ms)
            self._at(at_ms, lambda: self._hear_more_of(speech))

    def _hear_more_of(self, speech: Speech) -> None:
        text = self._understood(speech)
        if text and self.ear is not None:
            self.ear.words(text, self.now_ms, is_final=False)

    def _is_turn_taken(self) -> bool:
        if not self._unanswered or self._talking is not None:
            return False
        return self.now_ms >= self._unanswered[-1].end_ms + self._turn.endpointing_min_delay_ms

    async def _run_callee(self) -> None:
        code = "remote_hangup"
        try:
            await self._callee.talk(self.phone)
        except PhoneDown:
            pass
        except Exception as error:
            log.error("simulated_line_broke", exc_info=error)
            code = "media_lost"
        self.on_left(code)

    def _at(self, ms: int, action: Callable[[], None]) -> Timer:
        return self._clock.at(self._answered_ms + ms, action)


def _never() -> bool:
    return False


def _nothing() -> None:
    """An instant at which somebody may look."""
