"""SimulatedLine: a telephone line to a scripted callee, with real sound at real time in both directions.

It rings, is answered or refused, carries 20 ms of sound each way with every beat, silence included, and ends once: by
the agent (`hangup`) or by the callee (`on_left`). The callee hears what was played and nothing else; an agent that is
interrupted keeps only the words that were spoken, because a TranscriptSynchronizer stands in the output chain.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import attrs
from livekit.agents import AgentSession
from livekit.agents.voice.transcription import TranscriptSynchronizer

from bolti_server.base.logging import get_logger
from bolti_server.lines.line import DialFailed, Guest, GuestDial, TransferFailed
from bolti_server.simulated.beat import Beat
from bolti_server.simulated.callee_ear import END_OF_TURN_MS, Ear
from bolti_server.simulated.callee_mouth import Mouth
from bolti_server.simulated.callee_phone import CalleePhone
from bolti_server.simulated.callees import Callee, callee_of
from bolti_server.simulated.espeak import VoiceFailed
from bolti_server.simulated.line_input import LineInput
from bolti_server.simulated.line_output import LineOutput
from bolti_server.simulated.phone import PAUSE, PhoneDown, key_ms
from bolti_server.simulated.sound import FRAME_MS, WORDS
from bolti_server.simulated.spoken_words import SpokenWords, WordsBeside
from bolti_server.simulated.transfers import ShortGuest, transfer_to
from bolti_server.worker_api.messages import LineSpec, SipTrunk

LineVoice = Literal["speech", "modem"]
Who = Literal["agent", "callee"]
# A frame passes some ten tasks between the model and the line.
TURNS_OF_OTHERS = 10
CALLEE_TASK = "simulated_callee"
SETUP_SECONDS = 0.05  # from dialing to the first sign of the other side

log = get_logger("simulated")


@attrs.frozen
class Stretch:
    """One side's voice on the line from its first sound to its last, in milliseconds since the answer."""

    who: Who
    start_ms: int
    end_ms: int


class SimulatedLine:
    """A CallLine. `voice` is how words travel: beside the audio (speech), or in it (modem)."""

    def __init__(
        self,
        line: LineSpec,
        *,
        ring_timeout_seconds: int,
        voice: LineVoice = "speech",
        callee: Callee | None = None,
    ) -> None:
        self.voice: LineVoice = voice
        self._callee = callee_of(line) if callee is None else callee
        self._ring_timeout_seconds = ring_timeout_seconds
        self._mouth, self._ear = Mouth(), Ear(reads_modem=voice == "modem")
        self._input, self._output = LineInput(), LineOutput(self._ear.hear_words)
        self._synchronizer: TranscriptSynchronizer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()
        self._phone = CalleePhone(self._mouth, self._ear, voice, self._press)
        self._stretches: list[Stretch] = []
        self._started_ms: dict[Who, int] = {}
        self._keys = ""
        self.transferred_to: str | None = None  # where the callee went by a transfer
        self._left: str | None = None
        self._on_ringing: list[Callable[[], None]] = []
        self._on_left: list[Callable[[str], None]] = []
        self._on_dtmf: list[Callable[[str], None]] = []

    # ---- what the call sees ----

    async def attach(self, session: AgentSession[Any]) -> dict[str, Any]:
        """Sets the session's sound in and out, before `session.start`."""
        self._synchronizer = TranscriptSynchronizer(
            next_in_chain_audio=self._output,
            next_in_chain_text=WordsBeside(self._ear, self._output),
        )
        session.input.audio = self._input
        session.output.audio = SpokenWords(self._synchronizer.audio_output, self._output)
        session.output.transcription = self._synchronizer.text_output
        return {}

    async def ready(self) -> None:
        """At once."""

    async def connect(self, trunk: SipTrunk | None = None) -> None:
        """Rings; returns with the answer, from which on sound flows. Raises DialFailed."""
        refusal, ring_ms = self._callee.refusal, self._callee.ring_ms
        await self._pass(SETUP_SECONDS)
        if refusal is not None and ring_ms == 0:
            raise attrs.evolve(refusal)
        for callback in self._on_ringing:
            callback()
        if ring_ms is None or ring_ms > 1000 * self._ring_timeout_seconds:
            await self._pass(self._ring_timeout_seconds)
            raise DialFailed(
                "no_answer", None, f"Rang for {self._ring_timeout_seconds} s; nobody picked up."
            )
        await self._pass(ring_ms / 1000)
        if refusal is not None:
            raise attrs.evolve(refusal)
        self._tasks = [
            asyncio.create_task(self._run_clock(), name="simulated_clock"),
            asyncio.create_task(self._run_callee(), name=CALLEE_TASK),
        ]
        for task in self._tasks:
            task.add_done_callback(self._lose_if_broken)

    async def send_dtmf(self, digits: str) -> None:
        """Presses keys at the callee's ear, one after another; `w` is a pause. Stops where the call is over."""
        for key in digits:
            if self._over.is_set():
                return
            if key != PAUSE:
                self._keys += key
                self._phone.take_key(key)
            await self._is_over_within(key_ms(key) / 1000)

    async def transfer(self, to_number: str) -> None:
        """Connects the callee with whoever is at a number of the simulated network. Raises TransferFailed."""
        await self._ring(to_number)
        for task in self._tasks:
            if task.get_name() == CALLEE_TASK:
                task.cancel()  # it talks with somebody else now
        self._mouth.stop()

    async def bring_in(self, dial: GuestDial) -> Guest:
        """Somebody of the simulated network; the callee hears what the agent says to it. Raises TransferFailed."""
        await self._ring(dial.to_number)
        return ShortGuest()

    async def _ring(self, to_number: str) -> None:
        outcome = transfer_to(to_number)
        if await self._is_over_within(outcome.ring_ms / 1000):
            raise TransferFailed("remote_hangup", None, "The callee hung up while it was waiting.")
        if outcome.failure is not None:
            raise attrs.evolve(outcome.failure)
        self.transferred_to = to_number

    async def hangup(self) -> None:
        """Ends the call from the agent's side, also while it rings; safe to repeat."""
        self._over.set()
        for who in list(self._started_ms):
            self._end_stretch(who, self.position_ms)
        self._output.close()
        self._input.close()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._mouth.stop()
        synchronizer, self._synchronizer = self._synchronizer, None
        if synchronizer is not None:
            await synchronizer.aclose()

    async def leave(self) -> bool:
        """Nobody else can reach this callee: it lives in this process."""
        await self.hangup()
        return False

    def on_ringing(self, callback: Callable[[], None]) -> None:
        self._on_ringing.append(callback)

    def on_left(self, callback: Callable[[str], None]) -> None:
        """Called once with the hangup code; at once where the callee is gone already."""
        self._on_left.append(callback)
        if self._left is not None:
            callback(self._left)

    def on_dtmf(self, callback: Callable[[str], None]) -> None:
        self._on_dtmf.append(callback)

    # ---- what a test sees ----

    @property
    def heard(self) -> list[str]:
        """The agent's words as the callee heard them, a text for each time it spoke."""
        return self._ear.heard

    @property
    def said(self) -> list[str]:
        """The callee's words, a text for each time it spoke; one that broke off ends where it did."""
        return self._mouth.said

    @property
    def keys(self) -> str:
        """The keys that the agent pressed."""
        return self._keys

    @property
    def position_ms(self) -> int:
        """Milliseconds of sound since the answer."""
        return self._phone.position_ms

    @property
    def stretches(self) -> list[Stretch]:
        """Who spoke when, in the order in which they fell silent; what goes on is not among them yet."""
        return list(self._stretches)

    # ---- how it goes on ----

    def _press(self, key: str) -> None:
        for callback in self._on_dtmf:
            callback(key)

    async def _is_over_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _pass(self, seconds: float) -> None:
        """Waits while nobody hangs up. Raises DialFailed where the agent's side does."""
        if not await self._is_over_within(seconds):
            return
        raise DialFailed("cancelled_by_user", 487, "The call was given up before it was answered.")

    async def _run_clock(self) -> None:
        beat = Beat(time.monotonic(), time.time())
        while not self._over.is_set():
            for index, now in enumerate(beat.due(time.monotonic())):
                if index > 0:
                    await _let_others_run()
                if self._over.is_set():
                    return  # who left while missed beats were caught up hears none of them
                self._tick(now)
            await asyncio.sleep(beat.rest(time.monotonic()))

    def _tick(self, now: float) -> None:
        frame = self._mouth.next_frame()
        self._input.push(frame)
        if WORDS in frame.userdata:
            self._started_ms.setdefault("callee", self.position_ms)
        if not self._mouth.is_speaking and "callee" in self._started_ms:
            self._end_stretch("callee", self.position_ms + FRAME_MS)
        played = self._output.tick(now)
        has_ended = self._ear.hear(played)
        if self._ear.is_turn_open:
            self._started_ms.setdefault("agent", self.position_ms)
        elif has_ended:
            self._end_stretch("agent", self.position_ms + FRAME_MS - END_OF_TURN_MS)
        self._phone.tick()

    def _end_stretch(self, who: Who, end_ms: int) -> None:
        self._stretches.append(Stretch(who, self._started_ms.pop(who), end_ms))

    async def _run_callee(self) -> None:
        with suppress(PhoneDown):
            await self._callee.talk(self._phone)
        self._leave("remote_hangup")

    def _lose_if_broken(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if isinstance(error, VoiceFailed):
            log.error("callee_has_no_voice", reason=str(error))
        else:
            log.error("simulated_line_broke", exc_info=error)
        self._leave("media_lost")

    def _leave(self, code: str) -> None:
        """The callee is gone: nothing is played or said any more, and what it had not heard stays unheard."""
        if self._over.is_set():
            return
        self._over.set()
        self._left = code
        for who in list(self._started_ms):
            self._end_stretch(who, self.position_ms)
        self._mouth.stop()
        self._ear.put_down()
        if self._synchronizer is not None:
            self._synchronizer.audio_output.pause()  # its words go by the wall clock
        for callback in self._on_left:
            callback(code)


async def _let_others_run() -> None:
    """While missed beats are caught up: who feeds the line had no time either, and it would run dry."""
    for _ in range(TURNS_OF_OTHERS):
        await asyncio.sleep(0)
