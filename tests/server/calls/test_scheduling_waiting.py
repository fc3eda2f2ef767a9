"""Calls that wait for a free place (`when_limited: queue`): let in once, the oldest first, or ended with the reason."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx2
import pytest
from tests.server.conftest import Home
from tests.server.support.calls_public import (
    CALLEE,
    Desk,
    end_call,
    is_claimable,
    make_desk,
    set_balance,
    set_limit,
    traces,
)

from bolti_server.base.db import spawn
from bolti_server.calls import placing_queries
from bolti_server.calls.lifecycle import HangupCode
from bolti_server.calls.placing import Asking, place_outbound_call
from bolti_server.calls.requests import wanted_of
from bolti_server.calls.scheduling import let_in_waiting
from bolti_server.contract import structs
from bolti_server.world import World


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


async def test_who_waits_is_let_in_when_a_place_is_free_the_oldest_first(
    desk: Desk, world: World, home: Home
) -> None:
    await set_limit(world, home.workspace_id, 1)
    live = await desk.placed("+12025550101")
    first = await desk.placed("+12025550102", when_limited="queue")
    second = await desk.placed("+12025550103", when_limited="queue")
    assert [await is_claimable(world, each) for each in (live, first, second)] == [
        True,
        False,
        False,
    ]
    assert await let_in_waiting(world) == 0
    await end_call(world, desk.workspace_id, live, HangupCode.CANCELLED_BY_USER)
    assert await let_in_waiting(world) == 1
    assert [await is_claimable(world, each) for each in (first, second)] == [True, False]
    left = await world.db.fetchval(
        "select deadline_at - bolti_now() from conversations where id = $1", first
    )
    assert timedelta(seconds=55) < left <= timedelta(seconds=60)


async def test_many_dispatchers_let_in_no_more_than_there_is_place_for(
    desk: Desk, world: World, home: Home
) -> None:
    await set_limit(world, home.workspace_id, 1)
    await desk.placed("+12025550150")
    for index in range(10):
        await desk.placed(f"+120255501{index:02d}", when_limited="queue")
    await set_limit(world, home.workspace_id, 4)
    done = await asyncio.gather(*(let_in_waiting(world) for _ in range(5)))
    assert sum(done) == 3
    assert (await traces(world))["ledger_holds"] == 4


async def is_someone_waiting_for_a_lock(world: World) -> bool:
    found: bool = await world.db.fetchval(
        """select exists (select from pg_stat_activity
               where datname = current_database() and wait_event_type = 'Lock')"""
    )
    return found


async def test_a_place_that_is_taken_meanwhile_is_not_given_a_second_time(
    desk: Desk, world: World, home: Home
) -> None:
    await set_limit(world, home.workspace_id, 1)
    live = await desk.placed("+12025550101")
    waiting = await desk.placed("+12025550102", when_limited="queue")
    await end_call(world, desk.workspace_id, live, HangupCode.CANCELLED_BY_USER)
    asking = Asking(home.workspace_id, home.organization_id, desk.agent_id, has_rooms=False)
    async with world.db.transaction() as tx:
        await placing_queries.lock_places(tx, home.workspace_id)
        letting_in = spawn(let_in_waiting(world), name="let in")
        async with asyncio.timeout(10):
            while not await is_someone_waiting_for_a_lock(world):
                await asyncio.sleep(0)
        wanted = wanted_of(structs.OutboundCallRequest(to_number="+12025550103"))
        await place_outbound_call(tx, asking, wanted)
    assert await letting_in == 0
    assert await is_claimable(world, waiting) is False


async def test_who_waits_is_in_the_way_of_another_call_to_the_callee(
    desk: Desk, world: World, home: Home
) -> None:
    await set_limit(world, home.workspace_id, 1)
    await desk.placed("+12025550101")
    waiting = await desk.placed(CALLEE, when_limited="queue")
    refused = await desk.call(CALLEE, when_limited="queue")
    assert refused.status_code == 409
    assert refused.json()["conversation_id"] == waiting


@pytest.mark.parametrize(("timeout", "seconds"), [(600, 600), (None, 3600)])
async def test_who_waits_has_a_deadline_of_its_own(
    desk: Desk, world: World, home: Home, timeout: int | None, seconds: int
) -> None:
    await set_limit(world, home.workspace_id, 1)
    await desk.placed("+12025550101")
    waiting = await desk.placed(CALLEE, when_limited="queue", queue_timeout_seconds=timeout)
    left = await world.db.fetchval(
        "select deadline_at - created_at from conversations where id = $1", waiting
    )
    assert left == timedelta(seconds=seconds)


async def test_who_waits_needs_credit_today_and_when_let_in(
    desk: Desk, world: World, home: Home
) -> None:
    await set_limit(world, home.workspace_id, 1)
    live = await desk.placed("+12025550101")
    waiting = await desk.placed(CALLEE, when_limited="queue")
    await set_balance(world, home.organization_id, "test", 0)
    refused = await desk.call("+12025550102", when_limited="queue")
    assert refused.status_code == 402
    await end_call(world, desk.workspace_id, live, HangupCode.CANCELLED_BY_USER)
    await set_balance(world, home.organization_id, "test", 0)
    assert await let_in_waiting(world) == 1
    record = await desk.conversation(waiting)
    assert record["hangup"]["code"] == "insufficient_credits"
