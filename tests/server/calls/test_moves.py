"""One call after another, from its claim to its end: what is said, charged and told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk
from tests.server.support.worker_side import (
    ScriptedWorker,
    event_data,
    events_of,
    hold_of,
    row_of,
)

from bolti_server.calls import moves
from bolti_server.calls.lifecycle import HANGUPS, OUR_FAULTS, HangupCode, Status
from bolti_server.world import World

PRICE_PER_SECOND_MICROS = 100_000
AFTER_THE_ANSWER = [
    code for code, rule in HANGUPS.items() if Status.IN_PROGRESS in rule.possible_in
]
WHILE_DIALING = [code for code, rule in HANGUPS.items() if Status.DIALING in rule.possible_in]
WHILE_QUEUED = [code for code, rule in HANGUPS.items() if Status.QUEUED in rule.possible_in]


async def test_a_call_is_told_charged_and_recorded_from_claim_to_goodbye(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    assert (call.conversation_id, call.epoch) == (conversation_id, 1)
    await call.reach("in_progress")
    await call.turn(0, "agent", "Hello.")
    await call.turn(1, "user", "Hi.")
    await move_time(41.2)
    usage = {"component": "llm", "provider": "simulated", "model": "simulated", "input_tokens": 7}
    await call.ended("agent_hangup", usage=[usage])

    record = await desk.conversation(conversation_id)
    assert record["status"] == "completed"
    assert record["duration_seconds"] == 42
    assert record["hangup"]["code"] == "agent_hangup"
    assert record["cost"]["amount_micros"] == 42 * PRICE_PER_SECOND_MICROS
    assert record["cost"]["ledger"] == "test"
    assert [turn["text"] for turn in record["transcript"]] == ["Hello.", "Hi."]
    assert record["usage"][0]["input_tokens"] == 7
    assert await hold_of(world, conversation_id) == "settled"
    assert await events_of(world, conversation_id) == [
        "conversation.started",
        "conversation.ringing",
        "conversation.answered",
        "conversation.turn",
        "conversation.turn",
        "conversation.ended",
        "conversation.completed",
    ]
    told = await event_data(world, conversation_id, "conversation.ended")
    assert told["cost"] == record["cost"]
    assert (await event_data(world, conversation_id, "conversation.ringing"))["status"] == "ringing"


# One database for all codes: a fresh one for each would cost a minute.


async def test_a_call_ends_after_the_answer_with_every_code_that_can_be(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    for code in AFTER_THE_ANSWER:
        conversation_id = await desk.placed()
        call = await worker.claim()
        await call.reach("in_progress")
        await move_time(9.5)
        await call.ended(code)
        record = await desk.conversation(conversation_id)
        _assert_ended(record, code)
        assert record["answered_at"] is not None, code
        is_free = HANGUPS[code].fault in OUR_FAULTS
        resolution = await hold_of(world, conversation_id)
        assert resolution == ("released" if is_free else "settled"), code
        price = 0 if is_free else 10 * PRICE_PER_SECOND_MICROS
        assert record["cost"]["amount_micros"] == price, code
        is_completed = HANGUPS[code].status is Status.COMPLETED
        events = await events_of(world, conversation_id)
        assert ("conversation.completed" in events) is is_completed, code


async def test_a_call_ends_before_the_answer_with_every_code_that_can_be_and_costs_nothing(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    for code in WHILE_DIALING:
        conversation_id = await desk.placed()
        call = await worker.claim()
        await call.reach("dialing")
        await call.ended(code, sip_status=486, provider_code="Q.850;17", detail="as told")
        record = await desk.conversation(conversation_id)
        _assert_ended(record, code)
        assert record["hangup"]["sip_status"] == 486
        assert record["hangup"]["provider_code"] == "Q.850;17"
        assert record["hangup"]["detail"] == "as told"
        assert record["duration_seconds"] == 0
        assert record["cost"]["amount_micros"] == 0
        assert await hold_of(world, conversation_id) == "released", code
        events = await events_of(world, conversation_id)
        assert events == ["conversation.started", "conversation.ended"], code


async def test_a_call_ends_before_the_dial_with_every_code_that_can_be(
    world: World, desk: Desk
) -> None:
    for code in WHILE_QUEUED:
        conversation_id = await desk.placed()
        async with world.db.transaction() as tx:
            assert await moves.end(tx, world, desk.workspace_id, conversation_id, code)
        _assert_ended(await desk.conversation(conversation_id), code)
        assert await hold_of(world, conversation_id) == "released", code
        assert await events_of(world, conversation_id) == ["conversation.ended"], code


async def test_a_terminal_status_never_changes(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("dialing")
    await call.ended("busy")
    before = await row_of(world, conversation_id)
    async with world.db.transaction() as tx:
        for code in HangupCode:
            assert not await moves.end(tx, world, desk.workspace_id, conversation_id, code)
        await moves.queue(tx, world, desk.workspace_id, conversation_id)
    assert await row_of(world, conversation_id) == before


async def test_a_callee_that_answers_at_once_never_rang(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("dialing")
    await call.report("answered")
    await call.report("ringing")  # overtaken
    await call.ended("remote_hangup")
    record = await desk.conversation(conversation_id)
    assert record["ringing_at"] is None
    assert record["status"] == "completed"


async def test_seconds_over_the_cap_are_not_charged(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(max_duration_seconds=30)
    call = await worker.claim()
    await call.reach("in_progress")
    await move_time(33)
    await call.ended("max_duration")
    record = await desk.conversation(conversation_id)
    assert record["duration_seconds"] == 34
    assert record["cost"]["amount_micros"] == 30 * PRICE_PER_SECOND_MICROS
    assert await world.db.fetchval("select billed_seconds from ledger_holds") == 30


async def test_the_age_of_a_report_decides_its_instant_by_the_databases_clock(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    """A server that was away for half a minute hears of it all at once."""
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("dialing")
    await move_time(30)
    reports = [
        {"number": 2, "type": "ringing", "age_ms": 28_000},
        {"number": 3, "type": "answered", "age_ms": 25_000},
        {"number": 4, "type": "ended", "age_ms": 5_000, "ended": {"code": "remote_hangup"}},
    ]
    assert (await call.send(reports)).json() == {"applied_through": 4, "wanted": None}
    row = await row_of(world, conversation_id)
    assert (row["answered_at"] - row["ringing_at"]).total_seconds() == pytest.approx(3, abs=0.01)
    assert (row["ended_at"] - row["answered_at"]).total_seconds() == pytest.approx(20, abs=0.01)
    assert row["duration_seconds"] in (20, 21)


async def test_no_age_turns_the_order_of_instants_round(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("dialing")
    await call.report("ringing", age_ms=-5_000)
    await call.report("answered", age_ms=3_600_000)
    await call.ended("remote_hangup", age_ms=10**12)
    row = await row_of(world, conversation_id)
    assert row["dialed_at"] <= row["ringing_at"] <= row["answered_at"] <= row["ended_at"]


def _assert_ended(record: dict[str, Any], code: HangupCode) -> None:
    rule, hangup = HANGUPS[code], record["hangup"]
    assert record["status"] == rule.status, code
    said = (hangup["code"], hangup["by"], hangup["fault"], hangup["retryable"])
    assert said == (code, rule.by, rule.fault, rule.retryable)
