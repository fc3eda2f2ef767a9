"""The real models, by LiveKit's plugins: OpenAI, Deepgram, Cartesia. Worker only; import it in the main thread.

Rules: keys come from the worker's environment; a missing one is told by its name, before anybody is dialed. So is a wrong
key, model or voice: in a call a plugin shows them late and in its own way (models.md), so each vendor is asked one cheap
question first. Only a clear "no" counts there; a vendor that is slow to answer gets its chance in the call.

| variable | what for |
|---|---|
| OPENAI_API_KEY, DEEPGRAM_API_KEY, CARTESIA_API_KEY | the vendor's key |
| OPENAI_BASE_URL (with /v1), DEEPGRAM_BASE_URL, CARTESIA_BASE_URL (without a path) | another endpoint of the same protocol |
| OPENAI_COMPATIBLE_API_KEY | the key for an agent's own `base_url`; OpenAI's key is never sent there |
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from livekit.agents import NOT_GIVEN, llm, stt, tts
from livekit.agents.utils import http_context
from livekit.plugins import cartesia, deepgram, openai

from bolti_server.models import catalogue
from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.worker_api.messages import CallSpec

DEEPGRAM_URL = "https://api.deepgram.com"
CARTESIA_URL = "https://api.cartesia.ai"
OPENAI_URL = "https://api.openai.com/v1"
CARTESIA_VERSION = "2025-04-16"  # what the plugin speaks
CHECK_SECONDS = 3.0
NO_KEY = "none"  # many OpenAI-compatible servers want no key, but the client insists on one


def build_deepgram_stt(spec: CallSpec) -> stt.STT[str]:
    """Raises ModelUnavailable without DEEPGRAM_API_KEY."""
    model = _model(catalogue.STT, "deepgram", spec.stt.model)
    return deepgram.STT(
        model=model,
        language=_stt_language(spec, model),
        api_key=_key("Deepgram", "DEEPGRAM_API_KEY"),
        base_url=f"{_url('DEEPGRAM_BASE_URL', DEEPGRAM_URL)}/v1/listen",
    )


def build_openai_llm(spec: CallSpec) -> llm.LLM[str]:
    """Raises ModelUnavailable without OPENAI_API_KEY, unless the agent names a server of its own."""
    return openai.LLM(
        model=_model(catalogue.LLM, "openai", spec.llm.model),
        api_key=_openai_key(spec),
        base_url=_openai_url(spec),
        temperature=NOT_GIVEN if spec.llm.temperature is None else spec.llm.temperature,
    )


def build_cartesia_tts(spec: CallSpec) -> tts.TTS[str]:
    """Raises ModelUnavailable without CARTESIA_API_KEY."""
    return cartesia.TTS(
        model=_model(catalogue.TTS, "cartesia", spec.tts.model),
        voice=_cartesia_voice(spec),
        language=catalogue.base_language(spec.primary_language),
        speed=spec.tts.speed,
        api_key=_key("Cartesia", "CARTESIA_API_KEY"),
        base_url=_url("CARTESIA_BASE_URL", CARTESIA_URL),
    )


def check_deepgram(spec: CallSpec) -> Callable[[], Awaitable[None]]:
    """Asks whether the key is known."""

    async def check() -> None:
        status = await _status(
            f"{_url('DEEPGRAM_BASE_URL', DEEPGRAM_URL)}/v1/projects",
            {"Authorization": f"Token {_key('Deepgram', 'DEEPGRAM_API_KEY')}"},
        )
        if status == 401:
            raise ModelUnavailable("Deepgram refuses the key in DEEPGRAM_API_KEY (401).")

    return check


def check_openai(spec: CallSpec) -> Callable[[], Awaitable[None]]:
    """Asks whether the key is known and, at OpenAI itself, whether the model exists for it."""

    async def check() -> None:
        model = _model(catalogue.LLM, "openai", spec.llm.model)
        headers = {"Authorization": f"Bearer {_openai_key(spec)}"}
        is_own = spec.llm.base_url is None
        path = f"/models/{model}" if is_own else "/models"
        status = await _status(f"{_openai_url(spec)}{path}", headers)
        if status == 401:
            variable = "OPENAI_API_KEY" if is_own else "OPENAI_COMPATIBLE_API_KEY"
            whose = "OpenAI" if is_own else f"The LLM server at {spec.llm.base_url}"
            raise ModelUnavailable(f"{whose} refuses the key in {variable} (401).")
        if status == 404 and is_own:
            raise ModelUnavailable(
                f"OpenAI has no model {model!r} for the key in OPENAI_API_KEY (404)."
            )

    return check


def check_cartesia(spec: CallSpec) -> Callable[[], Awaitable[None]]:
    """Asks whether the key is known and the voice exists."""

    async def check() -> None:
        voice = _cartesia_voice(spec)
        headers = {
            "X-API-Key": _key("Cartesia", "CARTESIA_API_KEY"),
            "Cartesia-Version": CARTESIA_VERSION,
        }
        base_url = _url("CARTESIA_BASE_URL", CARTESIA_URL)
        status = await _status(f"{base_url}/voices/{voice}", headers)
        if status == 401:
            raise ModelUnavailable("Cartesia refuses the key in CARTESIA_API_KEY (401).")
        if status == 404:
            raise ModelUnavailable(f"Cartesia has no voice {voice!r} (404).")

    return check


async def _status(url: str, headers: Mapping[str, str]) -> int | None:
    """None where no answer came: that is no clear "no"."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            async with http_context.http_session().get(url, headers=headers) as response:
                return response.status
    except (aiohttp.ClientError, TimeoutError):
        return None


def _key(vendor: str, variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelUnavailable(
            f"{vendor} needs a key: set {variable} in the worker's environment and start the worker again."
        )
    return key


def _openai_key(spec: CallSpec) -> str:
    if spec.llm.base_url is None:
        return _key("OpenAI", "OPENAI_API_KEY")
    return os.environ.get("OPENAI_COMPATIBLE_API_KEY", "").strip() or NO_KEY


def _openai_url(spec: CallSpec) -> str:
    return (spec.llm.base_url or _url("OPENAI_BASE_URL", OPENAI_URL)).rstrip("/")


def _url(variable: str, default: str) -> str:
    return (os.environ.get(variable, "").strip() or default).rstrip("/")


def _model(providers: tuple[catalogue.Provider, ...], provider: str, model: str | None) -> str:
    found = catalogue.find(providers, provider)
    assert found is not None, f"{provider} is in the catalogue"
    return model or found.default_model.model


def _stt_language(spec: CallSpec, model_name: str) -> str:
    wanted = spec.stt.language or spec.primary_language
    provider = catalogue.find(catalogue.STT, "deepgram")
    model = provider.find_model(model_name) if provider is not None else None
    return wanted if model is None else catalogue.fitting_language(model, wanted) or wanted


def _cartesia_voice(spec: CallSpec) -> str:
    provider = catalogue.find(catalogue.TTS, "cartesia")
    assert provider is not None, "cartesia is in the catalogue"
    voice = spec.tts.voice or provider.default_voice
    assert voice is not None, "cartesia has a default voice"
    return voice
