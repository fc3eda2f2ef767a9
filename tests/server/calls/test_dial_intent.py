"""The intent to dial: committed before anybody dials, and given to one process once."""

from __future__ import annotations

import asyncio

from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk
from tests.server.support.worker_side import (
    Leased,
    ScriptedWorker,
    events_of,
    hold_of,
    row_of,
    run_deadlines,
)

from bolti_server.billing import ledger
from bolti_server.world import World


async def test_the_intent_is_committed_and_told_before_the_answer(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.report("agent_ready")
    assert (await call.intent("n1")).json()["answer"] == "send"
    row = await row_of(world, conversation_id)
    assert (row["status"], row["dial_nonce"]) == ("dialing", "n1")
    assert row["dialed_at"] is not None
    assert await events_of(world, conversation_id) == ["conversation.started"]


async def test_an_intent_says_that_the_agent_is_ready(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    assert (await call.intent()).status_code == 200
    await call.report("agent_ready")  # it was on its way
    assert (await row_of(world, conversation_id))["status"] == "dialing"


async def test_the_same_process_may_ask_again_and_nobody_else(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    assert (await call.intent("mine")).json()["answer"] == "send"
    assert (await call.intent("mine")).json()["answer"] == "send"
    other = await call.intent("another's")
    assert (other.status_code, other.json()["code"]) == (409, "dial_refused")
    assert await events_of(world, conversation_id) == ["conversation.started"]


async def test_whoever_has_dialed_does_not_dial_again(desk: Desk, worker: ScriptedWorker) -> None:
    for status in ("ringing", "in_progress"):
        await desk.placed()
        call = await worker.claim()
        await call.reach(status)
        assert (await call.intent()).status_code == 409, status
        await call.ended("no_answer" if status == "ringing" else "remote_hangup")
        assert (await call.intent()).status_code == 409


async def test_an_intent_after_the_deadline_of_the_dial_request_is_refused(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    """A process that slept over its answer must not wake and dial."""
    conversation_id = await desk.placed()
    call = await worker.claim()
    assert (await call.intent()).status_code == 200
    await move_time(15.5)
    assert (await call.intent()).status_code == 409
    assert await run_deadlines(world) == 1
    assert (await row_of(world, conversation_id))["hangup_code"] == "outcome_unknown"


async def test_an_intent_after_the_minute_in_the_queue_is_refused(
    desk: Desk, worker: ScriptedWorker, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.report("agent_ready")
    await move_time(61)
    assert (await call.intent()).status_code == 409
    await run_deadlines(world)
    assert (await row_of(world, conversation_id))["hangup_code"] == "agent_unavailable"


async def test_nobody_dials_without_money_held(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    async with world.db.transaction() as tx:
        await ledger.release(tx, desk.workspace_id, conversation_id)
    assert (await call.intent()).status_code == 409
    row = await row_of(world, conversation_id)
    assert (row["hangup_code"], row["dialed_at"]) == ("insufficient_credits", None)


async def test_a_hundred_races_of_two_processes_for_one_dial_are_sent_once(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    sent = 0
    for n in range(100):
        await desk.placed()
        call = await worker.claim()
        twin = Leased(call.http, call.conversation_id, call.epoch, call.token)
        answers = await asyncio.gather(call.intent(f"a{n}"), twin.intent(f"b{n}"))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        sent += sum(answer.status_code == 200 for answer in answers)
        await call.ended("busy")
    assert sent == 100


async def test_an_intent_that_races_with_the_users_end_has_one_outcome(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    """Either it is over and nobody dials, or it is dialed and the worker is told to hang up."""
    for _ in range(20):
        conversation_id = await desk.placed()
        call = await worker.claim()
        path = f"/workspaces/current/conversations/{conversation_id}/end"
        intent, end = await asyncio.gather(call.intent(), desk.client.post(path, json={}))
        assert end.status_code == 202, end.text
        row = await row_of(world, conversation_id)
        if intent.status_code == 409:
            assert (row["hangup_code"], row["dialed_at"]) == ("cancelled_by_user", None)
        else:
            assert row["status"] == "dialing"
            commands = (await call.commands())["commands"]
            assert [each["code"] for each in commands] == ["cancelled_by_user"]
            await call.ended("cancelled_by_user")
        assert await hold_of(world, conversation_id) == "released"


async def test_a_nonce_is_needed(desk: Desk, worker: ScriptedWorker) -> None:
    await desk.placed()
    call = await worker.claim()
    assert (await call.intent("")).status_code == 400
    assert (await call.intent("n" * 201)).status_code == 400
