"""A user ends a call, before the answer and after it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from tests.server.conftest import Home, MoveTime
from tests.server.support.calls_public import Desk
from tests.server.support.worker_side import (
    ScriptedWorker,
    beat,
    event_data,
    events_of,
    hold_of,
    is_claimable,
    row_of,
    run_deadlines,
)

from bolti_server.base.clock import rfc3339
from bolti_server.world import World


async def end(desk: Desk, conversation_id: str, **body: Any) -> httpx2.Response:
    path = f"/workspaces/current/conversations/{conversation_id}/end"
    answer = await desk.client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    return answer


async def test_a_call_that_nobody_dialed_is_over_at_once(world: World, desk: Desk) -> None:
    conversation_id = await desk.placed()
    record = (await end(desk, conversation_id)).json()
    assert (record["status"], record["hangup"]["code"]) == ("cancelled", "cancelled_by_user")
    assert await hold_of(world, conversation_id) == "released"
    assert await events_of(world, conversation_id) == ["conversation.ended"]
    assert not await is_claimable(world)


async def test_an_agent_that_is_on_its_way_is_told_that_there_is_no_call(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.report("agent_ready")
    await end(desk, conversation_id)
    assert (await beat(world, call)).is_over
    assert (await call.intent()).status_code == 409


async def test_a_scheduled_call_is_cancelled_and_told_as_such(world: World, desk: Desk) -> None:
    at = rfc3339(datetime.now(UTC) + timedelta(hours=1))
    answer = await desk.call(scheduled_at=at)
    conversation_id, scheduled_call_id = (
        answer.json()["conversation_id"],
        answer.json()["scheduled_call_id"],
    )
    record = (await end(desk, conversation_id)).json()
    assert record["hangup"]["code"] == "cancelled_by_user"
    told = await event_data(world, scheduled_call_id, "scheduled_call.cancelled")
    assert told["status"] == "cancelled"
    assert await events_of(world, conversation_id) == ["conversation.ended"]


async def test_a_waiting_poll_gets_the_command_at_once(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    poll = asyncio.create_task(call.commands())
    await end(desk, conversation_id)
    async with asyncio.timeout(5):
        answer = await poll
    assert answer == {
        "commands": [{"number": 1, "type": "end", "text": None, "code": "ended_by_user"}],
        "is_over": False,
    }
    await call.ended("ended_by_user")
    record = await desk.conversation(conversation_id)
    assert (record["status"], record["hangup"]["by"]) == ("completed", "user")
    assert await hold_of(world, conversation_id) == "settled"
    assert (await beat(world, call, after=1)).is_over


@pytest.mark.parametrize("status", ["dialing", "ringing"])
async def test_before_the_answer_the_call_is_cancelled(
    desk: Desk, worker: ScriptedWorker, status: str
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach(status)
    await end(desk, conversation_id, say="Nobody could hear this.")
    command = (await call.commands())["commands"][0]
    assert command == {"number": 1, "type": "end", "text": None, "code": "cancelled_by_user"}
    await call.ended("cancelled_by_user")
    record = await desk.conversation(conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("cancelled", "cancelled_by_user")


async def test_a_call_that_is_answered_while_it_is_ended_is_ended_by_the_user(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("ringing")
    await end(desk, conversation_id)
    await call.report("answered")
    await move_time(5.5)
    assert await run_deadlines(world) == 1, "the command still stands"
    record = await desk.conversation(conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("completed", "ended_by_user")
    assert record["duration_seconds"] == 6


async def test_a_last_sentence_is_said_before(
    desk: Desk, worker: ScriptedWorker, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await end(desk, conversation_id, say="Thank you, goodbye.")
    assert (await call.commands())["commands"] == [
        {
            "number": 1,
            "type": "say_then_end",
            "text": "Thank you, goodbye.",
            "code": "ended_by_user",
        }
    ]
    await move_time(14)
    await beat(world, call)
    assert await run_deadlines(world) == 0, "it is being said"
    await move_time(4)
    assert await run_deadlines(world) == 1
    assert (await row_of(world, conversation_id))["hangup_code"] == "ended_by_user"


async def test_asking_again_changes_nothing_but_that_at_once_beats_a_last_sentence(
    desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    for _ in range(2):
        await end(desk, conversation_id, say="Goodbye.")
    for _ in range(2):
        await end(desk, conversation_id)
    await end(desk, conversation_id, say="One more thing.")
    kinds = [(each["number"], each["type"]) for each in (await call.commands())["commands"]]
    assert kinds == [(1, "say_then_end"), (2, "end")]
    assert [each["number"] for each in (await call.commands(after=1))["commands"]] == [2]


async def test_a_worker_that_does_not_obey_loses_the_call_after_five_seconds(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    for status, expected in (("dialing", "cancelled_by_user"), ("in_progress", "ended_by_user")):
        conversation_id = await desk.placed()
        call = await worker.claim()
        await call.reach(status)
        await end(desk, conversation_id)
        await move_time(4.5)
        assert await run_deadlines(world) == 0
        await move_time(1)
        assert await run_deadlines(world) == 1
        record = await desk.conversation(conversation_id)
        assert record["hangup"]["code"] == expected
        assert (await beat(world, call, after=1)).is_over


async def test_ending_a_call_that_is_over_changes_nothing(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("dialing")
    await call.ended("busy")
    before = await row_of(world, conversation_id)
    await end(desk, conversation_id)
    assert await row_of(world, conversation_id) == before


async def test_another_workspaces_call_can_not_be_ended(
    desk: Desk, home: Home, other_home: Home, app: Any, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    path = f"/workspaces/current/conversations/{conversation_id}/end"
    headers = {"Authorization": f"Bearer {other_home.api_key}"}
    answer = await worker.http.post(path, json={}, headers=headers)
    assert answer.status_code == 404
    assert (await desk.conversation(conversation_id))["status"] == "queued"
