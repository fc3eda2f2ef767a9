"""TextLine: what passes between an agent and a scripted callee where words alone travel, in virtual time.

Rules: it is the audio line's behaviour without its sound: the same callees ring, answer, refuse and hang up; words take
the time that a voice would take (`pace`); who is spoken to hears the words that were over when speech broke off. A callee
that talks over the agent stops it as the agent's turn settings say. What can't be told without sound (how well words are
recognized, at which word exactly somebody stops) is not pretended: docs/guides/text-line.md lists it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import attrs

from bolti_server.base.logging import get_logger
from bolti_server.lines.line import DialFailed
from bolti_server.simulated.callee_ear import END_OF_TURN_MS
from bolti_server.simulated.callees import callee_of
from bolti_server.simulated.phone import PhoneDown
from bolti_server.simulated.text.clock import Timer, VirtualClock
from bolti_server.simulated.text.pace import spoken_ms, words_in
from bolti_server.simulated.text.phone import TextPhone
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


class TextLine:
    """`on_key` and `on_left` are set by who talks on the agent's side before `connect()`."""

    def __init__(
        self,
        line: LineSpec,
        turn: TurnSpec,
        clock: VirtualClock,
        *,
        ring_timeout_seconds: int,
        agent_speed: float = 1.0,
    ) -> None:
        self._callee = callee_of(line)
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

    async def say(self, text: str, *, may_be_interrupted: bool = True) -> Speech:
        """The agent speaks; returns when it is said, or broken off because the callee talks over it."""
        speech = self._speech(text, may_be_interrupted, self._agent_speed)
        self._agent = self.latest = speech
        if self._turn_end is not None:
            self._turn_end.cancel()
        if not self.is_turn_open:
            self.is_turn_open, self._voiced_ms = True, 0
        self._at(speech.end_ms, lambda: self._agent_is_quiet(speech))
        self._plan_interruption()
        self._clock.look()
        await self._clock.until(lambda: speech.is_over, by_ms=LONGEST_MS)
        return speech

    async def listen(self, *, silence_ms: int) -> Speech | None:
        """The callee's turn when it is over (joined where it only paused); None after `silence_ms` of silence."""
        while not self._is_turn_taken():
            quiet_since_ms = self._quiet_since_ms if self._talking is None else self._talking.end_ms
            await self._until(self._is_turn_taken, by_ms=quiet_since_ms + silence_ms)
            is_quiet = self._talking is None and self._quiet_since_ms == quiet_since_ms
            if not self._is_turn_taken() and is_quiet:
                return None
        return self.take_unanswered()

    @property
    def is_callee_speaking(self) -> bool:
        return self._talking is not None

    async def pass_time(self, ms: int) -> None:
        """The agent thinks."""
        if ms > 0:
            await self._clock.sleep(ms)
        self._quiet_since_ms = self.now_ms

    def press(self, keys: str) -> None:
        """The agent presses keys at the callee's ear."""
        self.phone.take_keys(keys)
        self._clock.look()

    def take_unanswered(self) -> Speech | None:
        """What the callee has said and nobody has taken yet, as one turn."""
        taken, self._unanswered = self._unanswered, []
        if not taken:
            return None
        text = " ".join(speech.text for speech in taken)
        return Speech(text, taken[0].start_ms, taken[-1].end_ms, is_over=True)

    def break_off(self) -> Speech | None:
        """The call ends now: what the agent was saying, as far as it was heard; None where it was silent."""
        if self._talking is not None:
            self._talking.break_off(self.now_ms)
            self._callee_is_quiet(self._talking)
        speech = self._agent
        if speech is not None:
            speech.break_off(self.now_ms)
            self._agent_is_quiet(speech)
        return speech

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
        text = self._not_withheld(speech)
        if text:
            self._unanswered.append(attrs.evolve(speech, text=text))
            self._at(self.now_ms + self._turn.endpointing_min_delay_ms, _nothing)

    def _not_withheld(self, speech: Speech) -> str:
        """What is said over an agent that may not be interrupted is not listened to."""
        if self._agent is not None and not self._agent.may_be_interrupted:
            return ""
        lost = words_in(
            speech.text,
            (self._deaf_until_ms - speech.start_ms) / max(1, speech.end_ms - speech.start_ms),
        )
        return " ".join(speech.text.split()[len(lost.split()) :])

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

    async def _until(self, is_over: Callable[[], bool], *, by_ms: int) -> bool:
        return await self._clock.until(is_over, by_ms=self._answered_ms + by_ms)


def _nothing() -> None:
    """An instant at which somebody may look."""
