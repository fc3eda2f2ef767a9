"""What the callee hears when models fail and no other vendor helps, and when the call ends of it.

Rules: one failed answer is asked for again; what fails for good (every vendor refuses us, or again and again) ends the
call with `model_error` after a spoken apology, where there is still a voice to speak it. The session is told never to
close by itself (`max_unrecoverable_errors`): it would do so in silence. Source: models.md, what each vendor's fault looks
like; decision 0010.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from livekit.agents import (
    AgentStateChangedEvent,
    ErrorEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
    UserTranscriptionTimeoutEvent,
)
from livekit.agents.stt import STTError

from bolti_server.base.logging import get_logger
from bolti_server.voice.ending import Ending
from bolti_server.voice.fallback import Vendors, text_of
from bolti_server.voice.models import CallModels
from bolti_server.voice.speaking import Speaker
from bolti_server.voice.stt_chain import SttChain

APOLOGY_SECONDS = 9.0
MAX_LLM_FAILURES = 2  # answers in a row, each of which every vendor was asked for
DEAF_SECONDS = 3.0  # from the first failure of the ear to the last: it is opened again half a second after each
FORGET_SECONDS = (
    10.0  # failures of the ear that are further apart have nothing to do with each other
)
MAX_DEAF_TURNS = 3  # speech by the voice detector, but no words: often just noise
SECOND_HEARING_SECONDS = 2.0  # for the vendor that hears again what the one before made no words of

log = get_logger("models")


class Failures:
    """Counts per component; a success takes its count back."""

    def __init__(
        self,
        models: CallModels,
        ending: Ending,
        speaker: Speaker,
        ear: SttChain,
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
    ) -> None:
        self._models = models
        self._ending = ending
        self._speaker = speaker
        self._ear = ear
        self._spawn = spawn
        self._counts = {"llm": 0, "deaf": 0}
        self._ear_failed_at = self._ear_fails_since = float("-inf")  # of the monotonic clock
        self._callee_spoke_at = 0.0
        self._words_heard = asyncio.Event()
        self._is_answered = False
        self._is_apologizing = False
        self._spoke_until = 0.0  # of the wall clock, as the session's events are

    def answered(self) -> None:
        """From now on somebody listens to an apology."""
        self._is_answered = True

    def on_words(self, event: UserInputTranscribedEvent) -> None:
        """Listener of `user_input_transcribed`."""
        self._words_heard.set()
        if event.is_final:
            self._counts["deaf"] = 0
            self._ear_failed_at = float("-inf")

    def on_callee_state(self, event: UserStateChangedEvent) -> None:
        """Listener of `user_state_changed`."""
        if event.new_state == "speaking":
            self._callee_spoke_at = event.created_at

    def on_agent_state(self, event: AgentStateChangedEvent) -> None:
        """Listener of `agent_state_changed`."""
        if event.new_state == "speaking":
            self._spoke_until = float("inf")
        elif event.old_state == "speaking":
            self._spoke_until = event.created_at

    def answered_by_llm(self) -> None:
        self._counts["llm"] = 0

    def on_error(self, event: ErrorEvent) -> None:
        """Listener of the session's `error`, for the ear alone: of mind and voice the agent's nodes tell."""
        problem = event.error
        if self._is_apologizing or not isinstance(problem, STTError) or problem.recoverable:
            return
        now = time.monotonic()
        if now - self._ear_failed_at > FORGET_SECONDS:
            self._ear_fails_since = now
        self._ear_failed_at = now
        is_refused = self._models.stt.is_hopeless_after(problem.error)
        if is_refused or now - self._ear_fails_since >= DEAF_SECONDS:
            self._give_up(self._models.stt, problem.error)

    def on_deaf(self, _event: UserTranscriptionTimeoutEvent) -> None:
        """Listener of `user_transcription_timeout`: the only sign of a vendor that takes audio and answers nothing.

        Speech over the agent's does not count: where the agent may not be interrupted, it is withheld from the vendor.
        """
        if self._is_apologizing or self._callee_spoke_at <= self._spoke_until:
            return
        self._words_heard.clear()
        self._ear.listen_elsewhere()
        self._spawn("hear again", self._hear_again())

    async def _hear_again(self) -> None:
        try:
            async with asyncio.timeout(SECOND_HEARING_SECONDS):
                await self._words_heard.wait()
        except TimeoutError:
            self._ear.forgive()
            self._heard_nothing()

    def _heard_nothing(self) -> None:
        if self._is_apologizing or not self._is_answered:
            return
        silent = TimeoutError("speech was heard, but no transcript came")
        if self._is_beyond("deaf", silent, MAX_DEAF_TURNS, self._models.stt):
            self._give_up(self._models.stt, silent)
        else:
            self._speaker.ask_again()

    def llm_failed(self, error: Exception) -> str | None:
        """What to say instead of the answer; None: the call is being ended, with an apology of its own."""
        if self._is_apologizing:
            return None
        if self._is_beyond("llm", error, MAX_LLM_FAILURES, self._models.llm):
            self._give_up(self._models.llm, error)
            return None
        return self._speaker.phrases.ask_again

    def tts_failed(self, error: Exception) -> None:
        """Every voice was asked for one text and none has spoken it: there is none left to apologize with."""
        self._ending.decide("model_error", self._models.tts.complaint(error))

    def _is_beyond(self, what: str, error: Exception, most: int, vendors: Vendors[Any]) -> bool:
        self._counts[what] += 1
        log.warning("no_model_left", what=what, count=self._counts[what], detail=text_of(error))
        return self._counts[what] >= most or vendors.is_hopeless_after(error)

    def _give_up(self, vendors: Vendors[Any], error: Exception) -> None:
        detail = vendors.complaint(error)
        self._is_apologizing = True
        if not self._is_answered:
            self._ending.decide("model_error", detail)
            return
        self._spawn("apologize", self._apologize(detail))

    async def _apologize(self, detail: str) -> None:
        await self._speaker.say_to_end(self._speaker.phrases.apology, APOLOGY_SECONDS)
        self._ending.decide("model_error", detail)
