"""What the callee hears when a model fails, and when the call ends of it.

Rules: one failed answer is asked for again; what fails for good (a wrong key, or again and again) ends the call with
`model_error` after a spoken apology, where there is still a voice to speak it. The session is told never to close by
itself (`max_unrecoverable_errors`): it would do so in silence. Source: models.md, what each vendor's fault looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from livekit.agents import (
    AgentStateChangedEvent,
    APIStatusError,
    ErrorEvent,
    UserTranscriptionTimeoutEvent,
)
from livekit.agents.stt import STTError
from livekit.agents.tts import TTSError

from bolti_server.base.logging import get_logger
from bolti_server.voice.ending import Ending
from bolti_server.voice.speaking import Speaker
from bolti_server.worker_api.messages import CallSpec

APOLOGY_SECONDS = 9.0
MAX_LLM_FAILURES = 2  # in a row; a try with its repeat takes up to 6 s
MAX_TTS_FAILURES = 2
MAX_STT_FAILURES = 5  # it is opened again half a second after each: four seconds of deafness
MAX_DEAF_TURNS = 3  # speech by the voice detector, but no words: often just noise
_TRANSIENT_STATUS = frozenset({408, 429, 499})

log = get_logger("models")


class Failures:
    """Counts per component; a success takes its count back."""

    def __init__(
        self,
        spec: CallSpec,
        ending: Ending,
        speaker: Speaker,
        spawn: Callable[[str, Coroutine[Any, Any, None]], None],
    ) -> None:
        self._spec = spec
        self._ending = ending
        self._speaker = speaker
        self._spawn = spawn
        self._counts = {"stt": 0, "llm": 0, "tts": 0, "deaf": 0}
        self._is_answered = False
        self._is_apologizing = False
        self._spoke_until = 0.0  # of the wall clock, as the session's events are

    def answered(self) -> None:
        """From now on somebody listens to an apology."""
        self._is_answered = True

    def heard(self) -> None:
        self._counts["stt"] = self._counts["deaf"] = 0

    def on_agent_state(self, event: AgentStateChangedEvent) -> None:
        """Listener of `agent_state_changed`."""
        if event.new_state == "speaking":
            self._counts["tts"] = 0
            self._spoke_until = float("inf")
        elif event.old_state == "speaking":
            self._spoke_until = event.created_at

    def answered_by_llm(self) -> None:
        self._counts["llm"] = 0

    def on_error(self, event: ErrorEvent) -> None:
        """Listener of the session's `error`. LLM failures are told by `llm_failed`, which also sees what this can't."""
        problem = event.error
        if self._is_apologizing or getattr(problem, "recoverable", True):
            return
        if isinstance(problem, STTError):
            if self._is_beyond("stt", problem.error, MAX_STT_FAILURES):
                self._give_up("stt", self._spec.stt.provider, problem.error, has_voice=True)
        elif isinstance(problem, TTSError):
            if self._is_beyond("tts", problem.error, MAX_TTS_FAILURES):
                self._give_up("tts", self._spec.tts.provider, problem.error, has_voice=False)
            elif self._is_answered:
                self._speaker.ask_again()

    def on_deaf(self, event: UserTranscriptionTimeoutEvent) -> None:
        """Listener of `user_transcription_timeout`: the only sign of a vendor that takes audio and answers nothing.

        Speech over the agent's does not count: where the agent may not be interrupted, it is withheld from the vendor.
        """
        if self._is_apologizing or event.vad_speech_started_at <= self._spoke_until:
            return
        silent = TimeoutError("speech was heard, but no transcript came")
        if self._is_beyond("deaf", silent, MAX_DEAF_TURNS):
            self._give_up("stt", self._spec.stt.provider, silent, has_voice=True)
        elif self._is_answered:
            self._speaker.ask_again()

    def llm_failed(self, error: Exception) -> str | None:
        """What to say instead of the answer; None: the call is being ended, with an apology of its own."""
        if self._is_apologizing:
            return None
        if self._is_beyond("llm", error, MAX_LLM_FAILURES):
            self._give_up("llm", self._spec.llm.provider, error, has_voice=True)
            return None
        return self._speaker.phrases.ask_again

    def _is_beyond(self, component: str, error: Exception, most: int) -> bool:
        self._counts[component] += 1
        log.warning(
            "model_failed",
            component=component,
            count=self._counts[component],
            detail=str(error)[:300],
        )
        return is_final(error) or self._counts[component] >= most

    def _give_up(self, component: str, provider: str, error: Exception, *, has_voice: bool) -> None:
        detail = f"{component} of {provider} failed: {str(error)[:300] or type(error).__name__}"
        self._is_apologizing = True
        if not (has_voice and self._is_answered):
            self._ending.decide("model_error", detail)
            return
        self._spawn("apologize", self._apologize(detail))

    async def _apologize(self, detail: str) -> None:
        await self._speaker.say_to_end(self._speaker.phrases.apology, APOLOGY_SECONDS)
        self._ending.decide("model_error", detail)


def is_final(error: Exception) -> bool:
    """Whether trying again can't help: the vendor refused the key, the model or the request itself."""
    return (
        isinstance(error, APIStatusError)
        and 400 <= error.status_code < 500
        and error.status_code not in _TRANSIENT_STATUS
    )
