"""The record of a call: what it tells at each moment, held against the contract."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from tests.server.conftest import BASE_URL, Home, MoveTime
from tests.server.support.calls_public import (
    Desk,
    answer_call,
    end_call,
    keep_recording,
    make_desk,
    say,
    turn,
)
from tests.server.support.conforming import validator

from bolti_server.calls import events
from bolti_server.calls.lifecycle import HangupCode
from bolti_server.contract import structs
from bolti_server.worker_api.messages import UsageReport
from bolti_server.world import World

USAGE = [
    UsageReport(component="stt", provider="simulated", model="simulated", audio_ms=41_755),
    UsageReport(
        component="llm", provider="simulated", model="simulated", input_tokens=640, output_tokens=71
    ),
]


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


def assert_valid(schema: str, value: Any) -> None:
    """By the contract's schema of that name."""
    errors = [
        str(error) for error in validator(f"#/components/schemas/{schema}").iter_errors(value)
    ]
    assert not errors, errors


async def talk(world: World, desk: Desk, conversation_id: str, move_time: MoveTime) -> None:
    """A call of 42 seconds with four turns."""
    await answer_call(world, conversation_id)
    await say(
        world,
        desk.workspace_id,
        conversation_id,
        turn(0, "agent", "Hello.", 240),
        turn(1, "user", "Hi.", 3100),
        turn(
            2,
            "agent",
            "Ten is free.",
            5849,
            end_to_end_ms=649,
            is_interrupted=True,
            tool_calls=[
                structs.TurnToolCall(
                    name="check",
                    arguments={"day": "tomorrow"},
                    result={"slots": ["10:00"]},
                    is_error=False,
                    duration_ms=212,
                )
            ],
        ),
        turn(3, "agent", "Goodbye.", 9000, end_to_end_ms=712),
    )
    await move_time(41.5)


async def test_the_record_of_a_call_that_ended_tells_all_of_it(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(variable_values={"name": "Priya"})
    await talk(world, desk, conversation_id, move_time)
    await end_call(world, desk.workspace_id, conversation_id, usage=USAGE)
    record = await desk.conversation(conversation_id)
    assert_valid("Conversation", record)
    assert record["status"] == "completed"
    assert record["hangup"] == {
        "code": "agent_hangup",
        "by": "agent",
        "fault": "none",
        "retryable": False,
        "detail": None,
        "sip_status": None,
        "provider_code": None,
    }
    instants = [
        record[name]
        for name in ("created_at", "dialed_at", "ringing_at", "answered_at", "ended_at")
    ]
    assert instants == sorted(instants)
    assert all(instant.endswith("Z") for instant in instants)
    assert record["duration_seconds"] == 42
    assert record["cost"] == {
        "amount_micros": 4_200_000,
        "currency": "INR",
        "ledger": "test",
        "components": [{"component": "call", "amount_micros": 4_200_000}],
    }
    assert record["latency"] == {
        "turns": 2,
        "end_to_end_p50_ms": 649,
        "end_to_end_p95_ms": 712,
        "first_audio_ms": 240,
        "heard_p50_ms": None,
        "heard_p95_ms": None,
    }
    assert [each["index"] for each in record["transcript"]] == [0, 1, 2, 3]
    assert record["transcript"][2]["tool_calls"][0]["result"] == {"slots": ["10:00"]}
    assert record["transcript"][2]["is_interrupted"] is True
    assert [each["component"] for each in record["usage"]] == ["stt", "llm"]
    assert record["usage"][1]["input_tokens"] == 640
    assert record["recording_status"] == "none"
    assert record["recording_url"] is None


async def test_the_record_of_a_call_that_just_began_claims_nothing(desk: Desk) -> None:
    record = await desk.conversation(await desk.placed())
    assert_valid("Conversation", record)
    for name in ("hangup", "latency", "cost", "duration_seconds", "dialed_at", "recording_url"):
        assert record[name] is None, name
    assert record["recording_status"] == record["analysis_status"] == "none"
    assert record["transcript"] == record["usage"] == []


async def test_a_call_that_nobody_answered_lasted_no_second_and_cost_nothing(
    desk: Desk, world: World
) -> None:
    conversation_id = await desk.placed()
    await end_call(world, desk.workspace_id, conversation_id, HangupCode.AGENT_UNAVAILABLE)
    record = await desk.conversation(conversation_id)
    assert_valid("Conversation", record)
    assert record["status"] == "failed"
    assert record["duration_seconds"] == 0
    assert record["cost"]["amount_micros"] == 0
    assert record["hangup"]["fault"] == "platform"
    assert record["hangup"]["retryable"] is True


async def test_percentiles_are_values_that_were_measured(desk: Desk, world: World) -> None:
    conversation_id = await desk.placed()
    await answer_call(world, conversation_id)
    measured = [turn(i, "agent", "x", i * 3000, end_to_end_ms=600 + i) for i in range(100)]
    await say(world, desk.workspace_id, conversation_id, *measured)
    latency = (await desk.conversation(conversation_id))["latency"]
    assert (latency["end_to_end_p50_ms"], latency["end_to_end_p95_ms"]) == (649, 694)


async def test_a_callers_turns_are_no_latency(desk: Desk, world: World) -> None:
    conversation_id = await desk.placed()
    await answer_call(world, conversation_id)
    await say(world, desk.workspace_id, conversation_id, turn(0, "user", "Hello?", 100))
    assert (await desk.conversation(conversation_id))["latency"] is None


async def test_the_transcript_grows_while_the_call_lasts(desk: Desk, world: World) -> None:
    conversation_id = await desk.placed()
    path = f"/workspaces/current/conversations/{conversation_id}/transcript"
    empty = (await desk.client.get(path)).json()
    assert empty == {"conversation_id": conversation_id, "status": "queued", "turns": []}
    await answer_call(world, conversation_id)
    await say(world, desk.workspace_id, conversation_id, turn(0, "agent", "Hello.", 240))
    grown = (await desk.client.get(path)).json()
    assert_valid("Transcript", grown)
    assert grown["status"] == "in_progress"
    assert [each["text"] for each in grown["turns"]] == ["Hello."]


async def test_a_recording_has_a_link_of_this_server(desk: Desk, world: World) -> None:
    conversation_id = await desk.placed()
    await answer_call(world, conversation_id)
    await keep_recording(world, desk.workspace_id, conversation_id, b"OggS")
    await end_call(world, desk.workspace_id, conversation_id)
    record = await desk.conversation(conversation_id)
    assert record["recording_status"] == "available"
    path = f"{BASE_URL}/workspaces/{desk.workspace_id}/conversations/{conversation_id}/recording?"
    assert record["recording_url"].startswith(path)


async def test_events_tell_the_record_as_it_is_at_that_moment(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    await talk(world, desk, conversation_id, move_time)
    await end_call(world, desk.workspace_id, conversation_id)
    page = (await desk.client.get("/workspaces/current/events")).json()
    told = {each["type"]: each for each in page["data"]}
    for event_type in told:
        assert_valid("ConversationEvent", told[event_type])
    statuses = {kind: each["data"]["object"]["status"] for kind, each in told.items()}
    assert statuses == {
        "conversation.started": "dialing",
        "conversation.ringing": "ringing",
        "conversation.answered": "in_progress",
        "conversation.ended": "completed",
        "conversation.completed": "completed",
    }
    assert all(each["simulated"] is True for each in told.values())
    assert [each["sequence"] for each in page["data"]] == [1, 2, 3, 4, 5]
    assert told["conversation.ended"]["data"]["object"]["cost"]["amount_micros"] == 4_200_000


async def test_turns_and_tool_calls_are_told_with_their_conversation(
    desk: Desk, world: World
) -> None:
    conversation_id = await desk.placed()
    call = structs.TurnToolCall(
        name="check", arguments={}, result=None, is_error=True, duration_ms=3
    )
    async with world.db.transaction() as tx:
        events.emit_turn(
            tx, desk.workspace_id, conversation_id, True, turn(0, "agent", "Hello.", 240)
        )
        events.emit_tool_call(tx, desk.workspace_id, conversation_id, True, call)
    page = (await desk.client.get("/workspaces/current/events")).json()
    spoken, used = page["data"]
    assert_valid("TurnEvent", spoken)
    assert_valid("ToolCallEvent", used)
    assert spoken["data"]["object"]["conversation_id"] == conversation_id
    assert used["data"]["object"]["tool_call"]["is_error"] is True
