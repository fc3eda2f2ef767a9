"""Models that do what a test says, answer by answer: for the place of a vendor in a chain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import attrs
from livekit import rtc
from livekit.agents import LanguageCode, llm, stt, tts, utils
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
    TimedString,
)

RATE = 16_000
WORD_SECONDS = 0.2
HANG = None  # nothing comes any more
COUNTED = llm.CompletionUsage(prompt_tokens=1, completion_tokens=1, total_tokens=2)

# Of a language model: a token, a chunk without one (b""), a count, an error; HANG.
LlmStep = str | bytes | llm.CompletionUsage | Exception | None


class ScriptedLLM(llm.LLM[str]):
    """One list of steps for each time that it is asked; the last again and again."""

    def __init__(self, *answers: Sequence[LlmStep]) -> None:
        super().__init__()
        self._answers = list(answers)
        self.asked = 0

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        self.asked += 1
        steps = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return _Answer(self, steps, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Answer(llm.LLMStream):
    def __init__(self, model: ScriptedLLM, steps: Sequence[LlmStep], **more: Any) -> None:
        self._steps = steps
        super().__init__(model, **more)

    async def _run(self) -> None:
        for step in self._steps:
            await asyncio.sleep(0)
            if step is HANG:
                await asyncio.Event().wait()
            elif isinstance(step, Exception):
                raise step
            elif isinstance(step, llm.CompletionUsage):
                self._event_ch.send_nowait(llm.ChatChunk(id="1", usage=step))
            elif isinstance(step, bytes):
                self._event_ch.send_nowait(llm.ChatChunk(id="1"))
                await asyncio.sleep(0.2)
            else:
                delta = llm.ChoiceDelta(role="assistant", content=str(step))
                self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


@attrs.frozen
class Spoken:
    """So many words are spoken (None: all), of which so many more are announced; then it breaks: an error, or HANG where
    `words` is set. `late_seconds`: words are said to end so much later than their sound."""

    words: int | None = None
    announced: int = 0
    then: Exception | None = HANG
    late_seconds: float = 0.0


class ScriptedTTS(tts.TTS[str]):
    """Speaks a word in WORD_SECONDS and tells its time. One plan for each text; the last again and again."""

    def __init__(self, *plans: Spoken) -> None:
        capabilities = tts.TTSCapabilities(streaming=True, aligned_transcript=True)
        super().__init__(capabilities=capabilities, sample_rate=RATE, num_channels=1)
        self._plans = list(plans)
        self.texts: list[str] = []

    def next_plan(self) -> Spoken:
        return self._plans.pop(0) if len(self._plans) > 1 else self._plans[0]

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        raise NotImplementedError

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.SynthesizeStream:
        return _Speech(self, conn_options)


class _Speech(tts.SynthesizeStream):
    def __init__(self, voice: ScriptedTTS, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=voice, conn_options=conn_options)
        self._voice = voice

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        plan, index = self._voice.next_plan(), len(self._voice.texts)
        self._voice.texts.append("")
        output_emitter.initialize(
            request_id="1",
            sample_rate=RATE,
            num_channels=1,
            mime_type="audio/pcm",
            stream=True,
            frame_size_ms=100,
        )
        output_emitter.start_segment(segment_id="1")
        spoken = 0
        async for piece in self._input_ch:
            if not isinstance(piece, str):
                continue
            self._voice.texts[index] += piece
            for word in piece.split():
                if plan.words is not None and spoken >= plan.words + plan.announced:
                    continue
                begins = WORD_SECONDS * spoken
                ends = begins + WORD_SECONDS + plan.late_seconds
                output_emitter.push_timed_transcript(
                    TimedString(f"{word} ", start_time=begins, end_time=ends)
                )
                if plan.words is None or spoken < plan.words:
                    output_emitter.push(b"\0\x10" * int(RATE * WORD_SECONDS))
                    output_emitter.flush()
                spoken += 1
        if plan.words is not None:
            await asyncio.sleep(0.05)
            if plan.then is None:
                await asyncio.Event().wait()
            else:
                raise plan.then
        output_emitter.end_segment()


@attrs.frozen
class Heard:
    """After so many pieces of sound it gives `words` (none: it is deaf), and then, where `then` says so, it ends: by an
    error, or by itself (True)."""

    after: int = 1
    words: str = ""
    then: Exception | bool = False


class ScriptedSTT(stt.STT[str]):
    """One plan for each stream; the last again and again."""

    def __init__(self, *plans: Heard) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self._plans = list(plans)
        self.taken: list[list[rtc.AudioFrame]] = []  # the sound of each stream

    def next_plan(self) -> Heard:
        return self._plans.pop(0) if len(self._plans) > 1 else self._plans[0]

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        return _Hearing(self, conn_options)


class _Hearing(stt.RecognizeStream):
    def __init__(self, ear: ScriptedSTT, conn_options: APIConnectOptions) -> None:
        super().__init__(stt=ear, conn_options=conn_options)
        self._ear = ear

    async def _run(self) -> None:
        plan, taken = self._ear.next_plan(), list[rtc.AudioFrame]()
        self._ear.taken.append(taken)
        used = stt.RecognitionUsage(audio_duration=1.0)
        self._event_ch.send_nowait(
            stt.SpeechEvent(
                type=stt.SpeechEventType.RECOGNITION_USAGE, request_id="1", recognition_usage=used
            )
        )
        async for piece in self._input_ch:
            if not isinstance(piece, rtc.AudioFrame):
                continue
            taken.append(piece)
            if len(taken) != plan.after:
                continue
            if plan.words:
                data = stt.SpeechData(language=LanguageCode("en"), text=plan.words, confidence=1.0)
                kind = stt.SpeechEventType.FINAL_TRANSCRIPT
                self._event_ch.send_nowait(
                    stt.SpeechEvent(type=kind, request_id="1", alternatives=[data])
                )
            if isinstance(plan.then, Exception):
                raise plan.then
            if plan.then:
                return
