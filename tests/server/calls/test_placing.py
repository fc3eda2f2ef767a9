"""POST …/outbound-call: what is accepted, and what is there afterwards."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest
from tests.server.conftest import Home
from tests.server.support.calls_public import (
    CALLEE,
    FROM_NUMBER,
    Desk,
    assign,
    make_desk,
    set_balance,
    traces,
)

from bolti_server.world import World


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


async def test_a_number_is_enough_to_place_a_call(desk: Desk, world: World) -> None:
    answer = await desk.call()
    assert answer.status_code == 201, answer.text
    call = answer.json()
    assert call["status"] == "queued"
    assert call["scheduled_call_id"] is None
    assert call["simulated"] is True
    path = f"/workspaces/{desk.workspace_id}/conversations/{call['conversation_id']}"
    assert answer.headers["Location"] == path
    record = await desk.conversation(call["conversation_id"])
    assert record["status"] == "queued"
    assert record["direction"] == "outbound"
    assert (record["from_number"], record["to_number"]) == (FROM_NUMBER, CALLEE)
    assert record["agent"] == {"id": desk.agent_id, "name": "Front desk", "version": 1}
    assert record["agent_phone_number_id"] == desk.agent_phone_number_id
    assert record["hangup"] is None
    assert record["transcript"] == []


async def test_an_accepted_call_has_a_deadline_and_the_money_for_its_cap(
    desk: Desk, world: World
) -> None:
    conversation_id = await desk.placed(max_duration_seconds=120)
    row = await world.db.fetchrow(
        """select c.deadline_at - c.queued_at as queued, c.max_duration_seconds, h.covered_seconds,
                  h.amount_micros, h.ledger, h.resolution
           from conversations c join ledger_holds h on h.reference = c.id where c.id = $1""",
        conversation_id,
    )
    assert row is not None
    assert row["queued"] == timedelta(seconds=60)
    assert row["max_duration_seconds"] == row["covered_seconds"] == 120
    assert row["amount_micros"] == 12_000_000
    assert row["ledger"] == "test"
    assert row["resolution"] is None


async def test_the_caller_may_ask_for_more_than_the_agents_limit_and_for_less(desk: Desk) -> None:
    longer = await desk.placed("+12025550101", max_duration_seconds=1200)
    shorter = await desk.placed("+12025550102", max_duration_seconds=30)
    agents_own = await desk.placed("+12025550103")
    caps = [
        (await desk.conversation(each))["max_duration_seconds"]
        for each in (longer, shorter, agents_own)
    ]
    assert caps == [1200, 30, 600]


async def test_the_balance_shortens_the_cap(desk: Desk, world: World, home: Home) -> None:
    await set_balance(world, home.organization_id, "test", 9_000_000)  # 90 s
    conversation_id = await desk.placed()
    record = await desk.conversation(conversation_id)
    assert record["max_duration_seconds"] == 90
    is_shortened = await world.db.fetchval(
        "select is_cap_shortened from conversations where id = $1", conversation_id
    )
    assert is_shortened is True


async def test_the_last_minute_of_the_balance_is_one_call(
    desk: Desk, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "test", 6_000_000)
    await desk.placed("+12025550100")
    refused = await desk.call("+12025550101")
    assert refused.status_code == 402


async def test_a_call_pins_the_version_of_its_agent(desk: Desk) -> None:
    before = await desk.placed("+12025550100")
    await desk.change_agent(name="Night desk")
    after = await desk.placed("+12025550101")
    assert (await desk.conversation(before))["agent"]["version"] == 1
    assert (await desk.conversation(before))["agent"]["name"] == "Front desk"
    assert (await desk.conversation(after))["agent"]["version"] == 2
    assert (await desk.conversation(after))["agent"]["name"] == "Night desk"


async def test_variables_are_kept_as_given_and_built_in_ones_need_no_value(
    world: World, client: httpx2.AsyncClient, home: Home
) -> None:
    desk = await make_desk(
        world,
        client,
        home.workspace_id,
        first_message='Hi {{ name }}, {{ title | default: "friend" }}, it is {{ current_time }}.',
    )
    values = {"name": "Priya", "visits": 3, "is_new": False, "ratio": 0.5}
    conversation_id = await desk.placed(variable_values=values)
    assert (await desk.conversation(conversation_id))["variable_values"] == values


async def test_a_scenario_is_kept_for_the_simulated_network(desk: Desk, world: World) -> None:
    conversation_id = await desk.placed(simulation={"scenario": "talks_over"})
    scenario = await world.db.fetchval(
        "select scenario from conversations where id = $1", conversation_id
    )
    assert scenario == "talks_over"


async def test_a_named_number_is_called_from(desk: Desk, world: World) -> None:
    other = await assign(world, desk.workspace_id, desk.agent_id, "+12025550198", "both")
    conversation_id = await desk.placed(agent_phone_number_id=other)
    record = await desk.conversation(conversation_id)
    assert record["from_number"] == "+12025550198"
    assert record["agent_phone_number_id"] == other


async def test_the_same_api_answers_under_v1(desk: Desk) -> None:
    answer = await desk.client.post(f"/v1{desk.path}", json={"to_number": CALLEE})
    assert answer.status_code == 201


async def test_a_call_for_now_is_no_event_yet(desk: Desk, world: World) -> None:
    before = await traces(world)
    await desk.placed()
    after = await traces(world)
    assert after["events"] == before["events"]
    assert after["conversations"] == before["conversations"] + 1
