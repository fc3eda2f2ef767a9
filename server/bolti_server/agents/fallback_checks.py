"""What is wrong with an agent's order of providers. Pure.

Rule: whoever is asked instead must be able to hold the call as well as the first: it is checked against the catalogue in
the same way. Who stands there twice would be asked twice and help nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bolti_server.base.errors import Fault
from bolti_server.contract.structs import (
    AgentConfiguration,
    LlmSettings,
    SttSettings,
    TtsSettings,
)
from bolti_server.models import catalogue

Settings = SttSettings | LlmSettings | TtsSettings


def fallback_faults(
    configuration: AgentConfiguration, allowed_base_urls: Iterable[str]
) -> Iterator[Fault]:
    """Pointers are into the agent, as in /llm_fallbacks/0/model."""
    allowed, language = tuple(allowed_base_urls), configuration.primary_language
    for index, stt in enumerate(configuration.stt_fallbacks):
        yield from _moved(catalogue.stt_faults(stt, language), "stt", index)
    for index, llm in enumerate(configuration.llm_fallbacks):
        yield from _moved(catalogue.llm_faults(llm, allowed), "llm", index)
    for index, tts in enumerate(configuration.tts_fallbacks):
        yield from _moved(catalogue.tts_faults(tts, language), "tts", index)
    yield from _repeated("stt", [configuration.stt, *configuration.stt_fallbacks])
    yield from _repeated("llm", [configuration.llm, *configuration.llm_fallbacks])
    yield from _repeated("tts", [configuration.tts, *configuration.tts_fallbacks])


def _moved(faults: Iterable[Fault], kind: str, index: int) -> Iterator[Fault]:
    """Faults of a choice with pointers as for the first, to the place where it stands."""
    for fault in faults:
        inner = fault.pointer.removeprefix(f"/{kind}") if fault.pointer else ""
        # A language that nobody named is the agent's own: the place to look at is the model.
        inner = (
            inner if inner.startswith("/") and fault.pointer != "/primary_language" else "/model"
        )
        yield Fault(fault.code, fault.detail, f"/{kind}_fallbacks/{index}{inner}")


def _repeated(kind: str, choices: Sequence[Settings]) -> Iterator[Fault]:
    """`choices[0]` is the agent's first; two are the same where the same model of the same server would be asked."""
    asked = [_who(kind, each) for each in choices]
    for index in range(1, len(asked)):
        if asked[index] in asked[:index]:
            detail = f"{choices[index].provider} with this model is asked before already."
            yield Fault("not_unique", detail, f"/{kind}_fallbacks/{index - 1}")


def _who(kind: str, choice: Settings) -> tuple[str | None, ...]:
    providers = {"stt": catalogue.STT, "llm": catalogue.LLM, "tts": catalogue.TTS}[kind]
    model = catalogue.model_name(providers, choice.provider, choice.model)
    base_url = choice.base_url if isinstance(choice, LlmSettings) else None
    voice = choice.voice if isinstance(choice, TtsSettings) else None
    return choice.provider, model, base_url, voice
