"""Who is behind a provider's name: the models that an agent worker can build."""

from __future__ import annotations

from typing import Any

import msgspec
from livekit import rtc
from livekit.agents import inference, llm, vad

from bolti_server.models import plugins
from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.simulated import models as simulated
from bolti_server.voice.models import Models
from bolti_server.worker_api.messages import CallSpec, TtsSpec

WARM_FRAME_SAMPLES = 320  # 20 ms at 16 kHz


def build_models() -> Models:
    """Everything that this worker can build; keys are looked for when a call needs them."""
    return Models(
        stt={
            "simulated": lambda spec, line: simulated.build_stt(spec.stt, line),
            "deepgram": lambda spec, _line: plugins.build_deepgram_stt(spec),
        },
        llm={"simulated": _simulated_llm, "openai": plugins.build_openai_llm},
        tts={
            "simulated": lambda spec: simulated.build_tts(_simulated_voice(spec)),
            "cartesia": plugins.build_cartesia_tts,
        },
        vad=inference.VAD(model="silero"),
        checks={
            "deepgram": plugins.check_deepgram,
            "openai": plugins.check_openai,
            "cartesia": plugins.check_cartesia,
        },
    )


async def warm(detector: vad.VAD) -> None:
    """Loads the voice detector and lets it hear one second, so that the first call does not wait for it."""
    stream = detector.stream()
    silence = rtc.AudioFrame(bytes(2 * WARM_FRAME_SAMPLES), 16000, 1, WARM_FRAME_SAMPLES)
    for _ in range(50):
        stream.push_frame(silence)
    stream.end_input()
    async for _event in stream:
        pass
    await stream.aclose()


def _simulated_voice(spec: CallSpec) -> TtsSpec:
    """In a room words travel in the sound: there is nothing beside it that they could travel by."""
    return (
        spec.tts
        if spec.line.kind == "simulated"
        else msgspec.structs.replace(spec.tts, voice="modem")
    )


def _simulated_llm(spec: CallSpec) -> llm.LLM[Any]:
    try:
        return simulated.build_llm(spec.llm)
    except ValueError as problem:
        raise ModelUnavailable(
            f"The rules of the simulated LLM can't be used: {problem}"
        ) from problem
