"""The simulated speech recognition: the callee's words, from beside the audio or read off it.

Beside the audio (voice "speech"): a frame of the simulated line carries the words whose sound ends in it, so they arrive
exactly when a perfect recognizer could know them, and frames that the session withholds take their words with them. Off the
audio (voice "modem"): the words are decoded, and what reached the worker is what is read.
"""

from __future__ import annotations

from typing import Protocol

from livekit import rtc
from livekit.agents import LanguageCode, stt, utils
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)

from bolti_server.simulated.modem import Decoder
from bolti_server.simulated.sound import RATE, WORDS
from bolti_server.worker_api.messages import SttSpec

_USAGE_EVERY_SECONDS = 5.0


class _Hearing(Protocol):
    def hear(self, frame: rtc.AudioFrame) -> str | None:
        """The words of an utterance that is over with this frame; None where none is."""
        ...

    @property
    def partial(self) -> str:
        """The words so far of an utterance that goes on."""
        ...


class SimulatedSTT(stt.STT[str]):
    def __init__(self, spec: SttSpec, *, reads_modem: bool) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True, interim_results=True, offline_recognize=False
            )
        )
        self._reads_modem = reads_modem
        self._language = spec.language or "en"
        self._final_delay_ms = spec.final_delay_ms

    @property
    def model(self) -> str:
        return "simulated"

    @property
    def provider(self) -> str:
        return "simulated"

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        raise TypeError("the simulated recognition listens to a stream; it takes no recordings")

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        return _WordStream(
            self,
            _OffTheAudio() if self._reads_modem else _BesideTheAudio(),
            LanguageCode(self._language),
            self._final_delay_ms,
            conn_options,
        )


class _WordStream(stt.RecognizeStream):
    def __init__(
        self,
        owner: SimulatedSTT,
        hearing: _Hearing,
        language: LanguageCode,
        final_delay_ms: int,
        conn_options: APIConnectOptions,
    ) -> None:
        self._hearing = hearing
        self._language = language
        self._final_delay_ms = final_delay_ms
        self._request_id = utils.shortuuid("stt_")
        self._due: list[
            tuple[float, str]
        ] = []  # finals that are still held back: (ms of audio, text)
        self._last_partial = ""
        super().__init__(stt=owner, conn_options=conn_options, sample_rate=RATE)

    async def _run(self) -> None:
        heard_ms = 0.0
        billed_ms = 0.0
        async for piece in self._input_ch:
            if isinstance(piece, self._FlushSentinel):
                continue
            heard_ms += 1000 * piece.duration
            final = self._hearing.hear(piece)
            if final:
                self._due.append((heard_ms + self._final_delay_ms, final))
            self._emit_partial()
            self._emit_due(heard_ms)
            if heard_ms - billed_ms >= 1000 * _USAGE_EVERY_SECONDS:
                self._emit_usage(heard_ms - billed_ms)
                billed_ms = heard_ms
        self._emit_due(float("inf"))
        if heard_ms > billed_ms:
            self._emit_usage(heard_ms - billed_ms)

    def _emit_partial(self) -> None:
        partial = self._hearing.partial
        if partial and partial != self._last_partial and partial.endswith(_WORD_ENDS):
            self._emit(stt.SpeechEventType.INTERIM_TRANSCRIPT, partial.strip())
        self._last_partial = partial

    def _emit_due(self, heard_ms: float) -> None:
        while self._due and self._due[0][0] <= heard_ms:
            _, text = self._due.pop(0)
            self._emit(stt.SpeechEventType.FINAL_TRANSCRIPT, text)

    def _emit(self, event_type: stt.SpeechEventType, text: str) -> None:
        data = stt.SpeechData(language=self._language, text=text, confidence=1.0)
        self._event_ch.send_nowait(
            stt.SpeechEvent(type=event_type, request_id=self._request_id, alternatives=[data])
        )

    def _emit_usage(self, ms: float) -> None:
        self._event_ch.send_nowait(
            stt.SpeechEvent(
                type=stt.SpeechEventType.RECOGNITION_USAGE,
                request_id=self._request_id,
                recognition_usage=stt.RecognitionUsage(audio_duration=ms / 1000),
            )
        )


class _BesideTheAudio:
    def __init__(self) -> None:
        self._words: list[str] = []

    @property
    def partial(self) -> str:
        return " ".join(self._words) + " " if self._words else ""

    def hear(self, frame: rtc.AudioFrame) -> str | None:
        words = frame.userdata.get(WORDS)
        if words is not None:
            self._words += words
            return None
        final, self._words = " ".join(self._words), []
        return final or None


class _OffTheAudio:
    def __init__(self) -> None:
        self._decoder = Decoder()

    @property
    def partial(self) -> str:
        return self._decoder.partial

    def hear(self, frame: rtc.AudioFrame) -> str | None:
        return " ".join(self._decoder.push(bytes(frame.data))) or None


_WORD_ENDS = (" ", ".", "!", "?")
