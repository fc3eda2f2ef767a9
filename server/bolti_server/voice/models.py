"""The models of one call, made by whoever the provider's name says. `bootstrap.worker` decides who that is.

Rule: a call needs one working model of each kind. One that this worker can't make, or whose vendor refuses our key, is
set aside with a line in the log while another of its kind is left; else nobody is dialed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import msgspec
from livekit.agents import llm, stt, tts, vad

from bolti_server.base.logging import get_logger
from bolti_server.lines.line import CallLine
from bolti_server.models import catalogue
from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.voice.fallback import Component, Vendor, Vendors
from bolti_server.worker_api.messages import CallSpec, LlmSpec, SttSpec, TtsSpec

Check = Callable[[], Awaitable[None]]
Made = TypeVar("Made")
LlmVendors = Vendors[llm.LLM[Any]]

log = get_logger("models")
_CATALOGUE = {"stt": catalogue.STT, "llm": catalogue.LLM, "tts": catalogue.TTS}
_IN_WORDS = {"stt": "speech-to-text", "llm": "language model", "tts": "text-to-speech"}


@attrs.frozen
class CallModels:
    """Of each kind the vendors in the agent's order."""

    stt: Vendors[stt.STT[Any]]
    llm: Vendors[llm.LLM[Any]]
    tts: Vendors[tts.TTS[Any]]
    vad: vad.VAD
    checks: tuple[Check, ...] = ()

    async def check(self) -> None:
        """Finds a wrong key, model or voice before anybody is dialed. Raises ModelUnavailable, in the first one's words,
        where no model of a kind is left."""
        await _all_of(*(check() for check in self.checks))


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
        checks: list[Check] = []

        def made(
            component: Component,
            choices: Sequence[SttSpec | LlmSpec | TtsSpec],
            build: Callable[[str, CallSpec], Made],
        ) -> Vendors[Made]:
            # A builder looks at the first choice only, so each choice gets a spec of its own.
            specs = [msgspec.structs.replace(spec, **{component: choice}) for choice in choices]
            return _vendors(component, choices, specs, build, self.checks, checks)

        return CallModels(
            stt=made(
                "stt",
                [spec.stt, *spec.stt_fallbacks],
                lambda name, one: _of("stt", self.stt, name)(one, line),
            ),
            llm=made(
                "llm",
                [spec.llm, *spec.llm_fallbacks],
                lambda name, one: _of("llm", self.llm, name)(one),
            ),
            tts=made(
                "tts",
                [spec.tts, *spec.tts_fallbacks],
                lambda name, one: _of("tts", self.tts, name)(one),
            ),
            vad=self.vad,
            checks=tuple(checks),
        )

    async def build_llm(self, spec: CallSpec) -> LlmVendors:
        """The language models alone, checked: a text line needs no more. Raises ModelUnavailable."""
        checks: list[Check] = []
        choices = [spec.llm, *spec.llm_fallbacks]
        specs = [msgspec.structs.replace(spec, llm=choice) for choice in choices]
        found: LlmVendors = _vendors(
            "llm",
            choices,
            specs,
            lambda name, one: _of("llm", self.llm, name)(one),
            self.checks,
            checks,
        )
        await _all_of(*(check() for check in checks))
        return found


def _vendors(
    component: Component,
    choices: Sequence[SttSpec | LlmSpec | TtsSpec],
    specs: Sequence[CallSpec],
    build: Callable[[str, CallSpec], Made],
    known_checks: Mapping[str, Callable[[CallSpec], Check]],
    checks: list[Check],
) -> Vendors[Made]:
    """Those that can be made. Their checks are added to `checks`."""
    made: list[tuple[Vendor[Made], CallSpec]] = []
    problem: ModelUnavailable | None = None
    for choice, spec in zip(choices, specs, strict=True):
        model = catalogue.model_name(_CATALOGUE[component], choice.provider, choice.model)
        try:
            vendor = Vendor(choice.provider, model, build(choice.provider, spec))
        except ModelUnavailable as error:
            problem = problem or error
            log.warning(
                "model_unavailable",
                component=component,
                provider=choice.provider,
                model=model,
                detail=str(error),
            )
        else:
            made.append((vendor, spec))
    if not made:
        assert problem is not None, "a spec has at least one choice"
        raise problem
    vendors = Vendors(component, [vendor for vendor, _ in made])
    checks += [
        _checking(vendors, vendor, known_checks[vendor.provider](spec))
        for vendor, spec in made
        if vendor.provider in known_checks
    ]
    return vendors


def _checking(vendors: Vendors[Made], vendor: Vendor[Made], check: Check) -> Check:
    async def checked() -> None:
        try:
            await check()
        except ModelUnavailable as error:
            vendors.failed(vendor, error)
            if vendors.have_all_refused():
                raise

    return checked


def _of(component: Component, builders: Mapping[str, Made], provider: str) -> Made:
    builder = builders.get(provider)
    if builder is None:
        known = ", ".join(sorted(builders))
        raise ModelUnavailable(
            f"This worker has no {_IN_WORDS[component]} provider {provider!r}; it has: {known}."
        )
    return builder


async def _all_of(*works: Awaitable[None]) -> None:
    """All at once; the first failure is raised as it is, and the others are stopped."""
    tasks = [asyncio.ensure_future(work) for work in works]
    if not tasks:
        return
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
