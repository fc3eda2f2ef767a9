"""Whole calls through the three real plugins, against local servers that speak the vendors' protocols.

The words travel as a modem's tones: what the callee heard went through Cartesia's plugin, what the agent read through
Deepgram's, to the letter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest
from tests.server.support.call_server import RecordingServer
from tests.server.support.call_specs import CHECK_DAY, CUT_CALL, call_spec
from tests.server.support.vendors.cartesia import VOICE, Cartesia
from tests.server.support.vendors.deepgram import Deepgram
from tests.server.support.vendors.openai import OpenAI
from tests.server.support.voice_calls import carry

from bolti_server.bootstrap.call_models import build_models, warm
from bolti_server.simulated import models as simulated
from bolti_server.simulated.line import SimulatedLine
from bolti_server.voice.models import Models
from bolti_server.worker_api.messages import (
    CallSpec,
    LlmSpec,
    SttSpec,
    ToolAnswer,
    TtsSpec,
)

WISH = "Hi. I would like to book an appointment for tomorrow, please."


def reception(messages: list[dict[str, Any]]) -> str | tuple[str, dict[str, Any]]:
    """Looks the day up, tells it, and hangs up."""
    if messages[-1]["role"] == "tool":
        return "Ten. Bye."
    heard = str(messages[-1]["content"])
    if "appointment" in heard:
        return "check_day", {"day": "tomorrow"}
    return "cut_call", {"reason": "all said"}


@attrs.frozen
class Vendors:
    openai: OpenAI
    deepgram: Deepgram
    cartesia: Cartesia


@pytest.fixture
async def vendors(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Vendors]:
    """Running, with the worker's environment pointing at them."""
    async with AsyncExitStack() as stack:
        made = Vendors(
            await stack.enter_async_context(OpenAI(reception, "sk-test")),
            await stack.enter_async_context(Deepgram("dg-test")),
            await stack.enter_async_context(Cartesia("sk_car_test")),
        )
        for variable, value in {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": f"{made.openai.url}/v1",
            "DEEPGRAM_API_KEY": "dg-test",
            "DEEPGRAM_BASE_URL": made.deepgram.url,
            "CARTESIA_API_KEY": "sk_car_test",
            "CARTESIA_BASE_URL": made.cartesia.url,
        }.items():
            monkeypatch.setenv(variable, value)
        yield made


@pytest.fixture(scope="module")
async def models() -> AsyncIterator[Models]:
    built = build_models()
    await simulated.start_voices()
    await warm(built.vad)
    yield built
    await simulated.stop_voices()


def spec_of_three(**changes: Any) -> CallSpec:
    members: dict[str, Any] = {
        "stt": SttSpec(provider="deepgram"),
        "llm": LlmSpec(provider="openai"),
        "tts": TtsSpec(provider="cartesia"),
        "tools": [CUT_CALL, CHECK_DAY],
        "greeting": "Hello.",
    }
    return call_spec(**{**members, **changes})


async def play(
    spec: CallSpec, models: Models, folder: Path, tool: Any = None
) -> tuple[RecordingServer, SimulatedLine]:
    server = RecordingServer(folder, tool)
    line = SimulatedLine(spec.line, ring_timeout_seconds=2, voice="modem")
    await carry(spec, line, server, models)
    return server, line


async def test_a_whole_call_goes_through_openai_deepgram_and_cartesia(
    vendors: Vendors, models: Models, tmp_path: Path
) -> None:
    def check(_name: str, _arguments: dict[str, Any]) -> ToolAnswer:
        return ToolAnswer(result={"free": ["10:00"]}, is_error=False, duration_ms=3)

    server, line = await play(spec_of_three(), models, tmp_path, check)

    assert server.words[:3] == [("agent", "Hello."), ("user", WISH), ("agent", "Ten. Bye.")]
    assert "".join(line.heard).replace(" ", "").startswith("Hello.Ten.Bye.")
    assert server.end.code in ("agent_hangup", "remote_hangup")
    assert [tool.name for tool in server.turns[2].tool_calls] == ["check_day"]
    _vendors_saw_what_they_expect(vendors)
    used = {usage.component: (usage.provider, usage.model) for usage in server.end.usage}
    assert used == {
        "stt": ("deepgram", "nova-3"),
        "llm": ("openai", "gpt-4.1"),
        "tts": ("cartesia", "sonic-3"),
    }


def _vendors_saw_what_they_expect(vendors: Vendors) -> None:
    listen = next(seen for seen in vendors.deepgram.seen if seen.path == "/v1/listen")
    assert (listen.query["model"], listen.query["language"]) == ("nova-3", "en-US")
    assert vendors.deepgram.audio_bytes > 100_000
    chat = next(seen.body for seen in vendors.openai.seen if seen.method == "POST")
    assert chat["model"] == "gpt-4.1"
    assert chat["messages"][0]["content"] == "You answer the telephone."
    assert {tool["function"]["name"] for tool in chat["tools"]} == {"cut_call", "check_day"}
    result = [
        message["content"]
        for seen in vendors.openai.seen
        if seen.method == "POST"
        for message in seen.body["messages"]
        if message["role"] == "tool"
    ]
    assert result[0] == '{"free": ["10:00"]}'
    assert vendors.cartesia.spoken[0] == "Hello."


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OPENAI_API_KEY", "", "set OPENAI_API_KEY"),
        ("DEEPGRAM_API_KEY", "", "set DEEPGRAM_API_KEY"),
        ("CARTESIA_API_KEY", "", "set CARTESIA_API_KEY"),
        ("OPENAI_API_KEY", "sk-wrong", "refuses the key in OPENAI_API_KEY"),
        ("DEEPGRAM_API_KEY", "dg-wrong", "refuses the key in DEEPGRAM_API_KEY"),
        ("CARTESIA_API_KEY", "sk_car_wrong", "CARTESIA_API_KEY"),
    ],
)
async def test_a_missing_or_refused_key_is_a_model_error_before_anybody_is_dialed(
    vendors: Vendors,
    models: Models,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    told: str,
) -> None:
    monkeypatch.setenv(variable, value)
    server, _ = await play(spec_of_three(), models, tmp_path)

    assert server.end.code == "model_error"
    assert told in (server.end.detail or "")
    assert server.dial_intents == 0
    assert "sk-wrong" not in (server.end.detail or "")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"llm": LlmSpec(provider="openai", model="gpt-0")}, "gpt-0"),
        (
            {"tts": TtsSpec(provider="cartesia", voice="00000000-0000-0000-0000-000000000000")},
            "no voice",
        ),
    ],
)
async def test_a_model_or_voice_that_the_vendor_lacks_is_told_before_anybody_is_dialed(
    vendors: Vendors, models: Models, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    server, _ = await play(spec_of_three(greeting=None, **changes), models, tmp_path)

    assert server.end.code == "model_error"
    assert told in (server.end.detail or "")
    assert server.dial_intents == 0


async def test_an_agents_own_llm_server_is_asked_and_never_gets_openais_key(
    vendors: Vendors, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OpenAI(lambda _messages: "Bye.", "own-key") as own:
        monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "own-key")
        llm = LlmSpec(provider="openai", model="gpt-4.1-mini", base_url=f"{own.url}/v1")
        spec = spec_of_three(llm=llm, tools=[], max_duration_seconds=9)
        server, _ = await play(spec, models, tmp_path)

    assert ("agent", "Bye.") in server.words
    assert next(seen.body["model"] for seen in own.seen if seen.body) == "gpt-4.1-mini"
    assert not [seen for seen in vendors.openai.seen if seen.method == "POST"]


async def test_a_refused_server_key_of_an_agents_own_llm_names_its_variable(
    vendors: Vendors, models: Models, tmp_path: Path
) -> None:
    async with OpenAI(lambda _messages: "Bye.", "own-key") as own:
        llm = LlmSpec(provider="openai", model="gpt-4.1-mini", base_url=f"{own.url}/v1")
        server, _ = await play(spec_of_three(llm=llm), models, tmp_path)

    assert "OPENAI_COMPATIBLE_API_KEY" in (server.end.detail or "")
    assert VOICE  # the default voice is the catalogue's, which the counterpart knows
