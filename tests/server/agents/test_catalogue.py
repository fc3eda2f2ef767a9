"""A choice of models that would fail in a call is refused at save, in words that help."""

from __future__ import annotations

import attrs
import pytest

from bolti_server.models import catalogue
from bolti_server.models.catalogue import LLM, STT, TTS, Provider, faults_of


@attrs.frozen
class Choice:
    provider: str
    model: str | None = None
    language: str | None = None
    voice: str | None = None
    speed: float | None = None
    temperature: float | None = None
    base_url: str | None = None


DEEPGRAM, OPENAI, CARTESIA = Choice("deepgram"), Choice("openai"), Choice("cartesia")
OWN = "http://models.internal/v1"


def pointers(
    stt: Choice = DEEPGRAM,
    llm: Choice = OPENAI,
    tts: Choice = CARTESIA,
    language: str = "en-US",
    allowed: tuple[str, ...] = (OWN,),
) -> list[str]:
    return [fault.pointer for fault in faults_of(stt, llm, tts, language, allowed)]


def test_the_defaults_are_the_documented_ones() -> None:
    chosen = [
        (catalogue.default_of(each).provider, catalogue.default_of(each).default_model.model)
        for each in (STT, LLM, TTS)
    ]
    assert chosen == [("deepgram", "nova-3"), ("openai", "gpt-4.1"), ("cartesia", "sonic-3")]


@pytest.mark.parametrize("provider", [*STT, *LLM, *TTS], ids=lambda each: each.provider)
def test_every_provider_has_one_default_model_and_its_voices_fit(provider: Provider) -> None:
    assert sum(model.is_default for model in provider.models) == 1
    assert len({model.model for model in provider.models}) == len(provider.models)
    for voice in provider.voices:
        assert catalogue._is_voice_of(provider, voice.voice)


def test_all_defaults_and_all_simulated_are_fine() -> None:
    simulated = Choice("simulated")
    assert pointers() == []
    assert pointers(simulated, simulated, simulated, language="sw-KE") == []
    assert pointers(tts=Choice("simulated", voice="modem", speed=1.2)) == []


def test_all_faults_are_listed_with_their_pointers() -> None:
    assert pointers(Choice("deepgrm"), Choice("openai", "gpt-9"), Choice("cartesia", voice="katie")) == [
        "/stt/provider", "/llm/model", "/tts/voice",
    ]  # fmt: skip


def test_a_fault_says_what_there_is() -> None:
    (fault,) = faults_of(Choice("deepgram", "nova3"), OPENAI, CARTESIA, "en-US", ())
    assert fault.detail.startswith(
        "deepgram has no model 'nova3' (did you mean nova-3?); it has: nova-3, "
    )


@pytest.mark.parametrize(
    ("stt", "language", "expected"),
    [
        (Choice("deepgram", "nova-3"), "hi-IN", []),
        (Choice("deepgram", "nova-3", "multi"), "en-US", []),
        (Choice("deepgram", "nova-3", "xx"), "en-US", ["/stt/language"]),
        (Choice("deepgram", "nova-2-phonecall", "hi"), "hi-IN", ["/stt/language"]),
        (Choice("deepgram", "nova-2-phonecall"), "hi-IN", ["/primary_language"]),
        (Choice("simulated", language="anything"), "en-US", []),
    ],
)
def test_stt_and_language_fit(stt: Choice, language: str, expected: list[str]) -> None:
    assert pointers(stt, language=language) == expected


def test_another_model_that_can_is_named() -> None:
    (fault,) = faults_of(
        Choice("deepgram", "nova-2-phonecall", "hi"), OPENAI, CARTESIA, "hi-IN", ()
    )
    assert "nova-3" in fault.detail.rsplit(".", 2)[-2]


def test_the_voice_speaks_the_primary_language() -> None:
    assert pointers(tts=Choice("cartesia", "sonic-2"), language="ta-IN") == ["/tts/model"]
    assert pointers(tts=Choice("cartesia", "sonic-3"), language="ta-IN") == []


def test_a_uuid_that_only_the_vendor_knows_is_taken_as_a_voice() -> None:
    assert pointers(tts=Choice("cartesia", voice="00000000-1111-2222-3333-444444444444")) == []
    assert pointers(tts=Choice("simulated", voice="katie")) == ["/tts/voice"]


def test_settings_that_a_model_would_drop_silently_are_refused() -> None:
    assert pointers(llm=Choice("openai", "gpt-5", temperature=0.3)) == ["/llm/temperature"]
    assert pointers(llm=Choice("openai", "gpt-4.1", temperature=0.3)) == []
    assert pointers(tts=Choice("cartesia", "sonic-2", speed=1.2)) == ["/tts/speed"]
    assert pointers(tts=Choice("cartesia", "sonic-3", speed=1.9)) == ["/tts/speed"]
    assert pointers(tts=Choice("cartesia", "sonic-3", speed=1.5)) == []


def test_a_base_url_is_only_one_that_the_operator_allows() -> None:
    assert pointers(llm=Choice("openai", "any-model", base_url=OWN)) == []
    assert pointers(llm=Choice("openai", "any-model", base_url=OWN + "/")) == []
    evil = Choice("openai", "gpt-4.1", base_url="http://169.254.169.254/v1")
    assert pointers(llm=evil) == ["/llm/base_url"]
    assert pointers(llm=Choice("openai", base_url=OWN), allowed=()) == ["/llm/base_url"]
    assert pointers(llm=Choice("simulated", base_url=OWN)) == ["/llm/base_url"]
    assert pointers(llm=Choice("nobody", base_url=OWN)) == ["/llm/base_url", "/llm/provider"]
