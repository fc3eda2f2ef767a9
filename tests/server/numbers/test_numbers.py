"""Numbers over the API: a number is with one agent at a time, whoever asks how often."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from tests.server.conftest import Home, client_for

from bolti_server.base.errors import Refusal
from bolti_server.base.ids import new_id
from bolti_server.numbers.creating import create_simulated_number
from bolti_server.numbers.reading import OutboundBinding, destination_refusal, outbound_binding
from bolti_server.world import World

AGENTS = "/workspaces/current/agents"
NUMBERS = "/workspaces/current/numbers"
PHONE = "+12025550199"


async def make_number(world: World, home: Home, phone_number: str = PHONE) -> str:
    async with world.db.transaction() as tx:
        return (await create_simulated_number(tx, home.workspace_id, phone_number)).id


async def make_agent(client: httpx2.AsyncClient, name: str = "Desk") -> str:
    answer = await client.post(AGENTS, json={"name": name})
    agent_id: str = answer.json()["id"]
    return agent_id


async def assign(
    client: httpx2.AsyncClient, agent_id: str, number_id: str, direction: str = "both"
) -> dict[str, Any]:
    answer = await client.post(
        f"{AGENTS}/{agent_id}/phone-numbers", json={"number_id": number_id, "direction": direction}
    )
    assert answer.status_code == 201, answer.text
    binding: dict[str, Any] = answer.json()
    return binding


async def numbers_of(client: httpx2.AsyncClient, agent_id: str) -> list[str]:
    answer = await client.get(f"{AGENTS}/{agent_id}/phone-numbers")
    assert answer.status_code == 200, answer.text
    return [binding["number_id"] for binding in answer.json()["data"]]


async def test_a_number_tells_its_trunk_and_whose_it_is(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    number_id, agent_id = await make_number(world, home), await make_agent(client)
    free = (await client.get(f"{NUMBERS}/{number_id}")).json()
    assert (free["phone_number"], free["country"], free["simulated"]) == (PHONE, "US", True)
    assert (free["trunk"]["kind"], free["trunk"]["can_outbound"]) == ("simulated", True)
    assert free["assignment"] is None
    binding = await assign(client, agent_id, number_id, "outbound")
    assert (binding["phone_number"], binding["direction"]) == (PHONE, "outbound")
    (listed,) = (await client.get(NUMBERS)).json()["data"]
    assert listed["assignment"] == {
        "agent_phone_number_id": binding["id"], "agent_id": agent_id, "direction": "outbound",
    }  # fmt: skip


async def test_assigning_elsewhere_moves_and_the_old_binding_is_gone(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    number_id = await make_number(world, home)
    first, second = await make_agent(client, "First"), await make_agent(client, "Second")
    old = await assign(client, first, number_id)
    new = await assign(client, second, number_id)
    assert new["id"] != old["id"]
    assert (await numbers_of(client, first), await numbers_of(client, second)) == ([], [number_id])
    path = f"{AGENTS}/{first}/phone-numbers/{old['id']}"
    assert (await client.delete(path)).status_code == 404


async def test_assigning_again_keeps_the_binding_and_may_change_its_direction(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    number_id, agent_id = await make_number(world, home), await make_agent(client)
    first = await assign(client, agent_id, number_id, "inbound")
    again = await assign(client, agent_id, number_id, "inbound")
    other = await assign(client, agent_id, number_id, "outbound")
    assert first == again
    assert (other["id"], other["direction"]) == (first["id"], "outbound")


async def test_fifty_racing_assigns_leave_one(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    number_id = await make_number(world, home)
    agents = [await make_agent(client, f"Agent {n}") for n in range(5)]
    bindings = await asyncio.gather(*(assign(client, agents[n % 5], number_id) for n in range(50)))
    assert len(bindings) == 50
    owners = [agent for agent in agents if await numbers_of(client, agent) == [number_id]]
    (number,) = (await client.get(NUMBERS)).json()["data"]
    assert owners == [number["assignment"]["agent_id"]]
    async with world.db.transaction() as tx:
        live = await tx.fetchval(
            "select count(*) from agent_phone_numbers where unassigned_at is null"
        )
    assert live == 1


async def test_unassigning_frees_the_number_once(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    number_id, agent_id = await make_number(world, home), await make_agent(client)
    binding = await assign(client, agent_id, number_id)
    path = f"{AGENTS}/{agent_id}/phone-numbers/{binding['id']}"
    assert [(await client.delete(path)).status_code for _ in range(2)] == [204, 404]
    assert (await client.get(f"{NUMBERS}/{number_id}")).json()["assignment"] is None


async def test_deleting_an_agent_frees_its_numbers_also_while_they_are_assigned(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    number_id, agent_id = await make_number(world, home), await make_agent(client)
    body = {"number_id": number_id}
    answers = await asyncio.gather(
        client.post(f"{AGENTS}/{agent_id}/phone-numbers", json=body),
        client.delete(f"{AGENTS}/{agent_id}"),
        *(client.post(f"{AGENTS}/{agent_id}/phone-numbers", json=body) for _ in range(10)),
    )
    assert answers[1].status_code == 204
    assert {answer.status_code for answer in answers} <= {201, 204, 404}
    assert (await client.get(f"{NUMBERS}/{number_id}")).json()["assignment"] is None
    assert (await client.get(f"{AGENTS}/{agent_id}/phone-numbers")).status_code == 404


async def test_a_missing_agent_comes_before_a_bad_body_and_both_are_told(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    number_id, agent_id = await make_number(world, home), await make_agent(client)
    missing = f"{AGENTS}/{new_id('agent')}/phone-numbers"
    answer = await client.post(missing, json={"number_id": 7})
    assert (answer.status_code, len(answer.json()["errors"])) == (404, 2)
    assert (await client.post(missing, json={"number_id": number_id})).status_code == 404
    here = f"{AGENTS}/{agent_id}/phone-numbers"
    answer = await client.post(here, json={"number_id": number_id, "direction": "sideways"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/direction")
    answer = await client.post(here, json={"number_id": new_id("num")})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (404, "/number_id")


async def test_a_direction_that_the_trunk_can_not_carry_is_refused(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    number_id, agent_id = await make_number(world, home), await make_agent(client)
    async with world.db.transaction() as tx:
        await tx.execute("update trunks set can_inbound = false")
    answer = await client.post(f"{AGENTS}/{agent_id}/phone-numbers", json={"number_id": number_id})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/direction")
    await assign(client, agent_id, number_id, "outbound")


async def test_another_workspaces_ids_are_ids_that_do_not_exist(
    client: httpx2.AsyncClient, app: Any, world: World, home: Home, other_home: Home
) -> None:
    number_id, agent_id = await make_number(world, home), await make_agent(client)
    binding = await assign(client, agent_id, number_id)
    async with client_for(app, other_home.api_key) as stranger:
        own_agent, own_number = await make_agent(stranger), await make_number(world, other_home)
        asked = [
            await stranger.get(f"{NUMBERS}/{number_id}"),
            await stranger.get(f"{AGENTS}/{agent_id}/phone-numbers"),
            await stranger.post(
                f"{AGENTS}/{own_agent}/phone-numbers", json={"number_id": number_id}
            ),
            await stranger.post(
                f"{AGENTS}/{agent_id}/phone-numbers", json={"number_id": own_number}
            ),
            await stranger.delete(f"{AGENTS}/{agent_id}/phone-numbers/{binding['id']}"),
            await stranger.delete(f"{AGENTS}/{own_agent}/phone-numbers/{binding['id']}"),
            await stranger.delete(f"{AGENTS}/{agent_id}"),
        ]
        assert [answer.status_code for answer in asked] == [404] * 7
        listed = (await stranger.get(NUMBERS)).json()["data"]
        assert [number["id"] for number in listed] == [own_number]
    assert await numbers_of(client, agent_id) == [number_id]


async def test_lists_are_pages_newest_first(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    made = [await make_number(world, home, f"+1202555010{n}") for n in range(5)]
    page = (await client.get(NUMBERS, params={"limit": "3"})).json()
    assert [number["id"] for number in page["data"]] == made[:1:-1]
    page = (await client.get(NUMBERS, params={"limit": "3", "after": page["next"]})).json()
    assert ([number["id"] for number in page["data"]], page["next"]) == (made[1::-1], None)
    agent_id = await make_agent(client)
    for number_id in made:
        await assign(client, agent_id, number_id)
    path = f"{AGENTS}/{agent_id}/phone-numbers"
    page = (await client.get(path, params={"limit": "4"})).json()
    page = (await client.get(path, params={"limit": "4", "after": page["next"]})).json()
    assert ([binding["number_id"] for binding in page["data"]], page["next"]) == ([made[0]], None)
    assert (await client.get(path, params={"after": "num_x"})).status_code == 400


async def test_making_a_number_twice_makes_it_once_also_at_the_same_time(
    world: World, home: Home
) -> None:
    made = await asyncio.gather(*(make_number(world, home) for _ in range(10)))
    assert len(set(made)) == 1
    async with world.db.transaction() as tx:
        assert await tx.fetchval("select count(*) from trunks") == 1
    with pytest.raises(Refusal, match="simulated network"):
        await make_number(world, home, "+14155551212")


async def test_an_outbound_call_is_dialed_from_the_agents_own_number(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    first, second = await make_number(world, home), await make_number(world, home, "+12025550198")
    agent_id, other = await make_agent(client), await make_agent(client, "Other")

    async def choose(named: str | None) -> OutboundBinding | tuple[int, str]:
        async with world.db.transaction() as tx:
            found = await outbound_binding(tx, home.workspace_id, agent_id, named)
        return (found.status, found.code) if isinstance(found, Refusal) else found

    assert await choose(None) == (403, "number_not_assigned")
    binding = await assign(client, agent_id, first)
    chosen = await choose(None)
    assert isinstance(chosen, OutboundBinding)
    assert (chosen.phone_number, chosen.simulated) == (PHONE, True)
    assert await choose(binding["id"]) == chosen
    foreign = await assign(client, other, second)
    assert await choose(foreign["id"]) == (403, "number_not_assigned")
    await assign(client, agent_id, second)
    assert await choose(None) == (400, "validation_failed")  # which of the two?
    await assign(client, agent_id, second, "inbound")
    assert await choose(None) == chosen
    assert (
        destination_refusal(chosen.phone_number, "+12025550100", simulated=chosen.simulated) is None
    )
    refusal = destination_refusal(chosen.phone_number, "+14155551212", simulated=chosen.simulated)
    assert refusal is not None
    assert (refusal.status, refusal.code) == (403, "destination_not_allowed")
