"""What a call used of each model, under our own names: the session names a provider by the host of its URL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livekit.agents.metrics import LLMModelUsage, STTModelUsage, TTSModelUsage

from bolti_server.models import catalogue
from bolti_server.worker_api.messages import CallSpec, UsageReport


def usage_of(spec: CallSpec, model_usage: Sequence[Any]) -> list[UsageReport]:
    """One entry per component that was used at all. Several models of one component are added up."""
    stt = [each for each in model_usage if isinstance(each, STTModelUsage)]
    llm = [each for each in model_usage if isinstance(each, LLMModelUsage)]
    tts = [each for each in model_usage if isinstance(each, TTSModelUsage)]
    found = [
        UsageReport(
            component="stt",
            provider=spec.stt.provider,
            model=_model(catalogue.STT, spec.stt.provider, spec.stt.model),
            input_tokens=sum(each.input_tokens for each in stt),
            output_tokens=sum(each.output_tokens for each in stt),
            audio_ms=round(sum(each.audio_duration for each in stt) * 1000),
        ),
        UsageReport(
            component="llm",
            provider=spec.llm.provider,
            model=_model(catalogue.LLM, spec.llm.provider, spec.llm.model),
            input_tokens=sum(each.input_tokens for each in llm),
            output_tokens=sum(each.output_tokens for each in llm),
        ),
        UsageReport(
            component="tts",
            provider=spec.tts.provider,
            model=_model(catalogue.TTS, spec.tts.provider, spec.tts.model),
            input_tokens=sum(each.input_tokens for each in tts),
            output_tokens=sum(each.output_tokens for each in tts),
            characters=sum(each.characters_count for each in tts),
            audio_ms=round(sum(each.audio_duration for each in tts) * 1000),
        ),
    ]
    return [each for each in found if _is_used(each)]


def _is_used(usage: UsageReport) -> bool:
    return bool(usage.input_tokens or usage.output_tokens or usage.characters or usage.audio_ms)


def _model(providers: Sequence[catalogue.Provider], provider: str, model: str | None) -> str:
    if model is not None:
        return model
    found = catalogue.find(providers, provider)
    return provider if found is None else found.default_model.model
