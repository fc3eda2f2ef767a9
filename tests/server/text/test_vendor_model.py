"""A real vendor's language model on a text line: tools, a second vendor, and every fault that the audio line is tried with.

The vendor is its counterpart on loopback that speaks its protocol; the plugin, its client and our chain are the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import attrs
import pytest
from livekit.agents.utils import http_context
from livekit.plugins import openai
from tests.server.support.both_lines import SlowServer, answering, assert_same_outcome
from tests.server.support.call_server import RecordingServer, ToolFunction
from tests.server.support.call_specs import CHECK_DAY, CUT_CALL, call_spec, with_script
from tests.server.support.text_calls import by_text
from tests.server.support.vendor_faults import (
    ANSWER,
    APOLOGY,
    ASKS_AGAIN,
    LONGEST_SILENCE_MS,
    WISH,
    Row,
    rows,
)
from tests.server.support.vendors.openai import Answer, OpenAI
from tests.server.support.voice_calls import Stage

from bolti_server.agents.specs import SEND_DTMF
from bolti_server.voice.models import Models
from bolti_server.voice.text_models import TextModel, text_model
from bolti_server.worker_api.messages import CallSpec, LlmSpec, ToolSpec

Think = Callable[[list[dict[str, Any]]], Answer]
ROWS = [row for row in rows() if row.kind == "llm"]
DAY = {"day": "tomorrow"}
FREE = {"free": ["10:00"]}
SLOW_MS = 4_500  # longer than the words with the call and the words about it
TRANSFER = ToolSpec(
    name="transfer_call",
    description="",
    parameters={
        "type": "object",
        "properties": {"target": {"type": "string", "enum": ["billing"]}},
        "required": ["target"],
        "additionalProperties": False,
    },
    is_built_in=True,
)


def scripted(*steps: str, **changes: Any) -> CallSpec:
    """A call to somebody who does that, by an agent that thinks with OpenAI."""
    defaults: dict[str, Any] = {
        "greeting": "Hello.",
        "llm": LlmSpec(provider="openai"),
        "tools": [CUT_CALL, CHECK_DAY],
    }
    return with_script(call_spec(**{**defaults, **changes}), *steps)


def minds(*vendors: OpenAI) -> dict[str, Any]:
    """Builders of the real plugin: `openai` asks the first, `second` the last."""

    def mind(vendor: OpenAI, model: str) -> Any:
        return openai.LLM(model=model, api_key="key", base_url=f"{vendor.url}/v1")

    return {
        "openai": lambda _spec: mind(vendors[0], "gpt-4.1"),
        "second": lambda _spec: mind(vendors[-1], "gpt-4.1-mini"),
    }


def models_of(*vendors: OpenAI) -> Models:
    none: Any = None
    return Models(stt={}, llm=minds(*vendors), tts={}, vad=none)


async def played(
    spec: CallSpec,
    *vendors: OpenAI,
    tool: ToolFunction | None = None,
    then: Callable[[], None] = lambda: None,
) -> RecordingServer:
    """The whole call by text; `then` happens when its model is made."""

    async def made() -> TextModel:
        model = await text_model(spec, models_of(*vendors))
        then()
        return model

    async with http_context.open():
        return await by_text(spec, tool=tool, make=made)


async def with_openai(spec: CallSpec, think: Think, **more: Any) -> tuple[RecordingServer, OpenAI]:
    async with OpenAI(think, "key") as vendor:
        return await played(spec, vendor, **more), vendor


def asked(vendor: OpenAI) -> list[dict[str, Any]]:
    """The bodies of the requests for an answer."""
    return [seen.body for seen in vendor.seen if seen.path.endswith("/chat/completions")]


def last_user(messages: list[dict[str, Any]]) -> str:
    return next(str(each["content"]) for each in reversed(messages) if each["role"] == "user")


# ---- What works ----


async def test_it_hears_what_was_said_and_is_told_what_a_tool_answered() -> None:
    def think(messages: list[dict[str, Any]]) -> Answer:
        if messages[-1]["role"] == "tool":
            return "Ten is free."
        if "bye" in last_user(messages):
            return "Goodbye.", "cut_call", {"reason": "all said"}
        return "check_day", DAY

    spec = scripted(
        "wait_for_agent", "say: Which day?", "wait_for_agent", "say: Then bye.", "wait: 9000"
    )
    server, vendor = await with_openai(spec, think, tool=answering(FREE, ms=300))

    assert server.words == [
        ("agent", "Hello."),
        ("user", "Which day?"),
        ("agent", "Ten is free."),
        ("user", "Then bye."),
        ("agent", "Goodbye."),
    ]
    assert [each[1:3] for each in server.tool_calls] == [("check_day", DAY)]
    assert (server.end.code, server.end.detail) == ("agent_hangup", "all said")
    first, second, third = asked(vendor)
    assert [each["role"] for each in first["messages"]] == ["system", "assistant", "user"]
    assert first["messages"][0]["content"] == spec.instructions
    assert {each["function"]["name"] for each in first["tools"]} == {"cut_call", "check_day"}
    roles = ["assistant", "user", "assistant", "tool"]  # an answer may only follow these
    assert [each["role"] for each in second["messages"]][1:] == roles
    assert "10:00" in second["messages"][-1]["content"]
    assert [each["content"] for each in third["messages"][-2:]] == ["Ten is free.", "Then bye."]


async def test_of_words_that_were_cut_it_is_told_what_was_heard() -> None:
    long = "I have so much to tell you about our practice and about all that we do there."
    spec = scripted(
        "wait_for_agent", "say: Well?", "wait_for_voice: 1200", "say: Please stop right there now.",
        "wait_for_agent",
    )  # fmt: skip
    server, vendor = await with_openai(spec, lambda _messages: long)

    heard = server.turns[2].text
    assert server.turns[2].is_interrupted
    assert long.startswith(heard)
    assert 0 < len(heard) < len(long)
    told = [each["content"] for each in asked(vendor)[1]["messages"] if each["role"] == "assistant"]
    assert told == ["Hello.", heard]


async def test_arguments_that_are_no_json_reach_the_tool_as_none() -> None:
    def think(messages: list[dict[str, Any]]) -> Answer:
        return "Well." if messages[-1]["role"] == "tool" else ("check_day", "{day: tomorr")

    spec = scripted("wait_for_agent", "say: Which day?", "wait_for_agent")
    server, _ = await with_openai(spec, think, tool=answering({"error": "day?"}, is_error=True))
    assert [each[1:3] for each in server.tool_calls] == [("check_day", {})]
    assert server.words[-1] == ("agent", "Well.")


async def test_a_tool_that_this_version_does_not_know_is_not_shown_to_it() -> None:
    new = ToolSpec(name="sing", description="", parameters={"type": "object"}, is_built_in=True)
    spec = scripted(
        "wait_for_agent", "say: Hi.", "wait_for_agent", tools=[new, SEND_DTMF, TRANSFER]
    )
    _, vendor = await with_openai(spec, lambda _messages: "Yes.")
    names = {each["function"]["name"] for each in asked(vendor)[0]["tools"]}
    assert names == {"send_dtmf", "transfer_call"}


async def test_a_model_that_says_nothing_lets_the_silence_end_the_call() -> None:
    spec = scripted("wait_for_agent", "say: Hi.", "wait: 60000", silence_timeout_seconds=6)
    server, vendor = await with_openai(spec, lambda _messages: "")
    assert server.end.code == "silence_timeout"
    assert len(asked(vendor)) == 1


# ---- The same with sound, where the model says something and calls a tool at once ----


def says_and_looks(messages: list[dict[str, Any]]) -> Answer:
    if any(each["role"] == "tool" for each in messages):
        return "Ten is free.", "cut_call", {}
    return "Let me look into the calendar.", "check_day", DAY


def says_and_hands_over(messages: list[dict[str, Any]]) -> Answer:
    if messages[-1]["role"] == "tool":
        return "They are busy. Goodbye.", "cut_call", {}
    return "I connect you.", "transfer_call", {"target": "billing"}


def says_and_presses(messages: list[dict[str, Any]]) -> Answer:
    if "through" in last_user(messages):
        return "Goodbye.", "cut_call", {}
    return "One.", "send_dtmf", {"digits": "1"}


WISHES = ("wait_for_agent", "say: I have a question.", "wait_for_hang_up: 12000")
BOTH: dict[str, tuple[CallSpec, Think, ToolFunction | None, bool]] = {
    "words and a slow tool": (
        scripted(*WISHES), says_and_looks, answering(FREE, ms=SLOW_MS), True,
    ),
    "words and a quick tool": (
        scripted(*WISHES), says_and_looks, answering(FREE, ms=20), False,
    ),
    "handed over": (
        scripted(*WISHES, tools=[CUT_CALL, TRANSFER]),
        says_and_hands_over,
        answering({"to_number": "+12025550100"}),
        False,
    ),
    "handed over to a busy number": (
        scripted(*WISHES, tools=[CUT_CALL, TRANSFER]),
        says_and_hands_over,
        answering({"to_number": "+12025550101"}),
        False,
    ),
    "keys": (
        call_spec(
            to_number="+12025550110",
            greeting=None,
            llm=LlmSpec(provider="openai"),
            tools=[CUT_CALL, SEND_DTMF],
        ),
        says_and_presses,
        None,
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOTH)
async def test_what_it_says_and_does_is_the_same_with_sound(stage: Stage, name: str) -> None:
    spec, think, tool, is_slow = BOTH[name]
    async with OpenAI(think, "key") as vendor:
        models = attrs.evolve(stage.models, llm=minds(vendor), checks={})
        seconds = SLOW_MS / 1000 if is_slow else 0.0
        server = SlowServer(stage.folder(), tool, seconds)
        audio = (await stage.play(spec, server, models)).server
        text = await played(spec, vendor, tool=tool)
    assert_same_outcome(audio, text)


# ---- When it fails: the rows of tests/server/voice/test_vendor_faults.py, by text ----


@attrs.frozen
class Faulty:
    server: RecordingServer
    requests: int  # to the vendor that is broken


async def fail(row: Row) -> Faulty:
    async with AsyncExitStack() as stack:
        count = 2 if row.has_second else 1
        vendors = [
            await stack.enter_async_context(OpenAI(lambda _messages: ANSWER, "key"))
            for _ in range(count)
        ]
        spec = scripted(
            "wait_for_agent", f"say: {WISH}", "wait_for_agent: 15000", f"say: {WISH}",
            "wait_for_agent: 15000", "wait_for_hang_up: 15000",
            tools=[],
            llm_fallbacks=[LlmSpec(provider="second", model="gpt-4.1-mini")] * (count - 1),
            max_duration_seconds=60,
            silence_timeout_seconds=30,
        )  # fmt: skip
        server = await played(spec, *vendors, then=lambda: vendors[0].break_with(row.fault))
        return Faulty(server, len(asked(vendors[0])))


@pytest.fixture(scope="module")
async def faulty(request: pytest.FixtureRequest) -> AsyncIterator[dict[str, asyncio.Task[Faulty]]]:
    """The rows that were asked for, all at once: a stall takes real seconds."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = [call.params["row"] for call in calls if call is not None and "row" in call.params]
    tasks = {row.id: asyncio.create_task(fail(row)) for row in wanted if row.kind == "llm"}
    yield tasks
    for task in tasks.values():
        task.cancel()
    if tasks:
        await asyncio.wait(tasks.values())


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
async def test_a_vendor_that_fails_ends_a_text_call_as_it_ends_one_with_sound(
    faulty: dict[str, asyncio.Task[Faulty]], row: Row
) -> None:
    played_row = await faulty[row.id]
    server = played_row.server

    said = " ".join(text for role, text in server.words if role == "agent")
    if row.outcome == "answered":
        assert "Bye." in said
        assert server.end.code == "remote_hangup"
    else:
        assert server.end.code == "model_error"
        assert (server.end.detail or "").startswith("llm of openai failed: ")
    for words in row.says:
        assert words in said
    if row.has_second:
        assert "second" in {each.provider for each in server.end.usage}
        assert ASKS_AGAIN not in said
        assert APOLOGY not in said
    for before, after in zip(server.turns, server.turns[1:], strict=False):
        assert after.start_ms - before.end_ms <= LONGEST_SILENCE_MS, server.turns
    # Who failed is not asked again for every answer that another gives.
    assert played_row.requests <= (1 if row.has_second else 6)


async def test_what_it_took_to_fail_passes_on_the_line(
    faulty: dict[str, asyncio.Task[Faulty]],
) -> None:
    row = next(row for row in ROWS if row.name == "stalls before a token" and not row.has_second)
    server = (await (faulty[row.id] if row.id in faulty else asyncio.create_task(fail(row)))).server
    wish, again = server.turns[1:3]
    assert ASKS_AGAIN in again.text
    assert again.start_ms - wish.end_ms >= 2_500


async def test_each_vendor_s_tokens_are_counted_under_its_own_name() -> None:
    async with OpenAI(lambda _: ANSWER, "key") as first, OpenAI(lambda _: ANSWER, "key") as second:
        spec = scripted(
            "wait_for_agent", "say: Well?", "wait_for_agent", "say: And?", "wait_for_agent",
            llm_fallbacks=[LlmSpec(provider="second", model="gpt-4.1-mini")],
        )  # fmt: skip
        healthy = await played(spec, first, second)
        first.status = 500
        broken = await played(spec, first, second)
    assert [(each.provider, each.model) for each in healthy.end.usage] == [("openai", "gpt-4.1")]
    assert [(each.provider, each.model) for each in broken.end.usage] == [
        ("second", "gpt-4.1-mini")
    ]
    for each in (*healthy.end.usage, *broken.end.usage):
        assert each.input_tokens > 0
        assert each.output_tokens > 0


async def test_a_vendor_that_this_worker_lacks_is_told_before_anybody_is_dialed() -> None:
    spec = scripted("wait_for_agent", llm=LlmSpec(provider="nobody"))
    async with OpenAI(lambda _messages: ANSWER, "key") as vendor:
        server = await played(spec, vendor)
    assert (server.end.code, server.dial_intents) == ("model_error", 0)
    assert "'nobody'" in (server.end.detail or "")
