"""The models of one call, made by whoever the provider's name says. `bootstrap.worker` decides who that is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import attrs
from livekit.agents import llm, stt, tts, vad

from bolti_server.lines.line import CallLine
from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.worker_api.messages import CallSpec

Check = Callable[[], Awaitable[None]]
Builder = TypeVar("Builder")


@attrs.frozen
class CallModels:
    """`checks` find a wrong key, model or voice before anybody is dialed; each raises ModelUnavailable."""

    stt: stt.STT[Any]
    llm: llm.LLM[Any]
    tts: tts.TTS[Any]
    vad: vad.VAD
    checks: tuple[Check, ...] = ()


@attrs.frozen
class Models:
    """Builders by provider name. All of them raise ModelUnavailable in plain words."""

    stt: Mapping[str, Callable[[CallSpec, CallLine], stt.STT[Any]]]
    llm: Mapping[str, Callable[[CallSpec], llm.LLM[Any]]]
    tts: Mapping[str, Callable[[CallSpec], tts.TTS[Any]]]
    vad: vad.VAD
    checks: Mapping[str, Callable[[CallSpec], Check]] = attrs.field(factory=dict)

    def build(self, spec: CallSpec, line: CallLine) -> CallModels:
        """Raises ModelUnavailable: no such provider on this worker, or its key is missing."""
        chosen = (spec.stt.provider, spec.llm.provider, spec.tts.provider)
        return CallModels(
            stt=_of("speech-to-text", self.stt, spec.stt.provider)(spec, line),
            llm=_of("language model", self.llm, spec.llm.provider)(spec),
            tts=_of("text-to-speech", self.tts, spec.tts.provider)(spec),
            vad=self.vad,
            checks=tuple(self.checks[name](spec) for name in chosen if name in self.checks),
        )


def _of(kind: str, builders: Mapping[str, Builder], provider: str) -> Builder:
    builder = builders.get(provider)
    if builder is None:
        known = ", ".join(sorted(builders))
        raise ModelUnavailable(f"This worker has no {kind} provider {provider!r}; it has: {known}.")
    return builder
