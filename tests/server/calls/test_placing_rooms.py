"""Placing calls that are carried by a room: from a trunk of the workspace's own, and through the simulated network."""

from __future__ import annotations

from typing import Any

import attrs
import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, MoveTime
from tests.server.support.calls_public import (
    Desk,
    end_call,
    faults,
    instant_in,
    make_desk,
    set_balance,
    traces,
)
from tests.server.support.media import FakeMedia

from bolti_server.bootstrap.web import build_app
from bolti_server.calls import scheduling
from bolti_server.calls.lifecycle import HangupCode
from bolti_server.world import World

FROM = "+918041234567"
CALLEE = "+919876543210"


@pytest.fixture
def app(world: World) -> Litestar:
    return build_app(attrs.evolve(world, media=FakeMedia()))


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    """Its agent dials from a number on a trunk of the workspace's own."""
    simulated = await make_desk(world, client, home.workspace_id)
    agent = await client.post("/workspaces/current/agents", json={"name": "Clinic"})
    agent_id = agent.json()["id"]
    binding_id = (await own_number(client, agent_id))["id"]
    return attrs.evolve(simulated, agent_id=agent_id, agent_phone_number_id=binding_id)


@pytest.fixture
async def simulated_desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


async def own_number(client: httpx2.AsyncClient, agent_id: str) -> dict[str, Any]:
    """The binding of a number on a new trunk."""
    outbound = {"host": "sip.example.com", "username": "clinic", "password": "s3cret"}
    trunk = await client.post(
        "/workspaces/current/trunks", json={"name": "Clinic", "outbound": outbound}
    )
    path = f"/workspaces/current/trunks/{trunk.json()['id']}/numbers"
    number = await client.post(path, json={"phone_number": FROM})
    bound = await client.post(
        f"/workspaces/current/agents/{agent_id}/phone-numbers",
        json={"number_id": number.json()["id"], "direction": "outbound"},
    )
    assert bound.status_code == 201, bound.text
    found: dict[str, Any] = bound.json()
    return found


async def trunk_of(world: World, conversation_id: str) -> tuple[str | None, str | None, str | None]:
    row = await world.db.fetchrow(
        """select t.kind, c.room_name, h.ledger from conversations c left join trunks t on t.id = c.trunk_id
           left join ledger_holds h on h.reference = c.id where c.id = $1""",
        conversation_id,
    )
    assert row is not None
    return row["kind"], row["room_name"], row["ledger"]


async def test_a_number_on_an_own_trunk_calls_real_people_through_a_room(
    desk: Desk, world: World
) -> None:
    made = await desk.call(CALLEE)
    assert (made.status_code, made.json()["simulated"]) == (201, False)
    conversation_id = made.json()["conversation_id"]
    record = await desk.conversation(conversation_id)
    assert (record["line"], record["from_number"], record["status"]) == ("room", FROM, "queued")
    assert await trunk_of(world, conversation_id) == ("byot", conversation_id, "live")


async def test_a_simulated_call_may_ask_for_a_room(simulated_desk: Desk, world: World) -> None:
    in_room = await simulated_desk.placed("+12025550100", simulation={"line": "room"})
    assert (await simulated_desk.conversation(in_room))["line"] == "room"
    assert await trunk_of(world, in_room) == ("simulated", in_room, "test")
    elsewhere = await simulated_desk.placed("+12025550101")
    assert (await simulated_desk.conversation(elsewhere))["line"] == "audio"
    assert await trunk_of(world, elsewhere) == (None, None, "test")


async def test_neither_network_reaches_the_other(desk: Desk, simulated_desk: Desk) -> None:
    for answer in (await desk.call("+12025550100"), await simulated_desk.call(CALLEE)):
        assert (answer.status_code, answer.json()["code"]) == (403, "destination_not_allowed")
    answer = await desk.call(CALLEE, simulation={"line": "room"})
    assert (answer.status_code, faults(answer)) == (400, {("/simulation", "invalid")})


async def test_real_calls_are_paid_from_the_live_ledger(
    desk: Desk, world: World, home: Home
) -> None:
    await set_balance(world, home.organization_id, "live", 0)
    answer = await desk.call(CALLEE)
    assert (answer.status_code, answer.json()["balance_micros"]) == (402, 0)


async def test_without_a_media_server_what_needs_a_room_is_refused_with_what_to_set(
    desk: Desk, simulated_desk: Desk, world: World, home: Home
) -> None:
    before = await traces(world)
    roomless = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=build_app(world)),
        base_url=str(desk.client.base_url),
        headers={"Authorization": f"Bearer {home.api_key}"},
    )
    async with roomless as client:
        answers = [
            await attrs.evolve(desk, client=client).call(CALLEE),
            await attrs.evolve(simulated_desk, client=client).call(simulation={"line": "room"}),
            await attrs.evolve(desk, client=client).call(
                CALLEE, scheduled_at=await instant_in(world, 60)
            ),
        ]
    assert {(a.status_code, a.json()["code"]) for a in answers} == {(409, "media_server_missing")}
    assert "LIVEKIT_URL" in answers[0].json()["detail"]
    assert await traces(world) == before


async def test_a_scheduled_call_through_a_room_is_queued_at_its_instant(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(CALLEE, scheduled_at=await instant_in(world, 60))
    assert await trunk_of(world, conversation_id) == ("byot", conversation_id, None)
    await move_time(61)
    assert await scheduling.dispatch_due(world) == 1
    assert (await desk.conversation(conversation_id))["status"] == "queued"
    assert await trunk_of(world, conversation_id) == ("byot", conversation_id, "live")


@pytest.mark.parametrize("what", ["released", "can't dial"])
async def test_a_scheduled_call_whose_trunk_can_not_dial_any_more_says_so(
    desk: Desk, client: httpx2.AsyncClient, world: World, move_time: MoveTime, what: str
) -> None:
    conversation_id = await desk.placed(CALLEE, scheduled_at=await instant_in(world, 60))
    (number,) = (
        await client.get("/workspaces/current/numbers", params={"simulated": "false"})
    ).json()["data"]
    if what == "released":
        answer = await client.delete(f"/workspaces/current/numbers/{number['id']}")
        assert answer.status_code == 204
        answer = await client.delete(f"/workspaces/current/trunks/{number['trunk']['id']}")
        assert answer.status_code == 204
    else:
        answer = await client.patch(
            f"/workspaces/current/trunks/{number['trunk']['id']}",
            json={"outbound": None, "inbound": {"allowed_addresses": ["203.0.113.7"]}},
        )
        assert answer.status_code == 200, answer.text
    await move_time(61)
    await scheduling.dispatch_due(world)
    record = await desk.conversation(conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "destination_not_allowed")
    assert record["hangup"]["detail"]
    assert record["cost"] is None


async def test_one_callee_has_one_call_whatever_the_lines(desk: Desk, world: World) -> None:
    first = await desk.placed(CALLEE)
    assert (await desk.call(CALLEE)).json()["conversation_id"] == first
    await end_call(world, desk.workspace_id, first, HangupCode.CANCELLED_BY_USER)
    assert (await desk.call(CALLEE)).status_code == 201
