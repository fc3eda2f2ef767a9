"""POST …/outbound-call: what is refused, with the documented problem, all faults at once, and nothing made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, client_for
from tests.server.support.calls_public import (
    CALLEE,
    Desk,
    assign,
    faults,
    make_desk,
    set_balance,
    set_limit,
    traces,
)

from bolti_server.base.ids import new_id
from bolti_server.workspaces.creating import create_api_key
from bolti_server.world import World

UNKNOWN_AGENT = "agent_01kavqm3t8e6zb2c4d5f7g9h1a"


@pytest.fixture
async def open_desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    """Its agent needs a name and a town."""
    return await make_desk(
        world, client, home.workspace_id, first_message="Hi {{ name }} from {{ town }}."
    )


@pytest.fixture
async def desk(world: World, open_desk: Desk) -> AsyncIterator[Desk]:
    """After the test nothing was made."""
    before = await traces(world)
    yield open_desk
    assert await traces(world) == before, "a refused request left something behind"


VALUES = {"name": "Priya", "town": "Pune"}


def assert_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    return problem


NO_NUMBERS = [
    "12025550100",
    "+1 202 555 0100",
    "+1202",
    "+0123456789",
    "tel:+12025550100",
    "+12025550100x",
    "",
    "+999123456789",  # a country code that does not exist
    "+120255501001",  # a digit more than the country has
]


@pytest.mark.parametrize("number", NO_NUMBERS)
async def test_a_malformed_number_is_named(desk: Desk, number: str) -> None:
    answer = await desk.call(number, variable_values=VALUES)
    assert_problem(answer, 400, "invalid_phone_number")
    assert faults(answer) == {("/to_number", "invalid_phone_number")}


@pytest.mark.parametrize("agent_id", [UNKNOWN_AGENT, "agent_1", "x"])
async def test_an_unknown_agent_is_not_found(desk: Desk, agent_id: str) -> None:
    answer = await desk.client.post(
        f"/workspaces/current/agents/{agent_id}/outbound-call", json={"to_number": CALLEE}
    )
    assert_problem(answer, 404, "not_found")


async def test_a_deleted_agent_is_not_found(
    world: World, client: httpx2.AsyncClient, home: Home
) -> None:
    desk = await make_desk(world, client, home.workspace_id)
    assert (await client.delete(desk.agent_path)).status_code == 204
    assert_problem(await desk.call(), 404, "not_found")


async def test_an_unknown_agent_comes_before_a_bad_body_and_both_are_told(desk: Desk) -> None:
    answer = await desk.client.post(
        f"/workspaces/current/agents/{UNKNOWN_AGENT}/outbound-call", json={"to_number": "x"}
    )
    assert_problem(answer, 404, "not_found")
    assert ("/to_number", "invalid_phone_number") in faults(answer)


async def test_an_inactive_agent_places_no_calls(desk: Desk) -> None:
    await desk.change_agent(is_active=False)
    answer = await desk.call(variable_values=VALUES)
    assert_problem(answer, 409, "agent_inactive")


async def test_another_agents_number_is_refused(
    desk: Desk, world: World, client: httpx2.AsyncClient, home: Home
) -> None:
    other = await make_desk(world, client, home.workspace_id, from_number="+12025550198")
    answer = await desk.call(
        agent_phone_number_id=other.agent_phone_number_id, variable_values=VALUES
    )
    assert_problem(answer, 403, "number_not_assigned")
    assert faults(answer) == {("/agent_phone_number_id", "number_not_assigned")}


async def test_a_number_of_another_workspace_is_refused_like_an_unknown_one(
    desk: Desk, world: World, app: Litestar, other_home: Home
) -> None:
    async with client_for(app, other_home.api_key) as stranger:
        other = await make_desk(world, stranger, other_home.workspace_id)
    answers = [
        await desk.call(agent_phone_number_id=each, variable_values=VALUES)
        for each in (other.agent_phone_number_id, new_id("apn"))
    ]
    for answer in answers:
        assert_problem(answer, 403, "number_not_assigned")
    assert answers[0].json()["errors"] == answers[1].json()["errors"]


async def test_a_number_for_inbound_calls_dials_nobody(desk: Desk, world: World) -> None:
    inbound = await assign(world, desk.workspace_id, desk.agent_id, "+12025550197", "inbound")
    answer = await desk.call(agent_phone_number_id=inbound, variable_values=VALUES)
    assert_problem(answer, 403, "number_not_assigned")


async def test_an_agent_without_a_number_dials_nobody(desk: Desk) -> None:
    removed = await desk.client.delete(
        f"{desk.agent_path}/phone-numbers/{desk.agent_phone_number_id}"
    )
    assert removed.status_code == 204
    assert_problem(await desk.call(variable_values=VALUES), 403, "number_not_assigned")


async def test_which_of_several_numbers_has_to_be_said(desk: Desk, world: World) -> None:
    await assign(world, desk.workspace_id, desk.agent_id, "+12025550198")
    answer = await desk.call(variable_values=VALUES)
    problem = assert_problem(answer, 400, "validation_failed")
    assert faults(answer) == {("/agent_phone_number_id", "required")}
    assert "+12025550198" in problem["detail"]


async def test_every_missing_variable_is_listed(desk: Desk) -> None:
    answer = await desk.call()
    problem = assert_problem(answer, 400, "missing_variables")
    assert problem["missing"] == ["name", "town"]
    assert faults(answer) == {
        ("/variable_values/name", "missing_variable"),
        ("/variable_values/town", "missing_variable"),
    }
    answer = await desk.call(variable_values={"town": "Pune"})
    assert answer.json()["missing"] == ["name"]


async def test_no_credit_says_what_there_is_and_what_is_needed(
    desk: Desk, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "test", 1_500_000)
    answer = await desk.call(variable_values=VALUES)
    problem = assert_problem(answer, 402, "payment_required")
    assert problem["balance_micros"] == 1_500_000
    assert problem["required_micros"] == 6_000_000
    assert problem["currency"] == "INR"
    assert problem["top_up_url"].startswith("https://")


NO_JSON = [
    b"",
    b"{",
    b'{"to_number": "+12025550100",}',
    b"\xff",
    b"NaN",
    b'{"to_number":"+12025550100","to_number":"+12025550101"}',
]


@pytest.mark.parametrize("raw", NO_JSON)
async def test_a_body_that_is_not_json_is_malformed(desk: Desk, raw: bytes) -> None:
    answer = await desk.client.post(
        desk.path, content=raw, headers={"Content-Type": "application/json"}
    )
    assert_problem(answer, 400, "malformed_json")


@pytest.mark.parametrize("raw", [b"[]", b'"text"', b"1", b"null"])
async def test_a_body_that_is_no_object_is_refused(desk: Desk, raw: bytes) -> None:
    answer = await desk.client.post(
        desk.path, content=raw, headers={"Content-Type": "application/json"}
    )
    assert_problem(answer, 400, "validation_failed")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("agent_phone_number_id", 7),
        ("agent_phone_number_id", "apn_1"),
        ("variable_values", ["Priya"]),
        ("max_duration_seconds", "60"),
        ("max_duration_seconds", 0),
        ("max_duration_seconds", 14_401),
        ("max_duration_seconds", 1.5),
        ("when_limited", "wait"),
        ("queue_timeout_seconds", 86_401),
        ("allow_concurrent_to_callee", "yes"),
        ("scheduled_at", 1_795_515_600),
        ("simulation", {"scenario": "explodes"}),
        ("simulation", {}),
        ("nickname", "x"),
    ],
)
async def test_a_wrong_member_is_named(desk: Desk, member: str, value: Any) -> None:
    answer = await desk.send({"to_number": CALLEE, "variable_values": VALUES, member: value})
    assert_problem(answer, 400, "validation_failed")
    pointers = {pointer for pointer, _ in faults(answer)}
    assert any(pointer.startswith(f"/{member}") for pointer in pointers), pointers


async def test_a_variable_of_a_wrong_type_is_not_missing_too(desk: Desk) -> None:
    answer = await desk.call(variable_values={"name": ["Priya"], "town": "Pune"})
    assert_problem(answer, 400, "validation_failed")
    assert {pointer for pointer, _ in faults(answer)} == {"/variable_values/name"}


async def test_an_oversized_body_is_refused(desk: Desk) -> None:
    answer = await desk.call(variable_values={"name": "x" * (1 << 20)})
    assert_problem(answer, 413, "body_too_large")


async def test_a_body_of_another_kind_is_refused(desk: Desk) -> None:
    answer = await desk.client.post(desk.path, data={"to_number": CALLEE})
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", "Basic Ym9sdGk6"])
async def test_without_a_good_key_nothing_is_told(
    desk: Desk, anonymous: httpx2.AsyncClient, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await anonymous.post(desk.path, json={"to_number": "x"}, headers=headers)
    assert_problem(answer, 401, "unauthenticated")
    assert answer.json()["errors"] == []


async def test_a_key_without_the_scope_places_no_call(
    desk: Desk, world: World, app: Litestar, home: Home
) -> None:
    async with world.db.transaction() as tx:
        key = await create_api_key(
            tx, world.vault, home.workspace_id, name="reader", scopes=["conversations:read"]
        )
    async with client_for(app, key.token) as reader:
        answer = await reader.post(desk.path, json={"to_number": CALLEE})
    assert_problem(answer, 403, "insufficient_scope")


async def test_another_workspaces_agent_does_not_exist(
    desk: Desk, app: Litestar, other_home: Home
) -> None:
    async with client_for(app, other_home.api_key) as stranger:
        by_current = await stranger.post(desk.path, json={"to_number": CALLEE})
        by_name = await stranger.post(
            desk.path.replace("current", desk.workspace_id), json={"to_number": CALLEE}
        )
    assert_problem(by_current, 404, "not_found")
    assert_problem(by_name, 404, "not_found")


async def test_a_simulated_number_reaches_only_the_simulated_network(desk: Desk) -> None:
    answer = await desk.call("+919876543210", variable_values=VALUES)
    assert_problem(answer, 403, "destination_not_allowed")
    assert faults(answer) == {("/to_number", "destination_not_allowed")}


async def test_a_real_number_has_no_scenarios_and_does_not_reach_simulated_callees(
    desk: Desk, world: World
) -> None:
    trunk_id, number_id = new_id("trunk"), new_id("num")
    async with world.db.transaction() as tx:
        await tx.execute(
            """insert into trunks (id, workspace_id, name, kind, can_inbound, can_outbound, host, transport)
               values ($1, $2, 'x', 'byot', false, true, 'sip.example.com', 'udp')""",
            trunk_id,
            desk.workspace_id,
        )
        await tx.execute(
            """insert into numbers (id, workspace_id, trunk_id, phone_number, country)
               values ($1, $2, $3, '+919876543210', 'IN')""",
            number_id,
            desk.workspace_id,
            trunk_id,
        )
        binding_id = new_id("apn")
        await tx.execute(
            """insert into agent_phone_numbers (id, workspace_id, agent_id, number_id, direction)
               values ($1, $2, $3, $4, 'outbound')""",
            binding_id,
            desk.workspace_id,
            desk.agent_id,
            number_id,
        )
    answer = await desk.call(
        agent_phone_number_id=binding_id,
        variable_values=VALUES,
        simulation={"scenario": "busy"},
    )
    assert_problem(answer, 400, "validation_failed")
    assert faults(answer) == {
        ("/simulation", "invalid"),
        ("/to_number", "destination_not_allowed"),
        ("", "media_server_missing"),
    }


async def test_everything_that_is_wrong_is_told_at_once_across_kinds(
    open_desk: Desk, world: World, home: Home
) -> None:
    desk = open_desk
    live = await desk.placed(variable_values=VALUES)
    await desk.change_agent(is_active=False)
    await set_balance(world, home.organization_id, "test", 0)
    await set_limit(world, home.workspace_id, 1)
    before = await traces(world)
    answer = await desk.call(
        when_limited="maybe", nickname="x", scheduled_at=None, variable_values={"town": "Pune"}
    )
    problem = assert_problem(answer, 400, "validation_failed")
    assert {code for _, code in faults(answer)} == {
        "not_allowed",
        "unknown_field",
        "missing_variable",
        "agent_inactive",
        "callee_already_in_call",
        "payment_required",
    }
    assert problem["missing"] == ["name"]
    assert problem["required_micros"] == 6_000_000
    assert problem["conversation_id"] == live
    answer = await desk.call(variable_values=VALUES)
    problem = assert_problem(answer, 409, "agent_inactive")
    assert {code for _, code in faults(answer)} == {
        "agent_inactive",
        "callee_already_in_call",
        "payment_required",
        "concurrency_limit_reached",
    }
    assert answer.headers["Retry-After"]
    assert await traces(world) == before


@pytest.mark.parametrize(
    ("scheduled_at", "timezone", "pointer"),
    [
        ("2020-01-01T00:00:00Z", None, "/scheduled_at"),
        ("2199-01-01T00:00:00Z", None, "/scheduled_at"),
        ("2199-01-01T00:00:00", "Asia/Kolkata", "/scheduled_at"),
        ("2027-01-01T00:00:00", None, "/scheduled_at"),
        ("2027-13-01T00:00:00Z", None, "/scheduled_at"),
        ("tomorrow", None, "/scheduled_at"),
        ("2027-01-01T00:00:00", "Mars/Olympus", "/timezone"),
        (None, "Mars/Olympus", "/timezone"),
        (None, "not a zone", "/timezone"),
    ],
)
async def test_an_instant_that_can_not_be_is_refused(
    desk: Desk, scheduled_at: str | None, timezone: str | None, pointer: str
) -> None:
    answer = await desk.call(variable_values=VALUES, scheduled_at=scheduled_at, timezone=timezone)
    assert_problem(answer, 400, "validation_failed")
    assert {found for found, _ in faults(answer)} == {pointer}
