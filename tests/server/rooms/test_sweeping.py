"""No room outlives its call: closed when it ends, tried again until it is gone; and none is left behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.server.conftest import MoveTime
from tests.server.rooms.conftest import Rooms
from tests.server.support.worker_side import row_of, run_deadlines

from bolti_server.calls import sweeping
from bolti_server.calls.jobs import due_jobs
from bolti_server.rooms.media import MediaRefused, MediaUnreachable, RoomLook
from bolti_server.world import World

LONG_AGO = datetime.now(UTC) - timedelta(seconds=sweeping.OLD_SECONDS + 1)


def has_room(rooms: Rooms, name: str, created_at: datetime = LONG_AGO) -> None:
    rooms.media.rooms[name] = RoomLook(exists=True)
    rooms.media.created_at[name] = created_at


async def test_the_room_of_an_ended_call_is_closed_once_its_agent_had_the_time_to_do_it(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("in_progress")
    assert await sweeping.close_ended(world) == 0, "they are talking"
    await agent.ended("agent_hangup")
    assert await sweeping.close_ended(world) == 0, "its last word may still be on the way"
    await move_time(3.1)
    assert await sweeping.close_ended(world) == 1
    assert rooms.media.closed == [agent.conversation_id]
    assert (await row_of(world, agent.conversation_id))["room_closed_at"] is not None
    assert await sweeping.close_ended(world) == 0


async def test_a_call_that_a_deadline_ends_is_hung_up(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("in_progress", max_duration_seconds=60)
    await move_time(66)
    await run_deadlines(world)
    await sweeping.close_ended(world)
    assert rooms.media.closed == [agent.conversation_id]


@pytest.mark.parametrize(
    "failure", [MediaUnreachable("no answer"), MediaRefused("internal", "not now")], ids=repr
)
async def test_a_room_that_could_not_be_closed_is_closed_later(
    rooms: Rooms,
    world: World,
    move_time: MoveTime,
    failure: MediaUnreachable | MediaRefused,
) -> None:
    agent = await rooms.at("in_progress")
    await agent.ended("agent_hangup")
    await move_time(3.1)
    rooms.media.failure = failure
    assert await sweeping.close_ended(world) == 0
    rooms.media.failure = None
    assert await sweeping.close_ended(world) == 0, "a moment later, not in a tight loop"
    await move_time(5.1)
    assert await sweeping.close_ended(world) == 1


async def test_two_people_who_were_put_through_talk_on_and_their_room_is_closed_afterwards(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("in_progress")
    await agent.ended("transferred")
    rooms.media.join(agent.conversation_id, count=2)
    await move_time(3.1)
    assert await sweeping.close_ended(world) == 0
    await move_time(5.1)
    assert await sweeping.close_ended(world) == 0
    assert not rooms.media.closed
    rooms.media.join(agent.conversation_id, count=1)
    await move_time(5.1)
    assert await sweeping.close_ended(world) == 1


async def test_a_room_of_ours_that_no_conversation_knows_is_closed_when_it_is_old(
    rooms: Rooms, world: World
) -> None:
    for name in ("conv_01kavqm3t8e6zb2c4d5f7g9h6q", "in-+12025550100_abc"):
        has_room(rooms, name)
    has_room(rooms, "in-just_now", datetime.now(UTC))
    has_room(rooms, "somebody-elses")
    await sweeping.sweep(world)
    assert sorted(rooms.media.closed) == ["conv_01kavqm3t8e6zb2c4d5f7g9h6q", "in-+12025550100_abc"]


async def test_the_room_of_a_living_call_is_never_swept(rooms: Rooms, world: World) -> None:
    agent = await rooms.at("in_progress")
    rooms.media.created_at[agent.conversation_id] = LONG_AGO
    await sweeping.sweep(world)
    assert not rooms.media.closed


async def test_a_leg_that_made_its_closed_room_anew_is_hung_up_at_the_next_sweep(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("in_progress")
    await agent.ended("agent_hangup")
    await move_time(3.1)
    await sweeping.close_ended(world)
    has_room(rooms, agent.conversation_id, datetime.now(UTC))
    await sweeping.sweep(world)
    assert rooms.media.closed == [agent.conversation_id] * 2


async def test_a_media_server_that_does_not_answer_is_asked_again_at_the_next_sweep(
    rooms: Rooms, world: World
) -> None:
    has_room(rooms, "conv_01kavqm3t8e6zb2c4d5f7g9h6q")
    rooms.media.failure = MediaUnreachable("no answer")
    assert await sweeping.sweep(world) == 0
    rooms.media.failure = None
    await sweeping.sweep(world)
    assert len(rooms.media.closed) == 1


async def test_all_of_it_goes_on_by_itself_in_a_server_that_has_rooms(world: World) -> None:
    names = {job.name for job in due_jobs(world)}
    assert {
        "agents for rooms",
        "looks into rooms",
        "rooms of ended calls",
        "rooms of nobody",
    } <= names
