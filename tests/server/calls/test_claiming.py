"""Workers take calls: each call once, again only if its agent does not come."""

from __future__ import annotations

import asyncio

import pytest
from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk, set_limit
from tests.server.support.waiting import until
from tests.server.support.worker_side import (
    Leased,
    ScriptedWorker,
    beat,
    hold_of,
    is_claimable,
    row_of,
    run_deadlines,
)

from bolti_server.base.wakeups import Wakeups
from bolti_server.calls import moves
from bolti_server.calls.lifecycle import HangupCode
from bolti_server.world import World


async def test_a_waiting_worker_gets_a_call_as_soon_as_it_is_placed(
    desk: Desk, worker: ScriptedWorker
) -> None:
    waiting = asyncio.create_task(worker.claim())
    conversation_id = await desk.placed()
    async with asyncio.timeout(5):
        call = await waiting
    assert call.conversation_id == conversation_id
    assert (await call.spec()).status_code == 200


async def test_calls_are_handed_out_oldest_first_and_no_more_than_there_are_places(
    desk: Desk, worker: ScriptedWorker
) -> None:
    placed = [await desk.placed(f"+120255501{n:02}") for n in range(4)]
    first = await worker.claim_all(capacity=3)
    assert [call.conversation_id for call in first] == placed[:3]
    rest = await worker.claim_all(capacity=3)
    assert [call.conversation_id for call in rest] == placed[3:]


async def test_a_hundred_races_of_two_workers_for_one_call_have_one_winner_each(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    for _ in range(100):
        conversation_id = await desk.placed()
        won = await asyncio.gather(is_claimable(world), is_claimable(world))
        assert sorted(won) == [False, True]
        async with world.db.transaction() as tx:
            await moves.end(
                tx, world, desk.workspace_id, conversation_id, HangupCode.CANCELLED_BY_USER
            )


async def test_many_workers_share_many_calls_without_a_call_twice(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    await set_limit(world, desk.workspace_id, 100)
    placed = [await desk.placed("+12025550100", allow_concurrent_to_callee=True) for _ in range(20)]
    workers = [ScriptedWorker(worker.http) for _ in range(5)]
    answers = await asyncio.gather(*(each.claim_all(capacity=4) for each in workers))
    claimed = [call.conversation_id for calls in answers for call in calls]
    assert sorted(claimed) == sorted(placed)


async def test_a_call_whose_claim_answer_was_lost_goes_to_a_second_worker_after_seven_seconds(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    assert await is_claimable(world), "this worker never hears of it"
    await move_time(6.5)
    assert not await is_claimable(world)
    await move_time(0.6)
    second = await worker.claim()
    assert (second.conversation_id, second.epoch) == (conversation_id, 2)
    await second.reach("in_progress")
    await second.ended("agent_hangup")
    assert (await row_of(world, conversation_id))["status"] == "completed"


async def test_a_slow_first_agent_is_fenced_by_the_second(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    await desk.placed()
    first = await worker.claim()
    await move_time(8)
    second = await worker.claim()
    await second.report("agent_ready")
    late = {"number": 1, "type": "agent_ready"}
    assert (await first.send([late])).status_code == 409
    assert (await first.intent()).status_code == 409
    assert (await first.spec()).status_code == 409
    assert (await first.put_recording()).status_code == 200, (
        "what it recorded is a part like others"
    )
    assert (await first.tool("t1", "anything")).status_code == 409
    assert (await beat(world, first)).is_over
    assert (await second.intent()).json()["answer"] == "send"


async def test_an_agent_that_is_ready_in_time_keeps_its_call(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.report("agent_ready")
    await move_time(14)
    await beat(world, call)
    await move_time(14)
    assert await run_deadlines(world) == 0
    assert not await is_claimable(world)
    assert (await call.intent()).status_code == 200
    assert (await row_of(world, conversation_id))["epoch"] == 1


async def test_a_call_whose_agents_never_come_ends_fifteen_seconds_after_the_first_dispatch(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    await worker.claim()
    await move_time(10)
    assert await is_claimable(world)
    await move_time(4.5)
    assert await run_deadlines(world) == 0
    await move_time(1)
    assert not await is_claimable(world), "two dispatches are all"
    assert await run_deadlines(world) == 1
    record = await desk.conversation(conversation_id)
    assert record["hangup"]["code"] == "agent_unavailable"
    assert await hold_of(world, conversation_id) == "released"


async def test_a_call_that_no_worker_takes_ends_after_a_minute(
    world: World, desk: Desk, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    await move_time(59)
    assert await run_deadlines(world) == 0
    await move_time(1.5)
    assert not await is_claimable(world), "nobody may take it any more"
    assert await run_deadlines(world) == 1
    record = await desk.conversation(conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "agent_unavailable")


async def test_a_call_that_waits_for_a_place_is_not_handed_out(world: World, desk: Desk) -> None:
    await set_limit(world, desk.workspace_id, 1)
    await desk.placed("+12025550100")
    await desk.placed("+12025550107", when_limited="queue")
    assert await is_claimable(world)
    assert not await is_claimable(world)


async def test_a_worker_without_a_free_place_gets_nothing_and_does_not_wait(
    desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.placed()
    async with asyncio.timeout(5):
        answer = await worker.ask(capacity=0)
    assert answer.json() == {"claimed": []}


async def test_a_server_that_stops_lets_its_waiting_workers_go(
    world: World, worker: ScriptedWorker
) -> None:
    waiting = asyncio.create_task(worker.ask())

    async def is_waiting() -> bool:
        return await world.db.fetchval("select count(*) from workers") == 1

    await until(is_waiting)
    stop(world.wakeups)
    async with asyncio.timeout(5):
        answer = await waiting
    assert answer.json() == {"claimed": []}


def stop(wakeups: Wakeups) -> None:
    wakeups.stop()


@pytest.mark.parametrize("token", ["", "wrong", "worker-token-of-the-tests "[::-1]])
async def test_only_the_worker_token_opens_the_queue(
    world: World, desk: Desk, worker: ScriptedWorker, token: str
) -> None:
    await desk.placed()
    answer = await worker.ask(token=token)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert await is_claimable(world), "it is still there"


async def test_a_token_is_good_for_its_own_call_and_epoch_only(
    desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.placed("+12025550100")
    await desk.placed("+12025550107")
    one, other = await worker.claim_all(capacity=2)
    stolen = Leased(one.http, other.conversation_id, other.epoch, one.token)
    assert (await stolen.spec()).status_code == 401
    head, epoch, signature = one.token.split(".")
    forged = Leased(one.http, one.conversation_id, 2, f"{head}.{int(epoch) + 1}.{signature}")
    assert (await forged.intent()).status_code == 401
    lying = Leased(one.http, one.conversation_id, 2, one.token)
    assert (await lying.intent()).status_code == 401
    for token in ("", "a.b.c", f"{head}.1", f"{head}.x.{signature}", f"{head}.99999999999.x"):
        nobody = Leased(one.http, one.conversation_id, 1, token)
        assert (await nobody.spec()).status_code == 401
