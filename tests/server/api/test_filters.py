"""Filters and order of lists: each narrows, an unknown one is refused, and pages hold together in both orders."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home
from tests.server.support.calls_public import Desk, answer_call, end_call, instant_in, make_desk
from tests.server.support.tenants import asked, furnish, guarded_operations

from bolti_server.bootstrap.web import build_app
from bolti_server.calls.lifecycle import HangupCode
from bolti_server.numbers.creating import create_simulated_number
from bolti_server.web.contract import load_contract
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.world import World

CONVERSATIONS = "/workspaces/current/conversations"
SORTED = ("agents", "tools", "numbers", "trunks", "conversations")


@pytest.fixture
def app(world: World) -> Litestar:
    return build_app(world, rate=RatePolicy(burst=100_000, window_seconds=1))


async def ids(client: httpx2.AsyncClient, path: str, **query: Any) -> list[str]:
    """Of all pages, two items to a page."""
    found: list[str] = []
    after = None
    while True:
        cursor = {} if after is None else {"after": after}
        answer = await client.get(path, params={**query, **cursor, "limit": 2})
        assert answer.status_code == 200, answer.text
        found += [each["id"] for each in answer.json()["data"]]
        after = answer.json()["next"]
        if after is None:
            return found


async def test_an_unknown_filter_is_refused_by_every_operation(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    things = await furnish(world, client, home.workspace_id)
    for operation in guarded_operations():
        request = asked(operation, "current", things)
        answer = await client.request(
            operation.method, f"{request.path}?colour=red", json=request.body
        )
        assert answer.status_code == 400, (operation.id, answer.text)
        faults = [(each["pointer"], each["code"]) for each in answer.json()["errors"]]
        assert ("query:colour", "unknown_parameter") in faults, operation.id


def test_the_lists_of_what_one_makes_can_be_sorted() -> None:
    found = {each.path for each in load_contract().operations.values() if "sort" in each.query}
    assert found == {f"/workspaces/{{workspace_id}}/{name}" for name in SORTED}


async def test_lists_go_both_ways_and_pages_hold_together(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    desk = await make_desk(world, client, home.workspace_id)
    for number in range(4):
        await client.post("/workspaces/current/agents", json={"name": f"Agent {number}"})
        tool = {"name": f"tool_{number}", "description": "x", "url": "https://example.com"}
        await client.post("/workspaces/current/tools", json=tool)
        await desk.placed(f"+1202555010{number}")
        trunk = {"name": "Clinic", "outbound": {"host": "sip.example.com"}}
        await client.post("/workspaces/current/trunks", json=trunk)
        async with world.db.transaction() as tx:
            await create_simulated_number(tx, home.workspace_id, f"+1202555015{number}")
    for name in SORTED:
        path = f"/workspaces/current/{name}"
        newest = await ids(client, path)
        assert len(newest) >= 4
        assert newest == sorted(newest, reverse=True)
        assert await ids(client, path, sort="newest") == newest
        assert await ids(client, path, sort="oldest") == newest[::-1]
        wrong = await client.get(path, params={"sort": "name"})
        assert [each["pointer"] for each in wrong.json()["errors"]] == ["query:sort"]


async def test_numbers_are_found_by_what_they_are(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    desk = await make_desk(world, client, home.workspace_id)
    async with world.db.transaction() as tx:
        free = await create_simulated_number(tx, home.workspace_id, "+12025550150")
    path = "/workspaces/current/numbers"
    everything = await ids(client, path)
    assigned = [each for each in everything if each != free.id]
    assert await ids(client, path, is_assigned="true") == assigned
    assert await ids(client, path, is_assigned="false") == [free.id]
    assert await ids(client, path, agent_id=desk.agent_id) == assigned
    assert await ids(client, path, phone_number="+12025550150") == [free.id]
    assert await ids(client, path, country="US", simulated="true") == everything
    assert await ids(client, path, country="IN") == []
    assert await ids(client, path, simulated="false") == []
    assert await ids(client, path, is_assigned="true", phone_number="+12025550150") == []


async def test_tools_and_agents_are_found_by_their_names(client: httpx2.AsyncClient) -> None:
    for name in ("one", "two"):
        await client.post("/workspaces/current/agents", json={"name": name, "is_active": False})
        tool = {"name": name, "description": "x", "url": "https://example.com"}
        await client.post("/workspaces/current/tools", json=tool)
    for path in ("agents", "tools"):
        answer = await client.get(f"/workspaces/current/{path}", params={"name": "one"})
        assert [each["name"] for each in answer.json()["data"]] == ["one"]
    assert await ids(client, "/workspaces/current/agents", is_active="true") == []


@pytest.fixture
async def desk(client: httpx2.AsyncClient, world: World, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


async def test_conversations_are_found_by_what_became_of_them(
    client: httpx2.AsyncClient, world: World, home: Home, desk: Desk
) -> None:
    ended, live = await desk.placed("+12025550100"), await desk.placed("+12025550107")
    await answer_call(world, ended)
    await end_call(world, home.workspace_id, ended, HangupCode.REMOTE_HANGUP)
    later = await instant_in(world, 60)
    cases: tuple[tuple[dict[str, Any], list[str]], ...] = (
        ({"status": "completed"}, [ended]),
        ({"status": ["queued", "in_progress", "completed"]}, [live, ended]),
        ({"status": "busy"}, []),
        ({"direction": "outbound"}, [live, ended]),
        ({"direction": "inbound"}, []),
        ({"agent_id": desk.agent_id}, [live, ended]),
        ({"to_number": "+12025550100"}, [ended]),
        ({"from_number": "+12025550199"}, [live, ended]),
        ({"from_number": "+12025550100"}, []),
        ({"hangup_code": "remote_hangup"}, [ended]),
        ({"hangup_code": "busy"}, []),
        ({"simulated": "true"}, [live, ended]),
        ({"simulated": "false"}, []),
        ({"created_before": later}, [live, ended]),
        ({"created_after": later}, []),
        ({"status": "completed", "to_number": "+12025550107"}, []),
    )
    for query, expected in cases:
        assert await ids(client, CONVERSATIONS, **query) == expected, query


@pytest.mark.parametrize(
    "query",
    [
        {"status": "sleeping"},
        {"direction": "up"},
        {"agent_id": "conv_01kavqm3t8e6zb2c4d5f7g9h2c"},
        {"to_number": "0100"},
        {"hangup_code": "bored"},
        {"simulated": "1"},
        {"created_after": "yesterday"},
        {"created_before": "2026-11-24T10:00:00"},
    ],
    ids=lambda query: next(iter(query)),
)
async def test_a_filter_that_says_nothing_is_refused(
    client: httpx2.AsyncClient, query: dict[str, str]
) -> None:
    answer = await client.get(CONVERSATIONS, params=query)
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["errors"]] == [f"query:{next(iter(query))}"]
