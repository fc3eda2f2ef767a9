"""Bad input ends as docs/guides/limits.md says. What needs a voice is in test_bad_callers.py."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk, faults
from tests.server.support.listeners import answer as answering
from tests.server.support.listeners import listening
from tests.server.support.worker_side import ScriptedWorker, turn

from bolti_server.calls import deadlines
from bolti_server.calls.tool_calls import MOST_TOOL_CALLS
from bolti_server.world import World

NAMES = [
    "Front desk \N{TOOTH}",
    "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL} Sharma",
    "مكتب الاستقبال",
    "דלפק הקבלה",
    "\N{RIGHT-TO-LEFT OVERRIDE}desk\N{POP DIRECTIONAL FORMATTING}",
    "फ्रंट डेस्क",
]


async def give_tool(desk: Desk, url: str, **more: object) -> None:
    tool: dict[str, object] = {"name": "look_up", "description": "Looks up.", "url": url}
    tool |= {"method": "POST", **more}
    made = await desk.client.post("/workspaces/current/tools", json=tool)
    assert made.status_code == 201, made.text
    await desk.change_agent(tool_ids=[made.json()["id"]])


async def test_a_tool_that_is_called_for_ever_is_sent_a_hundred_times_a_call(
    desk: Desk, worker: ScriptedWorker
) -> None:
    async with listening(answering(b"1")) as service:
        await give_tool(desk, service.url)
        await desk.placed()
        call = await worker.claim()
        await call.reach("in_progress")
        for n in range(MOST_TOOL_CALLS):
            assert (await call.tool(f"t{n}", "look_up")).json()["is_error"] is False
        for n in range(5):
            refused = (await call.tool(f"more{n}", "look_up")).json()
            assert refused["is_error"] is True
            assert "100 tool calls" in refused["result"]["error"]
        assert len(service.requests) == MOST_TOOL_CALLS
        assert (await call.tool("t7", "look_up")).json()["is_error"] is False, "a repeat is no call"
        await call.ended("remote_hangup", has_recording=False)


async def test_of_a_tool_that_answers_10_mb_the_model_reads_a_bounded_part(
    desk: Desk, worker: ScriptedWorker
) -> None:
    async with listening(answering(b'"' + b"x" * 10_000_000 + b'"')) as service:
        await give_tool(desk, service.url)
        await desk.placed()
        call = await worker.claim()
        await call.reach("in_progress")
        answer = await call.tool("t1", "look_up")
        assert answer.status_code == 200
        assert answer.json()["is_error"] is False
        assert 15_000 < len(answer.content) < 20_000
        await call.ended("remote_hangup", has_recording=True)
        mapping = {"name": "look_further", "response_mapping": {"first": "/0"}}
        await give_tool(desk, service.url, **mapping)
        await desk.placed()
        call = await worker.claim()
        await call.reach("in_progress")
        answer = await call.tool("t1", "look_further")
        assert answer.json()["is_error"] is True
        assert "larger than 1000000 bytes" in answer.json()["result"]["error"]


async def test_a_tool_that_never_answers_is_an_error_after_its_time(
    desk: Desk, worker: ScriptedWorker
) -> None:
    async def never(_request: bytes, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with listening(never) as service:
        await give_tool(desk, service.url, timeout_ms=1000)
        await desk.placed()
        call = await worker.claim()
        await call.reach("in_progress")
        began = time.monotonic()
        answer = await call.tool("t1", "look_up")
        assert answer.json()["is_error"] is True
        assert 0.9 < time.monotonic() - began < 6


async def test_a_prompt_of_a_megabyte_is_refused(desk: Desk) -> None:
    for size, status, code in (
        (1_100_000, 413, "body_too_large"),
        (100_001, 400, "validation_failed"),
    ):
        answer = await desk.client.patch(desk.agent_path, json={"system_prompt": "x" * size})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert {pointer for pointer, _ in faults(answer)} == {"/system_prompt"}
    kept = await desk.client.patch(desk.agent_path, json={"system_prompt": "x" * 100_000})
    assert kept.status_code == 200


@pytest.mark.parametrize(
    "value",
    ["{{ agent_name }}", "{{", "}}", "{{{{ x }}}}", "{% raw %}", "{", "{{ x | default: 'y' }}"],
)
async def test_braces_in_a_variable_are_never_a_variable(
    desk: Desk, worker: ScriptedWorker, value: str
) -> None:
    await desk.change_agent(first_message="Hello {{ name }}.", system_prompt="You know {{ name }}.")
    conversation_id = await desk.placed(variable_values={"name": value})
    call = await worker.claim()
    spec = (await call.spec()).json()
    for text in (spec["greeting"], spec["instructions"]):
        assert "{{" not in text
    assert "Front desk" not in spec["greeting"]
    record = await desk.conversation(conversation_id)
    assert record["variable_values"] == {"name": value}, "the record keeps what was sent"


@pytest.mark.parametrize("name", NAMES)
async def test_names_in_every_script_come_back_as_they_were(
    desk: Desk, worker: ScriptedWorker, name: str
) -> None:
    await desk.change_agent(name=name, first_message="{{ agent_name }}: {{ caller }}?")
    conversation_id = await desk.placed(variable_values={"caller": name})
    call = await worker.claim()
    assert (await call.spec()).json()["greeting"] == f"{name}: {name}?"
    await call.reach("in_progress")
    await call.report("turn", turn=turn(0, "user", name))
    record = await desk.conversation(conversation_id)
    assert record["agent"]["name"] == name
    assert record["variable_values"] == {"caller": name}
    assert record["transcript"][0]["text"] == name
    assert (await desk.client.get(desk.agent_path)).json()["name"] == name


async def test_a_name_of_no_characters_or_with_a_null_is_refused(desk: Desk) -> None:
    for name in ("", "a\0b", "x" * 256):
        answer = await desk.client.patch(desk.agent_path, json={"name": name})
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_a_caller_who_talks_for_ever_is_cut_off_at_the_cap_also_by_the_server(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    """The worker ends it at its cap (test_bad_callers.py); here it does not, and pays for nothing more."""
    conversation_id = await desk.placed(max_duration_seconds=60)
    call = await worker.claim()
    await call.reach("in_progress")
    await call.report("turn", turn=turn(0, "user", "and another thing " * 1000))
    await move_time(66)
    await deadlines.end_overdue(world)
    record = await desk.conversation(conversation_id)
    assert record["hangup"]["code"] == "max_duration"
    price = await world.db.fetchval("select price_per_minute_micros from rate_cards limit 1")
    assert record["cost"]["amount_micros"] <= (price or 6_000_000)
