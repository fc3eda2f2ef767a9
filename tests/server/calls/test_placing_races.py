"""Placing a call many times at once: one key is one call, one callee is one call, and money and places are given once."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, client_for
from tests.server.support.calls_public import Desk, make_desk, set_balance, set_limit, traces

from bolti_server.world import World

MANY = 50


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


def number(index: int) -> str:
    return f"+120255501{index:02d}"


async def test_fifty_identical_requests_at_once_are_one_call(desk: Desk, world: World) -> None:
    answers = await asyncio.gather(*(desk.call(key="one-call") for _ in range(MANY)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}, statuses
    assert statuses[201] >= 1
    ids = {answer.json()["conversation_id"] for answer in answers if answer.status_code == 201}
    assert len(ids) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "idempotency_in_progress"
            assert answer.headers["Retry-After"]
    assert (await traces(world))["conversations"] == 1
    assert (await traces(world))["ledger_holds"] == 1


async def test_a_repeated_key_gets_the_first_answer_again(desk: Desk, world: World) -> None:
    first = await desk.call(key="one-call")
    again = await desk.call(key="one-call")
    assert again.status_code == first.status_code == 201
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert (await traces(world))["conversations"] == 1


async def test_a_repeated_key_with_another_body_is_refused(desk: Desk, world: World) -> None:
    await desk.call(number(0), key="one-call")
    answer = await desk.call(number(1), key="one-call")
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_mismatch"
    assert (await traces(world))["conversations"] == 1


async def test_a_refusal_gives_the_key_back(desk: Desk, world: World, home: Home) -> None:
    await set_balance(world, home.organization_id, "test", 0)
    assert (await desk.call(key="one-call")).status_code == 402
    await set_balance(world, home.organization_id, "test", 60_000_000)
    answer = await desk.call(key="one-call")
    assert answer.status_code == 201, answer.text
    assert "Idempotency-Replayed" not in answer.headers


async def test_fifty_calls_at_once_never_spend_the_last_minute_twice(
    desk: Desk, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "test", 6_000_000)  # one minute
    answers = await asyncio.gather(*(desk.call(number(index)) for index in range(MANY)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: 1, 402: MANY - 1}
    row = await world.db.fetchrow(
        """select min(balance_micros) filter (where kind = 'available') as available,
                  sum(balance_micros) filter (where kind = 'held') as held
           from ledger_accounts where organization_id = $1 and ledger = 'test'""",
        home.organization_id,
    )
    assert row is not None
    assert (row["available"], row["held"]) == (0, 6_000_000)


async def test_of_fifty_calls_to_one_callee_at_once_one_is_placed(desk: Desk, world: World) -> None:
    answers = await asyncio.gather(*(desk.call() for _ in range(MANY)))
    placed = [answer for answer in answers if answer.status_code == 201]
    assert len(placed) == 1
    conversation_id = placed[0].json()["conversation_id"]
    for answer in answers:
        if answer is not placed[0]:
            assert answer.status_code == 409, answer.text
            assert answer.json()["code"] == "callee_already_in_call"
            assert answer.json()["conversation_id"] == conversation_id
    assert (await traces(world))["conversations"] == 1


async def test_fifty_calls_at_once_get_no_more_places_than_there_are(
    desk: Desk, world: World, home: Home
) -> None:
    await set_limit(world, home.workspace_id, 7)
    answers = await asyncio.gather(*(desk.call(number(index)) for index in range(MANY)))
    assert Counter(answer.status_code for answer in answers) == {201: 7, 429: MANY - 7}
    for answer in answers:
        if answer.status_code == 429:
            assert answer.json()["code"] == "concurrency_limit_reached"
            assert int(answer.headers["Retry-After"]) >= 1
    assert (await traces(world))["ledger_holds"] == 7


async def test_of_fifty_calls_at_once_some_get_a_place_and_the_others_wait(
    desk: Desk, world: World, home: Home
) -> None:
    await set_limit(world, home.workspace_id, 7)
    answers = await asyncio.gather(
        *(desk.call(number(index), when_limited="queue") for index in range(MANY))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["status"] for answer in answers} == {"queued"}
    waiting = await world.db.fetchval(
        "select count(*) from conversations where next_at is not null"
    )
    assert waiting == MANY - 7
    assert (await traces(world))["ledger_holds"] == 7


async def test_another_workspace_may_call_the_same_callee(
    desk: Desk, world: World, app: Litestar, other_home: Home
) -> None:
    await desk.placed()
    async with client_for(app, other_home.api_key) as stranger:
        other = await make_desk(world, stranger, other_home.workspace_id)
        await other.placed()


async def test_the_request_may_allow_two_calls_to_one_callee(desk: Desk) -> None:
    first = await desk.placed()
    await desk.placed(allow_concurrent_to_callee=True)
    refused = await desk.call()
    assert refused.status_code == 409
    assert refused.json()["conversation_id"] == first


async def test_a_live_call_that_allows_others_is_in_the_way_of_one_that_does_not(
    desk: Desk,
) -> None:
    live = await desk.placed(allow_concurrent_to_callee=True)
    refused = await desk.call()
    assert refused.status_code == 409
    assert refused.json()["conversation_id"] == live
