"""What a call used of each model, under our own names: a plugin names its provider by the host of a URL, or by its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from livekit.agents.metrics import LLMMetrics, STTMetrics, TTSMetrics

from bolti_server.voice.fallback import Component, Vendor, Vendors
from bolti_server.worker_api.messages import UsageReport


@attrs.define
class _Count:
    input_tokens: int = 0
    output_tokens: int = 0
    characters: int = 0
    audio_seconds: float = 0.0


class Usage:
    """Listens to every vendor of `kinds`, from before it is asked."""

    def __init__(self, *kinds: Vendors[Any]) -> None:
        self._counts: dict[tuple[Component, str, str], _Count] = {}
        for vendors in kinds:
            self._listen(vendors)

    def report(self) -> list[UsageReport]:
        """One entry per model that was used at all; the same model twice in an agent's order is one entry."""
        found = [
            UsageReport(
                component=component,
                provider=provider,
                model=model,
                input_tokens=count.input_tokens,
                output_tokens=count.output_tokens,
                characters=count.characters,
                audio_ms=round(count.audio_seconds * 1000),
            )
            for (component, provider, model), count in self._counts.items()
        ]
        return [each for each in found if _is_used(each)]

    def _listen(self, vendors: Vendors[Any]) -> None:
        for vendor in vendors.all:
            vendor.made.on("metrics_collected", self._counter(vendors.component, vendor))

    def _counter(self, component: Component, vendor: Vendor[Any]) -> Callable[..., None]:
        count = self._counts.setdefault((component, vendor.provider, vendor.model), _Count())

        def collect(metrics: object, *_: object) -> None:
            match metrics:
                case STTMetrics():
                    count.input_tokens += metrics.input_tokens
                    count.output_tokens += metrics.output_tokens
                    count.audio_seconds += metrics.audio_duration
                case LLMMetrics():
                    count.input_tokens += metrics.prompt_tokens
                    count.output_tokens += metrics.completion_tokens
                case TTSMetrics():
                    count.input_tokens += metrics.input_tokens
                    count.output_tokens += metrics.output_tokens
                    count.characters += metrics.characters_count
                    count.audio_seconds += metrics.audio_duration
                case _:
                    return

        return collect


def _is_used(usage: UsageReport) -> bool:
    return bool(usage.input_tokens or usage.output_tokens or usage.characters or usage.audio_ms)
