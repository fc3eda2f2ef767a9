"""What is found in the room of a call whose agent was lost: the call goes on, or ends with the truth."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import attrs
from tests.server.conftest import MoveTime
from tests.server.rooms.conftest import Rooms, browser_call, cut, killed
from tests.server.support.calls_public import assign
from tests.server.support.media import FakeMedia
from tests.server.support.worker_side import (
    Leased,
    beat,
    hold_of,
    row_of,
    run_deadlines,
)

from bolti_server.calls import commands, rescuing, room_queries, sweeping
from bolti_server.calls.answering import answer_inbound
from bolti_server.calls.rescuing import MOST_RESCUES
from bolti_server.numbers.queries import find_simulated_trunk_id
from bolti_server.rooms.media import BROWSER_IDENTITY, RoomLook
from bolti_server.worker_api.messages import InboundCall
from bolti_server.world import World


async def test_a_callee_that_hung_up_meanwhile_ends_the_call_when_we_last_heard_of_it(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await move_time(30)
    await beat(world, first)
    rooms.media.leave(first.conversation_id)
    await move_time(15.5)
    await run_deadlines(world)
    await rescuing.look_into_rooms(world)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("completed", "remote_hangup")
    assert 30 <= record["duration_seconds"] <= 31, "what we were deaf for is not billed"
    assert await hold_of(world, first.conversation_id) == "settled"
    assert len(rooms.media.sent) == 1


async def test_a_callee_that_hung_up_and_is_still_listed_has_hung_up(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    rooms.media.join(first.conversation_id, "hangup")
    await killed(world, first, move_time)
    record = await rooms.desk.conversation(first.conversation_id)
    assert record["hangup"]["code"] == "remote_hangup"


async def test_a_room_that_is_gone_is_media_lost_and_costs_nothing(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await move_time(30)
    await beat(world, first)
    rooms.media.rooms.clear()
    await killed(world, first, move_time)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "media_lost")
    assert record["answered_at"] is not None
    assert record["cost"]["amount_micros"] == 0


async def test_a_callee_that_was_cut_off_at_the_cap_is_told_from_one_that_hung_up_by_the_clock(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress", max_duration_seconds=60)
    await move_time(59.5)
    await beat(world, first)
    await move_time(0.6)
    rooms.media.leave(first.conversation_id)
    await killed(world, first, move_time)
    record = await rooms.desk.conversation(first.conversation_id)
    assert record["hangup"]["code"] == "max_duration"
    assert record["duration_seconds"] == 60


async def test_a_dial_whose_leg_is_not_found_has_an_unknown_outcome_and_the_money_back(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.dispatched()
    await first.reach("dialing")
    await beat(world, first)
    await killed(world, first, move_time)
    row = await row_of(world, first.conversation_id)
    assert row["ended_at"] is None, "a leg that was sent in the last moment may be on its way"
    await move_time(2.1)
    await rescuing.look_into_rooms(world)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "outcome_unknown")
    assert record["hangup"]["retryable"] is False
    assert await hold_of(world, first.conversation_id) == "released"
    await sweeping.close_ended(world)
    assert rooms.media.closed == [first.conversation_id], "a late leg is hung up"
    assert len(rooms.media.sent) == 1


async def test_a_leg_that_shows_a_second_late_is_taken_over(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.dispatched()
    await first.reach("dialing")
    await beat(world, first)
    await killed(world, first, move_time)
    rooms.media.join(first.conversation_id, "dialing")
    await move_time(1.1)
    await rescuing.look_into_rooms(world)
    assert rooms.sent().epoch == first.epoch + 1


async def test_a_callee_that_is_gone_while_it_rang_has_an_unknown_outcome(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("ringing")
    rooms.media.leave(first.conversation_id)
    await killed(world, first, move_time)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "outcome_unknown")
    assert await hold_of(world, first.conversation_id) == "released"


async def test_a_browser_that_has_not_joined_yet_is_waited_for_by_the_next_agent(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await browser_call(rooms, world)
    await agent.reach("ringing")
    await beat(world, agent)
    await killed(world, agent, move_time)
    assert rooms.sent().epoch == agent.epoch + 1


async def test_a_browser_that_has_left_has_hung_up(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await browser_call(rooms, world)
    await agent.reach("in_progress")
    rooms.media.join(agent.conversation_id, identity=BROWSER_IDENTITY)
    await beat(world, agent)
    rooms.media.leave(agent.conversation_id)
    await killed(world, agent, move_time)
    record = await rooms.desk.conversation(agent.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("completed", "remote_hangup")
    assert record["cost"] is None
    assert await world.db.fetchval("select count(*) from ledger_holds") == 0


async def test_a_look_at_a_call_that_is_over_by_then_changes_nothing(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await cut(world, first, move_time)

    class EndsMeanwhile(FakeMedia):
        async def look(self, room: str) -> RoomLook:
            second = await row_of(world, first.conversation_id)
            async with world.db.transaction() as tx:
                await tx.execute(
                    "update conversations set epoch = epoch + 1, last_report = 0 where id = $1",
                    second["id"],
                )
            return RoomLook(exists=False)

    await rescuing.look_into_rooms(attrs.evolve(world, media=EndsMeanwhile()))
    row = await row_of(world, first.conversation_id)
    assert row["ended_at"] is None, "that look was for another agent"
    assert row["rescue_due_at"] - row["blind_since"] < timedelta(seconds=10)


async def ringing_inbound(rooms: Rooms, world: World) -> Leased:
    """A call that comes in, whose agent has asked the server and was never heard of again."""
    async with world.db.transaction() as tx:
        trunk_id = await find_simulated_trunk_id(tx, rooms.desk.workspace_id)
    assert trunk_id is not None
    await assign(world, rooms.desk.workspace_id, rooms.desk.agent_id, "+12025550188", "inbound")
    message = InboundCall(
        worker_id="worker_1",
        room="in-+12025550111_x",
        sip_call_id="SCL_in",
        trunk_id=trunk_id,
        from_number="+12025550111",
        to_number="+12025550188",
    )
    answer = await answer_inbound(world, message)
    assert answer.claimed is not None, answer
    rooms.media.join(message.room, "ringing", identity="sip_+12025550111")
    claimed = answer.claimed
    agent = Leased(rooms.http, claimed.conversation_id, claimed.epoch, claimed.token)
    await beat(world, agent)
    return agent


async def test_a_caller_who_still_waits_is_answered_by_the_next_agent(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await ringing_inbound(rooms, world)
    await killed(world, first, move_time)
    [(room, _)] = rooms.media.sent
    assert room == "in-+12025550111_x"
    second = rooms.sent()
    assert second.epoch == first.epoch + 1
    spec = (await second.spec()).json()
    assert (spec["direction"], spec["line"]["room"]) == ("inbound", room)
    assert spec["takeover"] == {"answered_ms_ago": None, "turn_count": 0}
    await beat(world, second)
    await second.report("agent_ready")
    await second.report("answered")
    await second.ended("remote_hangup")
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("completed", "remote_hangup")
    assert await hold_of(world, first.conversation_id) == "settled"


async def test_a_caller_who_gave_up_meanwhile_has_cancelled(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await ringing_inbound(rooms, world)
    rooms.media.leave("in-+12025550111_x")
    await killed(world, first, move_time)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("cancelled", "caller_cancelled")
    assert await hold_of(world, first.conversation_id) == "released"


async def test_a_caller_whom_no_agent_comes_to_answer_is_told_so_in_the_record(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await ringing_inbound(rooms, world)
    await killed(world, first, move_time)
    for _ in range(MOST_RESCUES):
        await move_time(4.1)
        await run_deadlines(world)
        await rescuing.look_into_rooms(world)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "agent_unavailable")
    assert record["hangup"]["retryable"] is True
    assert await hold_of(world, first.conversation_id) == "released"


async def test_a_caller_whom_a_living_agent_never_answers_ends_at_the_deadline_of_the_ringing(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await ringing_inbound(rooms, world)
    for _ in range(3):
        await move_time(9)
        await beat(world, first)
    await run_deadlines(world)
    record = await rooms.desk.conversation(first.conversation_id)
    assert record["hangup"]["code"] == "agent_unavailable"


async def test_a_hint_that_overtakes_the_end_that_an_agent_tells_ends_nothing(
    rooms: Rooms, world: World
) -> None:
    first = await rooms.at("in_progress")
    gone = asyncio.Event()
    gone.set()
    await commands.poll_commands(
        world, first.conversation_id, first.epoch, after=0, gone=gone, wait_seconds=5
    )
    rooms.media.rooms.clear()  # the agent has hung up, and is about to tell
    async with world.db.transaction() as tx:
        await room_queries.ask_for_look_of_any_workspace(tx, first.conversation_id)
    await rescuing.look_into_rooms(world)
    assert (await row_of(world, first.conversation_id))["ended_at"] is None


async def test_an_agent_that_dies_of_the_end_that_a_user_asked_for_leaves_that_reason(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("in_progress")
    await killed(world, first, move_time)
    assert (await row_of(world, first.conversation_id))["epoch"] == first.epoch + 1
    answer = await rooms.desk.client.post(
        f"/workspaces/{rooms.desk.workspace_id}/conversations/{first.conversation_id}/end"
    )
    assert answer.status_code == 202, answer.text
    rooms.media.rooms.clear()
    async with world.db.transaction() as tx:
        await room_queries.ask_for_look_of_any_workspace(tx, first.conversation_id)
    await rescuing.look_into_rooms(world)
    record = await rooms.desk.conversation(first.conversation_id)
    assert record["hangup"]["code"] == "ended_by_user"
