"""Calls that come in: who answers, and what the record says where nobody does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import BASE_URL, Home, MoveTime
from tests.server.support.calls_public import assign, set_balance, set_limit
from tests.server.support.media import FakeMedia
from tests.server.support.receptions import (
    CALLER,
    CONVERSATIONS,
    MINUTE_MICROS,
    NUMBER,
    Reception,
    make_agent,
    make_reception,
)

from bolti_server.base.ids import new_id
from bolti_server.bootstrap.web import build_app
from bolti_server.calls import deadlines
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


async def test_a_call_rings_with_its_agent_its_money_and_its_worker(
    reception: Reception, world: World
) -> None:
    leased = await reception.leased()
    record = await reception.record(leased.conversation_id)
    assert (record["status"], record["direction"], record["line"]) == ("ringing", "inbound", "room")
    assert (record["from_number"], record["to_number"]) == (CALLER, NUMBER)
    assert (record["simulated"], record["agent"]["id"]) == (False, reception.agent_id)
    assert record["ringing_at"] == record["created_at"]
    assert await reception.events() == ["conversation.ringing"]
    row = await world.db.fetchrow("select * from conversations")
    assert row is not None
    assert (row["epoch"], row["worker_id"], row["trunk_id"]) == (1, "worker_a", reception.trunk_id)
    assert row["room_name"] == f"in-_{row['sip_call_id']}"
    assert 20 <= (row["deadline_at"] - row["created_at"]).total_seconds() <= 30
    hold = await world.db.fetchrow("select ledger, wanted_seconds from ledger_holds")
    assert dict(hold or {}) == {"ledger": "live", "wanted_seconds": 600}


async def test_a_call_that_is_answered_lives_like_any_other(reception: Reception) -> None:
    leased = await reception.leased()
    spec = (await leased.spec()).json()
    assert (spec["direction"], spec["line"]["kind"], spec["line"]["is_simulated"]) == (
        "inbound", "room", False,
    )  # fmt: skip
    assert spec["line"]["room"].startswith("in-")
    assert spec["takeover"] is None
    await leased.report("agent_ready")
    await leased.report("answered")
    await leased.turn(0)
    await leased.ended("remote_hangup")
    record = await reception.record(leased.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("completed", "remote_hangup")
    assert record["cost"]["ledger"] == "live"
    assert await reception.events() == [
        "conversation.ringing",
        "conversation.answered",
        "conversation.turn",
        "conversation.ended",
        "conversation.completed",
    ]


async def test_a_caller_who_gives_up_has_cost_nothing(reception: Reception) -> None:
    leased = await reception.leased()
    await leased.ended("caller_cancelled")
    record = await reception.record(leased.conversation_id)
    assert (record["status"], record["cost"]["amount_micros"]) == ("cancelled", 0)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("919876543210", CALLER),
        ("09876543210", CALLER),
        ("+442079460000", "+442079460000"),
        ("anonymous", None),
        ("", None),
        ("Restricted", None),
    ],
)
async def test_a_caller_is_kept_as_a_number_or_not_at_all(
    reception: Reception, told: str, kept: str | None
) -> None:
    leased = await reception.leased(from_number=told)
    assert (await reception.record(leased.conversation_id))["from_number"] == kept
    assert (await leased.spec()).status_code == 200


@pytest.mark.parametrize("called", ["918041234567", "00918041234567", "08041234567", "8041234567"])
async def test_a_called_number_is_found_as_providers_write_it(
    reception: Reception, called: str
) -> None:
    leased = await reception.leased(to_number=called)
    assert (await reception.record(leased.conversation_id))["to_number"] == NUMBER


async def test_a_variable_that_nobody_can_give_is_empty_and_no_braces_are_left(
    reception: Reception,
) -> None:
    path = f"/workspaces/current/agents/{reception.agent_id}"
    text = "Hello {{ name }}, {{ caller_number }}."
    changed = await reception.client.patch(path, json={"first_message": text})
    assert changed.json()["required_variables"] == ["name"]
    spec = (await (await reception.leased()).spec()).json()
    assert spec["greeting"] == f"Hello , {CALLER}."


async def test_the_do_not_call_list_does_not_keep_people_from_calling_us(
    reception: Reception,
) -> None:
    answer = await reception.client.post(
        "/workspaces/current/do-not-call", json={"phone_number": CALLER}
    )
    assert answer.status_code == 201
    assert (await reception.rings())["claimed"] is not None


async def refused(reception: Reception, code: str) -> dict[str, Any]:
    """The record of a call that is refused with `code`: ended at once, no money, its event, and the same answer again."""
    before = len((await reception.client.get(CONVERSATIONS)).json()["data"])
    first = await reception.rings("SCL_refused")
    assert (first["claimed"], first["code"]) == (None, code)
    assert await reception.rings("SCL_refused") == first
    listed = (await reception.client.get(CONVERSATIONS)).json()["data"]
    assert len(listed) == before + 1
    record: dict[str, Any] = listed[0]
    assert (record["status"], record["hangup"]["code"]) == ("rejected", code)
    assert (record["hangup"]["detail"], record["hangup"]["by"]) == (first["detail"], "platform")
    assert (record["answered_at"], record["cost"], record["duration_seconds"]) == (None, None, 0)
    assert (await reception.events())[-1] == "conversation.ended"
    found = await reception.client.get(CONVERSATIONS, params={"direction": "inbound"})
    assert found.json()["data"][0] == record
    return await reception.record(record["id"])


async def test_a_number_without_an_agent_is_not_answered_and_the_record_says_so(
    reception: Reception,
) -> None:
    answer = await reception.client.delete(f"/workspaces/current/agents/{reception.agent_id}")
    assert answer.status_code == 204
    record = await refused(reception, "agent_inactive")
    assert (record["agent"], record["agent_phone_number_id"]) == (None, None)
    assert "No agent answers" in record["hangup"]["detail"]
    assert (record["transcript"], record["simulation"]) == ([], None)


async def test_a_number_that_its_agent_only_dials_from_is_not_answered(
    reception: Reception,
) -> None:
    trunk = f"/workspaces/current/trunks/{reception.trunk_id}"
    answer = await reception.client.patch(trunk, json={"outbound": {"host": "sip.example.com"}})
    assert answer.status_code == 200, answer.text
    await reception.give_to(reception.agent_id, "outbound")
    assert (await refused(reception, "agent_inactive"))["agent"] is None


async def test_an_inactive_agent_does_not_answer(reception: Reception) -> None:
    path = f"/workspaces/current/agents/{reception.agent_id}"
    await reception.client.patch(path, json={"is_active": False})
    record = await refused(reception, "agent_inactive")
    assert record["agent"]["id"] == reception.agent_id
    assert "inactive" in record["hangup"]["detail"]


async def test_without_credit_nobody_answers(
    reception: Reception, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "live", MINUTE_MICROS - 1)
    record = await refused(reception, "insufficient_credits")
    assert record["hangup"]["fault"] == "funds"
    assert await world.db.fetchval("select count(*) from ledger_holds") == 0


async def test_a_small_balance_shortens_the_call(
    reception: Reception, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "live", 2 * MINUTE_MICROS)
    leased = await reception.leased()
    spec = (await leased.spec()).json()
    assert (spec["max_duration_seconds"], spec["is_cap_shortened"]) == (120, True)


async def test_a_workspace_that_has_all_its_calls_refuses_the_next(
    reception: Reception, world: World
) -> None:
    await set_limit(world, reception.workspace_id, 1)
    await reception.leased()
    record = await refused(reception, "concurrency_limit")
    assert record["hangup"]["retryable"] is True


async def test_a_trunk_that_takes_no_calls_any_more_refuses_them(reception: Reception) -> None:
    changes = {"inbound": None, "outbound": {"host": "sip.example.com"}}
    answer = await reception.client.patch(
        f"/workspaces/current/trunks/{reception.trunk_id}", json=changes
    )
    assert answer.status_code == 200, answer.text
    await refused(reception, "destination_not_allowed")


async def test_what_belongs_to_nobody_is_refused_and_leaves_no_record(
    reception: Reception, world: World
) -> None:
    for changes in (
        {"trunk_id": new_id("trunk")},
        {"to_number": "+918049999999"},
        {"to_number": "reception"},
    ):
        answer = await reception.rings(**changes)
        assert (answer["claimed"], answer["code"]) == (None, "invalid_number"), changes
    assert await world.db.fetchval("select count(*) from conversations") == 0


async def test_a_number_is_called_by_its_own_trunk_alone(reception: Reception) -> None:
    trunk = await reception.client.post(
        "/workspaces/current/trunks",
        json={"name": "Other", "inbound": {"allowed_addresses": ["203.0.113.7"]}},
    )
    for called in (NUMBER, "08041234567"):
        answer = await reception.rings(trunk_id=trunk.json()["id"], to_number=called)
        assert (answer["claimed"], answer["code"]) == (None, "invalid_number"), called


async def test_only_a_worker_may_say_that_a_call_comes_in(reception: Reception) -> None:
    assert (await reception.ask(token="wrong")).status_code == 401
    for changes in ({"sip_call_id": ""}, {"room": "x" * 201}, {"from_number": "1" * 201}):
        assert (await reception.ask(**changes)).status_code == 400, changes


async def test_somebody_of_the_simulated_network_calls_on_the_test_ledger(
    client: httpx2.AsyncClient, http: httpx2.AsyncClient, world: World, home: Home
) -> None:
    agent_id = await make_agent(client)
    await assign(world, home.workspace_id, agent_id, "+12025550199", "both")
    (trunk,) = (await client.get("/workspaces/current/trunks")).json()["data"]
    simulated = Reception(home.workspace_id, client, http, trunk["id"], "", agent_id)
    leased = await simulated.leased(to_number="+12025550199", from_number="+12025550100")
    record = await simulated.record(leased.conversation_id)
    assert (record["simulated"], record["line"]) == (True, "room")
    assert await world.db.fetchval("select ledger from ledger_holds") == "test"


async def test_a_call_that_no_agent_of_ours_answers_in_time_ends_by_our_fault(
    reception: Reception, world: World, move_time: MoveTime
) -> None:
    leased = await reception.leased()
    await move_time(40)
    await deadlines.end_overdue(world)
    record = await reception.record(leased.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "agent_unavailable")
    assert record["cost"]["amount_micros"] == 0
