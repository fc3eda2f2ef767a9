"""Calls that come in at the same time, or twice, or while their number moves: what holds then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import attrs
import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import BASE_URL, Home, client_for, make_home
from tests.server.support.calls_public import set_balance, set_limit
from tests.server.support.media import FakeMedia
from tests.server.support.receptions import (
    MINUTE_MICROS,
    Reception,
    make_agent,
    make_reception,
)
from tests.server.support.worker_side import Leased

from bolti_server.bootstrap.web import build_app
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.world import World


@pytest.fixture
def app(world: World) -> Litestar:
    roomy = attrs.evolve(world, media=FakeMedia())
    return build_app(roomy, rate=RatePolicy(burst=100_000, window_seconds=1))


@pytest.fixture
async def http(app: Litestar) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL, timeout=30) as opened:
        yield opened


@pytest.fixture
async def reception(client: httpx2.AsyncClient, http: httpx2.AsyncClient, home: Home) -> Reception:
    return await make_reception(client, http, home.workspace_id)


async def test_a_repeat_gets_the_same_answer_as_long_as_the_call_lives(
    reception: Reception,
) -> None:
    first = await reception.rings("SCL_again")
    assert await reception.rings("SCL_again") == first
    leased = Leased(
        reception.http, first["claimed"]["conversation_id"], 1, first["claimed"]["token"]
    )
    await leased.report("answered")
    assert await reception.rings("SCL_again") == first
    await leased.ended("agent_hangup")
    after = await reception.rings("SCL_again")
    assert (after["claimed"], after["code"]) == (None, "agent_hangup")


async def test_the_same_leg_twenty_times_at_once_is_one_conversation(
    reception: Reception, world: World
) -> None:
    answers = await asyncio.gather(*(reception.rings("SCL_same") for _ in range(20)))
    assert all(each == answers[0] for each in answers)
    assert answers[0]["claimed"]["epoch"] == 1
    assert await world.db.fetchval("select count(*) from conversations") == 1
    assert await world.db.fetchval("select count(*) from ledger_holds") == 1
    assert await reception.events() == ["conversation.ringing"]


async def test_the_same_refused_leg_twenty_times_at_once_is_one_record(
    reception: Reception, world: World
) -> None:
    await set_limit(world, reception.workspace_id, 1)
    await reception.leased()
    answers = await asyncio.gather(*(reception.rings("SCL_same") for _ in range(20)))
    assert {(each["claimed"], each["code"]) for each in answers} == {(None, "concurrency_limit")}
    assert await world.db.fetchval("select count(*) from conversations") == 2


async def test_two_calls_that_race_for_the_last_minute_get_it_once(
    reception: Reception, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "live", MINUTE_MICROS)
    answers = await asyncio.gather(*(reception.rings() for _ in range(2)))
    assert sorted(each["code"] or "answered" for each in answers) == [
        "answered",
        "insufficient_credits",
    ]
    assert await world.db.fetchval("select count(*) from ledger_holds") == 1


async def test_calls_that_race_for_places_get_no_more_than_there_are(
    reception: Reception, world: World
) -> None:
    await set_limit(world, reception.workspace_id, 3)
    answers = await asyncio.gather(*(reception.rings() for _ in range(10)))
    assert sum(each["claimed"] is not None for each in answers) == 3
    assert {each["code"] for each in answers} == {None, "concurrency_limit"}


async def test_a_call_in_progress_keeps_its_agent_when_the_number_moves(
    reception: Reception,
) -> None:
    leased = await reception.leased()
    await leased.report("answered")
    second = await make_agent(reception.client, name="Second")
    await reception.give_to(second)
    assert (await leased.spec()).json()["agent_name"] == "Reception"
    other = await reception.leased()
    assert (await other.spec()).json()["agent_name"] == "Second"
    await leased.ended("agent_hangup")
    record = await reception.record(leased.conversation_id)
    assert (record["agent"]["id"], record["status"]) == (reception.agent_id, "completed")


async def test_moves_and_calls_at_the_same_time_leave_each_call_with_one_agent(
    reception: Reception, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "live", 1000 * MINUTE_MICROS)
    await set_limit(world, reception.workspace_id, 20)
    agents = [reception.agent_id, await make_agent(reception.client, name="Second")]
    await asyncio.gather(
        *(reception.rings() for _ in range(8)),
        *(reception.give_to(agents[n % 2]) for n in range(8)),
    )
    rows = await world.db.fetch("select agent_id, hangup_code from conversations")
    assert [row["hangup_code"] for row in rows] == [None] * 8
    assert {row["agent_id"] for row in rows} <= set(agents)


async def test_two_workspaces_with_the_same_number_each_get_their_own_calls(
    reception: Reception, app: Litestar, http: httpx2.AsyncClient, world: World
) -> None:
    other_home = await make_home(world)
    async with client_for(app, other_home.api_key) as client:
        other = await make_reception(client, http, other_home.workspace_id, name="Theirs")
        mine, theirs = await reception.leased(), await other.leased()
        assert (await theirs.spec()).json()["agent_name"] == "Theirs"
        assert (await reception.only_record())["id"] == mine.conversation_id
        assert (await other.only_record())["id"] == theirs.conversation_id
        leg = await world.db.fetchval("select min(sip_call_id) from conversations")
        crossed = await asyncio.gather(reception.rings(leg), other.rings(leg))
        assert sorted(each["code"] or "own" for each in crossed) == ["invalid_number", "own"]
