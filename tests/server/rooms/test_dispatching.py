"""An agent is sent into a call's room: once at a time, again when nobody comes, and never while a transaction is open."""

from __future__ import annotations

import asyncio

import attrs
import msgspec
import pytest
from tests.server.conftest import MoveTime
from tests.server.rooms.conftest import Rooms
from tests.server.support.calls_public import set_limit
from tests.server.support.media import FakeMedia
from tests.server.support.worker_side import (
    ScriptedWorker,
    events_of,
    hold_of,
    row_of,
    run_deadlines,
)

from bolti_server.base.db import ENGINE
from bolti_server.base.due import run_due_jobs
from bolti_server.calls import dispatching
from bolti_server.calls.jobs import due_jobs
from bolti_server.rooms.media import MediaRefused, MediaUnreachable
from bolti_server.world import World


async def test_an_agent_is_sent_into_a_room_that_is_named_after_the_call(
    rooms: Rooms, world: World
) -> None:
    conversation_id = await rooms.placed()
    assert await dispatching.dispatch_agents(world) == 1
    assert [room for room, _ in rooms.media.sent] == [conversation_id]
    metadata = msgspec.json.decode(rooms.media.sent[0][1])
    assert metadata["conversation_id"] == conversation_id
    assert metadata["epoch"] == 1
    spec = (await rooms.sent().spec()).json()
    assert spec["line"]["kind"] == "room"
    assert spec["line"]["room"] == conversation_id
    assert spec["line"]["is_simulated"] is True
    assert spec["takeover"] is None
    assert await dispatching.dispatch_agents(world) == 0, "each call gets one agent at a time"


async def test_a_worker_that_claims_calls_gets_none_that_needs_a_room(
    rooms: Rooms, world: World
) -> None:
    await rooms.placed()
    assert (await ScriptedWorker(rooms.http).ask(capacity=0)).json()["claimed"] == []
    in_worker = await rooms.desk.placed("+12025550107")
    claimed = await ScriptedWorker(rooms.http).claim_all(capacity=5)
    assert [call.conversation_id for call in claimed] == [in_worker]


async def test_a_call_that_is_placed_reaches_the_media_server_without_anybody_asking(
    rooms: Rooms, world: World
) -> None:
    jobs = [job for job in due_jobs(world) if job.topic == "claimable"]
    running = asyncio.create_task(run_due_jobs(jobs, world.clock, world.wakeups))
    try:
        await rooms.placed()
        async with asyncio.timeout(5):
            while not rooms.media.sent:
                await asyncio.sleep(0.005)
    finally:
        running.cancel()
        await asyncio.wait({running})


@attrs.define
class SlowMedia(FakeMedia):
    """Answers when the test says so."""

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    asked: int = 0
    most_asked: int = 0
    answer: asyncio.Event = attrs.Factory(asyncio.Event)

    async def send_agent(self, room: str, metadata: str, *, is_first: bool = False) -> None:
        assert ENGINE.current_transaction.get() is None, "nothing waits for the network inside one"
        self.asked += 1
        self.most_asked = max(self.asked, self.most_asked)
        await self.answer.wait()
        self.asked -= 1
        await super().send_agent(room, metadata, is_first=is_first)


async def test_many_agents_are_asked_for_at_once_and_no_more_than_the_bound(
    rooms: Rooms, world: World
) -> None:
    await set_limit(world, rooms.desk.workspace_id, 100)
    for _ in range(dispatching.AT_ONCE + 5):
        await rooms.placed(allow_concurrent_to_callee=True)
    slow = SlowMedia()
    working = asyncio.create_task(dispatching.dispatch_agents(attrs.evolve(world, media=slow)))
    async with asyncio.timeout(5):
        while slow.asked < dispatching.AT_ONCE:
            await asyncio.sleep(0.005)
    slow.answer.set()
    assert await working == dispatching.AT_ONCE
    assert slow.most_asked == dispatching.AT_ONCE


async def test_five_servers_send_one_agent_to_each_call(rooms: Rooms, world: World) -> None:
    await set_limit(world, rooms.desk.workspace_id, 100)
    placed = [await rooms.placed(allow_concurrent_to_callee=True) for _ in range(12)]
    await asyncio.gather(*(dispatching.dispatch_agents(world) for _ in range(5)))
    assert sorted(room for room, _ in rooms.media.sent) == sorted(placed)


async def test_nobody_ready_after_seven_seconds_brings_a_second_agent_that_fences_the_first(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.dispatched()
    await move_time(6.5)
    assert await dispatching.dispatch_agents(world) == 0
    await move_time(0.6)
    assert await dispatching.dispatch_agents(world) == 1
    second = rooms.sent()
    assert second.epoch == first.epoch + 1
    assert (await first.intent()).status_code == 409
    await second.reach("dialing")


async def test_nobody_ready_after_fifteen_seconds_is_agent_unavailable_and_costs_nothing(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    call = await rooms.dispatched()
    await move_time(7.1)
    assert await dispatching.dispatch_agents(world) == 1
    await move_time(6.4)
    await run_deadlines(world)
    assert (await row_of(world, call.conversation_id))["ended_at"] is None
    await move_time(1.6)
    await run_deadlines(world)
    record = await rooms.desk.conversation(call.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "agent_unavailable")
    assert await hold_of(world, call.conversation_id) == "released"


@pytest.mark.parametrize(
    "failure",
    [MediaUnreachable("no answer"), MediaRefused("unauthenticated", "another key")],
    ids=["unreachable", "refused"],
)
async def test_a_media_server_that_fails_is_asked_again_at_seven_seconds_and_then_the_call_ends(
    rooms: Rooms,
    world: World,
    move_time: MoveTime,
    failure: MediaUnreachable | MediaRefused,
) -> None:
    conversation_id = await rooms.placed()
    rooms.media.failure = failure
    assert await dispatching.dispatch_agents(world) == 1
    assert (await row_of(world, conversation_id))["ended_at"] is None
    await move_time(7.1)
    assert await dispatching.dispatch_agents(world) == 1
    record = await rooms.desk.conversation(conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "media_unavailable")
    assert "LiveKit" in record["hangup"]["detail"]
    assert await hold_of(world, conversation_id) == "released"


async def test_a_media_server_that_answers_the_second_time_gets_the_call_through(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    await rooms.placed()
    rooms.media.failure = MediaUnreachable("no answer")
    await dispatching.dispatch_agents(world)
    await move_time(7.1)
    rooms.media.failure = None
    await dispatching.dispatch_agents(world)
    await rooms.sent().reach("in_progress")


async def test_an_agent_that_dies_before_it_dials_is_followed_by_another_at_once(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("queued")
    await first.ended("agent_lost", is_line_open=True)
    assert await dispatching.dispatch_agents(world) == 1
    assert rooms.sent().epoch > first.epoch
    assert (await rooms.sent().spec()).json()["takeover"] is None, "there is nothing to take over"


async def test_a_dial_that_could_not_be_sent_is_tried_again_by_another_agent(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    first = await rooms.at("dialing")
    await first.ended("media_unavailable", detail="cpu exhausted", is_nothing_sent=True)
    record = await rooms.desk.conversation(first.conversation_id)
    assert (record["status"], record["dialed_at"]) == ("queued", None)
    assert await hold_of(world, first.conversation_id) is None
    assert await dispatching.dispatch_agents(world) == 0, "not at once: it takes a moment to cool"
    await move_time(3.1)
    assert await dispatching.dispatch_agents(world) == 1
    second = rooms.sent()
    await second.reach("in_progress")
    await second.ended("remote_hangup")
    told = await events_of(world, first.conversation_id)
    assert told.count("conversation.started") == 1
    assert told[-1] == "conversation.completed"


async def test_a_dial_that_can_never_be_sent_ends_at_the_deadline_of_its_queue(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("dialing")
    conversation_id = agent.conversation_id
    for _ in range(25):
        await agent.ended("media_unavailable", detail="cpu exhausted", is_nothing_sent=True)
        await move_time(3.1)
        await run_deadlines(world)
        if (await row_of(world, conversation_id))["ended_at"] is not None:
            break
        assert await dispatching.dispatch_agents(world) == 1
        agent = rooms.sent()
        await agent.reach("dialing")
    record = await rooms.desk.conversation(conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "media_unavailable")
    assert record["hangup"]["detail"] == "cpu exhausted"
    assert record["hangup"]["retryable"] is True
    row = await row_of(world, conversation_id)
    assert 55 <= (row["ended_at"] - row["queued_at"]).total_seconds() <= 65
    assert await hold_of(world, conversation_id) == "released"


async def test_what_only_may_have_been_sent_is_never_sent_again(rooms: Rooms, world: World) -> None:
    agent = await rooms.at("dialing")
    await agent.ended("media_unavailable", detail="no answer")
    record = await rooms.desk.conversation(agent.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "media_unavailable")
    rung = await rooms.at("ringing", to_number="+12025550109")
    await rung.ended("media_unavailable", is_nothing_sent=True)
    record = await rooms.desk.conversation(rung.conversation_id)
    assert record["status"] == "failed", "it has rung: something was sent"
