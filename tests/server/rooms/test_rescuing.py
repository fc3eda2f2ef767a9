"""The agent-watcher: who is on the phone hears another agent soon, or the call ends with the truth; it is dialed once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.server.conftest import MoveTime
from tests.server.rooms.conftest import Rooms, cut, killed
from tests.server.support.worker_side import (
    OGG,
    ScriptedWorker,
    beat,
    events_of,
    hold_of,
    row_of,
    run_deadlines,
)

from bolti_server.calls import deadlines, rescuing, sweeping
from bolti_server.calls.jobs import due_jobs
from bolti_server.calls.rescuing import MOST_RESCUES
from bolti_server.rooms.media import MediaUnreachable
from bolti_server.world import World

AFTER_INTENT = ["dialing", "ringing", "in_progress"]


@pytest.mark.parametrize("status", AFTER_INTENT)
async def test_the_callee_of_a_killed_agent_gets_another_under_a_new_epoch(
    rooms: Rooms, world: World, move_time: MoveTime, status: str
) -> None:
    first = await rooms.at(status)
    await killed(world, first, move_time)
    assert len(rooms.media.sent) == 2
    assert rooms.media.sent[1][0] == first.conversation_id, "into the same room"
    second = rooms.sent()
    assert second.epoch == first.epoch + 1
    row = await row_of(world, first.conversation_id)
    assert row["status"] == status, "for whoever reads the record, nothing has happened"
    assert (row["ended_at"], row["rescue_count"]) == (None, 1)
    assert await hold_of(world, first.conversation_id) is None

    await beat(world, second)
    assert (await row_of(world, first.conversation_id))["rescue_due_at"] is None
    await move_time(5)
    await run_deadlines(world)
    assert (await row_of(world, first.conversation_id))["rescue_count"] == 1
    await beat(world, second)
    for report in ("agent_ready", "ringing", "answered"):
        await second.report(report)
    await second.ended("remote_hangup")
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("completed", "remote_hangup")
    told = await events_of(world, first.conversation_id)
    assert [told.count(f"conversation.{what}") for what in ("started", "answered", "ended")] == [
        1
    ] * 3


async def test_the_lost_agent_can_change_nothing_any_more(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await killed(world, first, move_time)
    assert (
        await first.send([{"number": 5, "type": "ended", "ended": {"code": "agent_hangup"}}])
    ).status_code == 409
    assert (await first.intent()).status_code == 409
    assert (await first.tool("tc_1", "cut_call")).status_code == 409
    assert (await first.commands())["is_over"] is True
    assert (await row_of(world, first.conversation_id))["ended_at"] is None


async def test_nobody_dials_again_after_an_intent(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("dialing")
    await killed(world, first, move_time)
    assert (await rooms.sent().intent("of the second")).status_code == 409


async def test_the_agent_that_takes_over_is_told_what_was_said_and_since_when_they_talk(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await first.turn(0, "agent", "Hello, how can I help?")
    await first.turn(1, "user", "What is your address?")
    await move_time(20)
    await killed(world, first, move_time)
    spec = (await rooms.sent().spec()).json()
    assert [turn["text"] for turn in spec["transcript_so_far"]] == [
        "Hello, how can I help?",
        "What is your address?",
    ]
    assert spec["takeover"]["turn_count"] == 2
    assert 20_000 <= spec["takeover"]["answered_ms_ago"] < 30_000


async def test_an_agent_that_takes_over_before_the_answer_is_told_so(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("ringing")
    await killed(world, first, move_time)
    spec = (await rooms.sent().spec()).json()
    assert spec["takeover"] == {"answered_ms_ago": None, "turn_count": 0}


@pytest.mark.parametrize("status", AFTER_INTENT)
async def test_what_a_dead_agent_left_on_disk_starts_the_rescue_at_once(
    rooms: Rooms, world: World, status: str
) -> None:
    first = await rooms.at(status)
    await first.ended("agent_lost", is_line_open=True, detail="killed by signal 9")
    assert (await row_of(world, first.conversation_id))["ended_at"] is None
    await rescuing.look_into_rooms(world)
    assert rooms.sent().epoch == first.epoch + 1


@pytest.mark.parametrize("code", ["agent_hangup", "model_error", "media_lost", "agent_lost"])
async def test_any_other_end_is_an_end(rooms: Rooms, world: World, code: str) -> None:
    first = await rooms.at("in_progress")
    await first.ended(code)
    record = await rooms.desk.conversation(first.conversation_id)
    assert record["hangup"]["code"] == code
    await rescuing.look_into_rooms(world)
    assert len(rooms.media.sent) == 1


async def test_a_machine_that_is_lost_without_a_word_is_replaced_after_fifteen_seconds(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await move_time(14.5)
    await run_deadlines(world)
    assert (await row_of(world, first.conversation_id))["rescue_count"] == 0
    await move_time(1)
    await run_deadlines(world)
    await rescuing.look_into_rooms(world)
    assert rooms.sent().epoch == first.epoch + 1


async def test_an_agent_that_does_not_come_in_four_seconds_is_replaced_and_then_given_up(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await killed(world, first, move_time)
    for _ in range(MOST_RESCUES - 1):
        await move_time(3.9)
        await run_deadlines(world)
        sent = len(rooms.media.sent)
        await move_time(0.2)
        await run_deadlines(world)
        await rescuing.look_into_rooms(world)
        assert len(rooms.media.sent) == sent + 1
    assert rooms.sent().epoch == first.epoch + MOST_RESCUES
    await move_time(4.1)
    await run_deadlines(world)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "agent_lost")
    assert record["answered_at"] is not None
    assert record["cost"]["amount_micros"] == 0
    await sweeping.close_ended(world)
    assert rooms.media.closed == [first.conversation_id], "the callee is hung up"
    assert len(rooms.media.sent) == 1 + MOST_RESCUES


@pytest.mark.parametrize("status", ["dialing", "ringing"])
async def test_giving_up_before_the_answer_is_an_unknown_outcome(
    rooms: Rooms, world: World, move_time: MoveTime, status: str
) -> None:
    first = await rooms.at(status)
    await killed(world, first, move_time)
    for _ in range(MOST_RESCUES):
        await move_time(4.1)
        await run_deadlines(world)
        await rescuing.look_into_rooms(world)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "outcome_unknown")
    assert await hold_of(world, first.conversation_id) == "released"


async def test_the_third_agent_that_dies_in_one_call_ends_it(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("in_progress")
    for _ in range(MOST_RESCUES):
        await killed(world, agent, move_time)
        agent = rooms.sent()
        await beat(world, agent)
    await killed(world, agent, move_time)
    record = await rooms.desk.conversation(agent.conversation_id)
    assert record["hangup"]["code"] == "agent_lost"


async def test_a_media_server_that_answers_nobody_ends_the_call_as_media_lost(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    rooms.media.failure = MediaUnreachable("no answer")
    await killed(world, first, move_time)
    for _ in range(MOST_RESCUES):
        await move_time(4.1)
        await run_deadlines(world)
        await rescuing.look_into_rooms(world)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "media_lost")
    assert record["cost"]["amount_micros"] == 0
    assert len(rooms.media.sent) == 1


async def test_a_media_server_that_comes_back_in_time_gets_the_second_agent(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    rooms.media.failure = MediaUnreachable("no answer")
    await killed(world, first, move_time)
    rooms.media.failure = None
    await rescuing.look_into_rooms(world)
    assert len(rooms.media.sent) == 1, "not at once again"
    await move_time(1.1)
    await rescuing.look_into_rooms(world)
    assert rooms.sent().epoch == first.epoch + 1


async def test_five_servers_send_one_agent_for_each_that_was_lost(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await cut(world, first, move_time)
    await asyncio.gather(*(rescuing.look_into_rooms(world) for _ in range(5)))
    assert len(rooms.media.sent) == 2


async def test_a_user_who_wanted_the_end_gets_it_when_the_agent_dies(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    path = f"/workspaces/current/conversations/{first.conversation_id}/end"
    assert (await rooms.desk.client.post(path, json={})).status_code == 202
    await cut(world, first, move_time)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("completed", "ended_by_user")


async def test_the_parts_of_both_agents_become_one_recording(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await killed(world, first, move_time)
    second = rooms.sent()
    await beat(world, second)
    assert (await first.put_recording(OGG + b"1", age_ms=9000)).status_code == 200
    await second.report("agent_ready")
    assert (await second.put_recording(OGG + b"2", age_ms=500)).status_code == 200
    await second.ended("remote_hangup", has_recording=True)
    row = await row_of(world, first.conversation_id)
    assert row["recording_status"] == "pending", "they have to be joined first"
    parts = await world.db.fetch("select epoch, path from recording_parts order by epoch")
    assert [part["epoch"] for part in parts] == [1, 2]
    assert len({part["path"] for part in parts}) == 2


async def test_a_part_that_came_before_the_rescue_is_not_written_over(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await first.put_recording(OGG + b"1", age_ms=9000)
    await killed(world, first, move_time)
    second = rooms.sent()
    await beat(world, second)
    await second.put_recording(OGG + b"2", age_ms=500)
    await second.ended("remote_hangup", has_recording=True)
    parts = await world.db.fetch("select path from recording_parts order by epoch")
    assert len({part["path"] for part in parts}) == 2


async def test_a_call_that_was_given_up_awaits_what_its_agents_recorded(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("in_progress")
    for _ in range(MOST_RESCUES + 1):
        await killed(world, agent, move_time)
        agent = rooms.sent()
        await beat(world, agent)
    row = await row_of(world, agent.conversation_id)
    assert (row["hangup_code"], row["recording_status"]) == ("agent_lost", "pending")


def handed_over(mode: str = "warm", *, is_error: bool = False) -> dict[str, Any]:
    """The report of a transfer."""
    result = {"to_number": "+12025550104", "mode": mode}
    return {"name": "transfer_call", "arguments": {}, "result": result, "is_error": is_error}


async def test_two_who_were_introduced_need_no_other_agent_and_talk_on(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("in_progress")
    await agent.report("tool_call", tool_call=handed_over())
    rooms.media.join(agent.conversation_id, count=2)
    await killed(world, agent, move_time)

    assert len(rooms.media.sent) == 1, "nobody is sent to disturb them"
    record = await rooms.desk.conversation(agent.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("completed", "transferred")
    await move_time(3.1)
    assert await sweeping.close_ended(world) == 0
    rooms.media.join(agent.conversation_id, count=1)
    await move_time(5.1)
    assert await sweeping.close_ended(world) == 1
    assert rooms.media.closed == [agent.conversation_id]


@pytest.mark.parametrize(
    "report", [handed_over("cold"), handed_over(is_error=True)], ids=["cold", "refused"]
)
async def test_an_agent_that_handed_nobody_over_is_replaced(
    rooms: Rooms, world: World, move_time: MoveTime, report: dict[str, Any]
) -> None:
    agent = await rooms.at("in_progress")
    await agent.report("tool_call", tool_call=report)
    await killed(world, agent, move_time)

    assert len(rooms.media.sent) == 2


async def test_a_simulated_line_in_the_worker_is_gone_with_it(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    conversation_id = await rooms.desk.placed("+12025550107")
    call = await ScriptedWorker(rooms.http).claim()
    await call.reach("in_progress")
    await beat(world, call)
    await cut(world, call, move_time)
    record = await rooms.desk.conversation(conversation_id)
    assert record["hangup"]["code"] == "agent_lost"
    assert not rooms.media.sent


async def test_a_server_that_was_deaf_itself_blames_no_agent_that_takes_over(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await killed(world, first, move_time)
    await move_time(10)
    job = next(job for job in due_jobs(world) if job.name == "lost workers")
    assert await job.run_batch() == 0, "it has just started: it could not have heard the agent"
    assert (await row_of(world, first.conversation_id))["rescue_count"] == 1
    assert await deadlines.end_lost(world, judges_rescues=True) == 1
