"""What speech and language models an agent may use, and what is wrong with a choice.

Rule: a fault in a choice is found when the agent is saved, not when a callee has picked up: vendors' plugins take any
string, and a wrong voice or a language that a model lacks is heard only in the call. Pure data and pure checks.

Sources: lists of livekit-plugins-{deepgram,cartesia,openai} 1.8.9; Deepgram "Models & Languages Overview" with its
changelog through 2026-03-31; Cartesia "TTS models" (both read 2026-11). What is marked open is known by the vendor's
live list alone, so its shape is checked and no more.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

import attrs

from bolti_server.base.errors import Fault


class SttChoice(Protocol):
    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def language(self) -> str | None: ...


class LlmChoice(Protocol):
    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def temperature(self) -> float | None: ...
    @property
    def base_url(self) -> str | None: ...


class TtsChoice(Protocol):
    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def voice(self) -> str | None: ...
    @property
    def speed(self) -> float | None: ...


@attrs.frozen
class Model:
    """`languages` is empty where the model is not tied to any. `ignores` names settings that it would drop silently."""

    model: str
    languages: tuple[str, ...] = ()
    is_default: bool = False
    ignores: frozenset[str] = frozenset()


@attrs.frozen
class Voice:
    voice: str
    name: str
    language: str | None = None
    is_default: bool = False


@attrs.frozen
class Provider:
    """`voice_shape` is set where voices are open: any that matches is taken, `voices` are examples."""

    provider: str
    name: str  # what people call it
    models: tuple[Model, ...]
    is_default: bool = False
    is_simulated: bool = False
    voices: tuple[Voice, ...] = ()
    voice_shape: str | None = None
    voice_hint: str = ""
    speeds: tuple[float, float] | None = None

    @property
    def default_model(self) -> Model:
        return next(each for each in self.models if each.is_default)

    @property
    def default_voice(self) -> str | None:
        return next((each.voice for each in self.voices if each.is_default), None)

    def find_model(self, name: str | None) -> Model | None:
        return next((each for each in self.models if each.model == name), None)


_ENGLISH = ("en", "en-US", "en-AU", "en-GB", "en-IN", "en-NZ")
_NOVA_3 = (
    "multi", *_ENGLISH, "be", "bg", "bn", "bs", "ca", "cs", "da", "da-DK", "de", "de-CH", "el",
    "es", "es-419", "et", "fa", "fi", "fr", "fr-CA", "he", "hi", "hr", "hu", "id", "it", "ja",
    "kn", "ko", "ko-KR", "lt", "lv", "mk", "mr", "ms", "nl", "nl-BE", "no", "pl", "pt", "pt-BR",
    "pt-PT", "ro", "ru", "sk", "sl", "sr", "sv", "sv-SE", "ta", "te", "th", "th-TH", "tl", "tr",
    "uk", "ur", "vi", "zh", "zh-CN", "zh-HK", "zh-Hans", "zh-Hant", "zh-TW",
)  # fmt: skip
_NOVA_2 = (
    "multi", *_ENGLISH, "bg", "ca", "cs", "da", "da-DK", "de", "de-CH", "el", "es", "es-419", "et",
    "fi", "fr", "fr-CA", "hi", "hu", "id", "it", "ja", "ko", "ko-KR", "lt", "lv", "ms", "nl",
    "nl-BE", "no", "pl", "pt", "pt-BR", "pt-PT", "ro", "ru", "sk", "sv", "sv-SE", "th", "th-TH",
    "tr", "uk", "vi", "zh", "zh-CN", "zh-HK", "zh-Hans", "zh-Hant", "zh-TW",
)  # fmt: skip
_SONIC_2 = (
    "en", "fr", "de", "es", "pt", "zh", "ja", "hi", "it", "ko", "nl", "pl", "ru", "sv", "tr",
)  # fmt: skip
_SONIC_3 = (
    *_SONIC_2, "tl", "bg", "ro", "ar", "cs", "el", "fi", "hr", "ms", "sk", "da", "ta", "uk", "hu",
    "no", "vi", "bn", "th", "he", "ka", "id", "te", "gu", "kn", "ml", "mr", "pa",
)  # fmt: skip
_NO_TEMPERATURE = frozenset({"temperature"})
_NO_SPEED = frozenset({"speed"})
_SIMULATED = (Model("simulated", is_default=True),)

# The models with their own turn-taking (Deepgram Flux) speak another protocol and are not offered.
STT = (
    Provider(
        "deepgram",
        "Deepgram",
        (
            Model("nova-3", _NOVA_3, is_default=True),
            Model("nova-3-medical", ("multi", *_ENGLISH)),
            Model("nova-2", _NOVA_2),
            Model("nova-2-general", _NOVA_2),
            # English only: with another language the plugin falls back to nova-2-general without an error.
            Model("nova-2-phonecall", ("en", "en-US")),
            Model("nova-2-conversationalai", ("en", "en-US")),
            Model("nova-2-medical", ("en", "en-US")),
            Model("nova-2-finance", ("en", "en-US")),
        ),
        is_default=True,
    ),
    Provider("simulated", "Simulated", _SIMULATED, is_simulated=True),
)
LLM = (
    Provider(
        "openai",
        "OpenAI",
        (
            Model("gpt-4.1", is_default=True),
            Model("gpt-4.1-mini"),
            Model("gpt-4.1-nano"),
            Model("gpt-4o"),
            Model("gpt-4o-mini"),
            Model("gpt-5.6-sol"),
            Model("gpt-5.6-luna"),
            Model("gpt-5.6-terra"),
            Model("gpt-5.5"),
            Model("gpt-5.4"),
            # Only with tools, but hardly an agent has none: cut_call is one.
            Model("gpt-5.4-mini", ignores=_NO_TEMPERATURE),
            Model("gpt-5.2"),
            Model("gpt-5.1"),
            Model("gpt-5", ignores=_NO_TEMPERATURE),
            Model("gpt-5-mini", ignores=_NO_TEMPERATURE),
            Model("gpt-5-nano", ignores=_NO_TEMPERATURE),
        ),
        is_default=True,
    ),
    Provider("simulated", "Simulated", _SIMULATED, is_simulated=True),
)
TTS = (
    Provider(
        "cartesia",
        "Cartesia",
        (
            Model("sonic-3", _SONIC_3, is_default=True),
            Model("sonic-3.5", _SONIC_3),
            Model("sonic-2", _SONIC_2, ignores=_NO_SPEED),
            Model("sonic-turbo", _SONIC_2, ignores=_NO_SPEED),
        ),
        is_default=True,
        voices=(
            Voice("f786b574-daa5-4673-aa0c-cbe3e8534c02", "Katie", "en", is_default=True),
            Voice("a5136bf9-224c-4d76-b823-52bd5efcffcc", "Jameson", "en"),
        ),
        voice_shape=r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        voice_hint=(
            "a Cartesia voice is a UUID such as f786b574-daa5-4673-aa0c-cbe3e8534c02; only Cartesia's own "
            "voice library knows which exist, so any UUID is taken"
        ),
        speeds=(0.6, 1.5),
    ),
    Provider(
        "simulated",
        "Simulated",
        _SIMULATED,
        is_simulated=True,
        voices=(
            Voice("speech", "Speech for people (synthesized on this machine)", is_default=True),
            Voice("modem", "Speech mixed with a modem, so that tests read the exact words"),
        ),
        speeds=(0.5, 2.0),
    ),
)


def find(providers: Sequence[Provider], name: str) -> Provider | None:
    return next((each for each in providers if each.provider == name), None)


def model_name(providers: Sequence[Provider], provider: str, model: str | None) -> str:
    """What `model` stands for where it is None; the provider's own name where the catalogue lacks it."""
    if model is not None:
        return model
    found = find(providers, provider)
    return provider if found is None else found.default_model.model


def default_of(providers: Sequence[Provider]) -> Provider:
    return next(each for each in providers if each.is_default)


def fitting_language(model: Model, wanted: str) -> str | None:
    """The code of `model` for `wanted` (en-IN, else en), or None; `wanted` itself where the model has no list."""
    if not model.languages or wanted in model.languages:
        return wanted
    base = base_language(wanted)
    return base if base in model.languages else None


def base_language(code: str) -> str:
    return code.split("-", 1)[0].lower()


def faults_of(
    stt: SttChoice,
    llm: LlmChoice,
    tts: TtsChoice,
    primary_language: str,
    allowed_base_urls: Iterable[str],
) -> list[Fault]:
    """Everything that is wrong with the three choices, with pointers into the agent. A model of None is the default."""
    return [
        *stt_faults(stt, primary_language),
        *llm_faults(llm, tuple(allowed_base_urls)),
        *tts_faults(tts, primary_language),
    ]


def stt_faults(choice: SttChoice, primary_language: str) -> list[Fault]:
    """Pointers begin with /stt, or name the agent's language."""
    provider, model, faults = _look_up(STT, "stt", choice.provider, choice.model)
    if provider is None or model is None:
        return faults
    wanted = choice.language or primary_language
    pointer = "/stt/language" if choice.language else "/primary_language"
    if choice.language is not None and model.languages:
        is_understood = choice.language in model.languages
    else:
        is_understood = fitting_language(model, wanted) is not None
    if not is_understood:
        detail = (
            f"{provider.provider} {model.model} does not understand {wanted!r}; it understands: "
            f"{', '.join(model.languages)}.{_alternatives(provider, model, wanted)}"
        )
        faults.append(Fault("language_not_supported", detail, pointer))
    return faults


def llm_faults(choice: LlmChoice, allowed_base_urls: tuple[str, ...]) -> list[Fault]:
    """Pointers begin with /llm."""
    faults: list[Fault] = []
    if choice.base_url is not None:
        provider = find(LLM, choice.provider)
        if provider is None or provider.is_simulated:
            faults.append(
                Fault(
                    "base_url_not_allowed",
                    "Only the provider openai (any OpenAI-compatible server) takes a base_url.",
                    "/llm/base_url",
                )
            )
        elif choice.base_url.rstrip("/") not in {url.rstrip("/") for url in allowed_base_urls}:
            known = ", ".join(allowed_base_urls) or "none"
            faults.append(
                Fault(
                    "base_url_not_allowed",
                    f"The operator of this server has not allowed {choice.base_url!r} (BOLTI_MODEL_BASE_URLS). "
                    f"Allowed: {known}.",
                    "/llm/base_url",
                )
            )
        if provider is not None and not provider.is_simulated:
            # Whose server it is knows its models; ours can't.
            return faults
    _, model, found = _look_up(LLM, "llm", choice.provider, choice.model)
    faults.extend(found)
    if model is not None and "temperature" in model.ignores and choice.temperature is not None:
        faults.append(
            Fault(
                "not_supported",
                f"{choice.provider} {model.model} ignores temperature. Leave it out (null) or choose another model.",
                "/llm/temperature",
            )
        )
    return faults


def tts_faults(choice: TtsChoice, primary_language: str) -> list[Fault]:
    """Pointers begin with /tts."""
    provider, model, faults = _look_up(TTS, "tts", choice.provider, choice.model)
    if provider is None:
        return faults
    if choice.voice is not None and not _is_voice_of(provider, choice.voice):
        hint = provider.voice_hint or "it has: " + ", ".join(each.voice for each in provider.voices)
        detail = f"{provider.provider} has no voice {choice.voice!r}; {hint}."
        faults.append(Fault("unknown_voice", detail, "/tts/voice"))
    if model is None:
        return faults
    if choice.speed is not None and choice.speed != 1.0:
        faults.extend(_speed_faults(provider, model, choice.speed))
    if model.languages and base_language(primary_language) not in model.languages:
        detail = (
            f"{provider.provider} {model.model} does not speak {primary_language!r}; it speaks: "
            f"{', '.join(model.languages)}.{_alternatives(provider, model, base_language(primary_language))}"
        )
        faults.append(Fault("language_not_supported", detail, "/tts/model"))
    return faults


def _speed_faults(provider: Provider, model: Model, speed: float) -> list[Fault]:
    if "speed" in model.ignores:
        detail = f"{provider.provider} {model.model} ignores speed. Leave it out (null) or choose another model."
        return [Fault("not_supported", detail, "/tts/speed")]
    if provider.speeds is not None and not provider.speeds[0] <= speed <= provider.speeds[1]:
        low, high = provider.speeds
        return [
            Fault(
                "out_of_range",
                f"{provider.provider} takes a speed from {low} to {high}.",
                "/tts/speed",
            )
        ]
    return []


def _is_voice_of(provider: Provider, voice: str) -> bool:
    if provider.voice_shape is not None:
        return re.fullmatch(provider.voice_shape, voice) is not None
    return any(each.voice == voice for each in provider.voices)


def _look_up(
    providers: Sequence[Provider], kind: str, provider_name: str, model_name: str | None
) -> tuple[Provider | None, Model | None, list[Fault]]:
    provider = find(providers, provider_name)
    if provider is None:
        names = [each.provider for each in providers]
        detail = (
            f"There is no {kind} provider {provider_name!r}{_nearest(provider_name, names)}; "
            f"there are: {', '.join(names)}."
        )
        return None, None, [Fault("unknown_provider", detail, f"/{kind}/provider")]
    if model_name is None:
        return provider, provider.default_model, []
    model = provider.find_model(model_name)
    if model is None:
        names = [each.model for each in provider.models]
        detail = (
            f"{provider.provider} has no model {model_name!r}{_nearest(model_name, names)}; "
            f"it has: {', '.join(names)}."
        )
        return provider, None, [Fault("unknown_model", detail, f"/{kind}/model")]
    return provider, model, []


def _nearest(wrong: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(wrong[:100], names, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _alternatives(provider: Provider, model: Model, language: str) -> str:
    others = [
        each.model
        for each in provider.models
        if each is not model and fitting_language(each, language) is not None
    ]
    return f" {', '.join(others)} can." if others else ""
