"""Searching, buying and releasing numbers: one owner, one payment, and calls in progress go on."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, client_for
from tests.server.support.calls_public import answer_call, make_desk, set_balance
from tests.server.support.money import balances, set_rate

from bolti_server.world import World

NUMBERS = "/workspaces/current/numbers"
AVAILABLE = "/workspaces/current/available-numbers"
PHONE = "+12025550142"
COST = 100_000_000


async def buy(client: httpx2.AsyncClient, phone_number: str = PHONE) -> dict[str, Any]:
    answer = await client.post(NUMBERS, json={"phone_number": phone_number})
    assert answer.status_code == 201, answer.text
    number: dict[str, Any] = answer.json()
    return number


async def search(client: httpx2.AsyncClient, **query: Any) -> list[str]:
    """Of all pages."""
    found: list[str] = []
    after: dict[str, str] = {}
    while True:
        answer = await client.get(AVAILABLE, params={**query, **after})
        assert answer.status_code == 200, answer.text
        found += [each["phone_number"] for each in answer.json()["data"]]
        if answer.json()["next"] is None:
            return found
        after = {"after": answer.json()["next"]}


async def test_what_is_offered_is_the_range_without_its_callees(client: httpx2.AsyncClient) -> None:
    found = await search(client)
    assert found == [f"+120255501{number}" for number in range(18, 100)]
    assert await search(client, limit=7) == found
    assert await search(client, contains="014", limit=3) == [f"+1202555014{n}" for n in range(10)]
    assert await search(client, country="IN") == []
    assert await search(client, country="US", contains="0199") == ["+12025550199"]


async def test_an_offer_says_what_it_costs_and_can(client: httpx2.AsyncClient) -> None:
    (offer,) = (await client.get(AVAILABLE, params={"contains": "0142"})).json()["data"]
    assert offer == {
        "phone_number": PHONE, "country": "US", "can_inbound": True, "can_outbound": True,
        "simulated": True, "monthly_cost_micros": COST, "currency": "INR",
    }  # fmt: skip


async def test_a_bought_number_is_the_workspaces_and_paid_from_the_test_ledger(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    before, live = (
        await balances(world, home.organization_id),
        await balances(world, home.organization_id, "live"),
    )
    answer = await client.post(NUMBERS, json={"phone_number": PHONE})
    number = answer.json()
    assert answer.headers["location"] == f"/workspaces/{home.workspace_id}/numbers/{number['id']}"
    assert (number["phone_number"], number["simulated"], number["assignment"]) == (
        PHONE,
        True,
        None,
    )
    assert (number["monthly_cost_micros"], number["currency"]) == (COST, "INR")
    assert (await client.get(f"{NUMBERS}/{number['id']}")).json() == number
    assert PHONE not in await search(client)
    after = await balances(world, home.organization_id)
    assert after["available"] == before["available"] - COST
    assert after["spent"] == before["spent"] + COST
    assert await balances(world, home.organization_id, "live") == live
    ledger = await client.get(
        "/workspaces/current/billing/ledger", params={"reference": number["id"]}
    )
    (transaction,) = ledger.json()["data"]
    assert (transaction["kind"], transaction["available_change_micros"]) == ("purchase", -COST)


async def test_the_price_is_that_of_the_rate_card_on_the_day(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    first = await buy(client)
    await set_rate(world, home.organization_id, number_cost_per_month_micros=0)
    second = await buy(client, "+12025550143")
    assert second["monthly_cost_micros"] == 0
    again = (await client.get(f"{NUMBERS}/{first['id']}")).json()
    assert again["monthly_cost_micros"] == COST


async def test_a_taken_number_is_409(client: httpx2.AsyncClient, world: World, home: Home) -> None:
    await buy(client)
    before = await balances(world, home.organization_id)
    answer = await client.post(NUMBERS, json={"phone_number": PHONE})
    assert (answer.status_code, answer.json()["code"]) == (409, "number_not_available")
    assert await balances(world, home.organization_id) == before


@pytest.mark.parametrize("phone_number", ["+12025550100", "+12025550117", "+919876543210"])
async def test_a_number_that_is_not_offered_is_409(
    client: httpx2.AsyncClient, phone_number: str
) -> None:
    answer = await client.post(NUMBERS, json={"phone_number": phone_number})
    assert (answer.status_code, answer.json()["code"]) == (409, "number_not_available")


async def test_what_is_no_phone_number_is_400(client: httpx2.AsyncClient) -> None:
    answer = await client.post(NUMBERS, json={"phone_number": "0142"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_phone_number")


async def test_without_the_money_it_is_402_and_nothing_changes(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "test", COST - 1)
    answer = await client.post(
        NUMBERS, json={"phone_number": PHONE}, headers={"Idempotency-Key": "k1"}
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (402, "payment_required")
    assert (problem["balance_micros"], problem["required_micros"]) == (COST - 1, COST)
    assert PHONE in await search(client)
    await set_balance(world, home.organization_id, "test", COST)
    again = await client.post(
        NUMBERS, json={"phone_number": PHONE}, headers={"Idempotency-Key": "k1"}
    )
    assert again.status_code == 201, "topping up and repeating works with the same key"
    assert (await balances(world, home.organization_id))["available"] == 0


async def test_taken_and_too_dear_are_told_at_once(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    await buy(client)
    await set_balance(world, home.organization_id, "test", 0)
    answer = await client.post(NUMBERS, json={"phone_number": PHONE})
    assert answer.status_code == 409
    codes = [each["code"] for each in answer.json()["errors"]]
    assert codes == ["number_not_available", "payment_required"]


async def test_of_twenty_buyers_at_once_one_has_it_and_one_pays(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    before = await balances(world, home.organization_id)
    answers = await asyncio.gather(
        *(client.post(NUMBERS, json={"phone_number": PHONE}) for _ in range(20))
    )
    assert sorted(each.status_code for each in answers) == [201] + [409] * 19
    after = await balances(world, home.organization_id)
    assert after["available"] == before["available"] - COST


async def test_twenty_purchases_at_once_never_spend_more_than_there_is(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "test", 5 * COST + 1)
    answers = await asyncio.gather(
        *(client.post(NUMBERS, json={"phone_number": f"+120255501{n}"}) for n in range(20, 40))
    )
    assert sorted(each.status_code for each in answers) == [201] * 5 + [402] * 15
    assert (await balances(world, home.organization_id))["available"] == 1


async def test_a_purchase_that_takes_the_balance_low_says_so_once(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "test", COST + 59_000_000)
    await buy(client)
    await buy_nothing(client)
    events = (await client.get("/workspaces/current/events?type=credits.low")).json()["data"]
    assert [each["data"]["object"]["available_micros"] for each in events] == [59_000_000]


async def buy_nothing(client: httpx2.AsyncClient) -> None:
    answer = await client.post(NUMBERS, json={"phone_number": "+12025550150"})
    assert answer.status_code == 402


async def test_a_released_number_is_gone_and_can_be_bought_again(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    number = await buy(client)
    agent_id = (await client.post("/workspaces/current/agents", json={"name": "Desk"})).json()["id"]
    bindings = f"/workspaces/current/agents/{agent_id}/phone-numbers"
    assigned = await client.post(bindings, json={"number_id": number["id"]})
    assert assigned.status_code == 201
    spent = await balances(world, home.organization_id)
    assert (await client.delete(f"{NUMBERS}/{number['id']}")).status_code == 204
    assert (await client.get(f"{NUMBERS}/{number['id']}")).status_code == 404
    assert (await client.delete(f"{NUMBERS}/{number['id']}")).status_code == 404
    assert (await client.get(bindings)).json()["data"] == []
    assert (await client.post(bindings, json={"number_id": number["id"]})).status_code == 404
    assert await balances(world, home.organization_id) == spent, "what is paid stays paid"
    assert PHONE in await search(client)
    again = await buy(client)
    assert again["id"] != number["id"]


async def test_a_call_in_progress_outlives_the_release_of_its_number(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    number = await buy(client)
    agent = await client.post("/workspaces/current/agents", json={"name": "Desk"})
    path = f"/workspaces/current/agents/{agent.json()['id']}"
    await client.post(f"{path}/phone-numbers", json={"number_id": number["id"]})
    placed = await client.post(f"{path}/outbound-call", json={"to_number": "+12025550100"})
    conversation_id = placed.json()["conversation_id"]
    await answer_call(world, conversation_id)
    assert (await client.delete(f"{NUMBERS}/{number['id']}")).status_code == 204
    record = (await client.get(f"/workspaces/current/conversations/{conversation_id}")).json()
    assert (record["status"], record["from_number"]) == ("in_progress", PHONE)
    refused = await client.post(f"{path}/outbound-call", json={"to_number": "+12025550107"})
    assert (refused.status_code, refused.json()["code"]) == (403, "number_not_assigned")


async def test_numbers_that_came_otherwise_cost_nothing(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    await make_desk(world, client, home.workspace_id)
    (number,) = (await client.get(NUMBERS)).json()["data"]
    assert (number["monthly_cost_micros"], number["currency"]) == (None, None)
    assert (await client.delete(f"{NUMBERS}/{number['id']}")).status_code == 204


async def test_each_workspace_has_the_simulated_network_to_itself(
    client: httpx2.AsyncClient, app: Litestar, other_home: Home
) -> None:
    number = await buy(client)
    async with client_for(app, other_home.api_key) as other:
        theirs = await buy(other)
        assert (await other.delete(f"{NUMBERS}/{number['id']}")).status_code == 404
        assert theirs["id"] != number["id"]


@pytest.mark.parametrize(
    "query", [{"after": "num_1"}, {"after": "0142"}, {"contains": "a"}, {"country": "us"}]
)
async def test_a_search_that_says_nothing_is_refused(
    client: httpx2.AsyncClient, query: dict[str, str]
) -> None:
    answer = await client.get(AVAILABLE, params=query)
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["errors"]] == [f"query:{next(iter(query))}"]
