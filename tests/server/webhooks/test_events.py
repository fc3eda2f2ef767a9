"""The event log in pages: oldest first, filtered, one workspace's."""

from __future__ import annotations

import httpx2
import pytest
from tests.server.conftest import Home
from tests.server.support.webhooks import log

from bolti_server.base.ids import new_id
from bolti_server.world import World

EVENTS = "/workspaces/current/events"


async def test_pages_are_oldest_first_and_go_on_where_the_last_one_ended(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    ids = [await log(world, home) for _ in range(5)]
    first = (await client.get(EVENTS, params={"limit": 2})).json()
    assert [each["id"] for each in first["data"]] == ids[:2]
    second = (await client.get(EVENTS, params={"limit": 2, "after": first["next"]})).json()
    assert [each["id"] for each in second["data"]] == ids[2:4]
    third = (await client.get(EVENTS, params={"limit": 2, "after": second["next"]})).json()
    assert [each["id"] for each in third["data"]] == ids[4:]
    assert third["next"] is None
    again = (await client.get(EVENTS, params={"after": ids[4]})).json()
    assert again == {"data": [], "next": None}
    ids.append(await log(world, home))
    again = (await client.get(EVENTS, params={"after": ids[4]})).json()
    assert [each["id"] for each in again["data"]] == ids[5:]


async def test_an_event_is_shown_as_it_was_logged(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    subject = new_id("conv")
    await log(world, home, "conversation.started", subject)
    event_id = await log(world, home, "conversation.ended", subject, {"nested": {"a": [1, None]}})
    shown = (await client.get(EVENTS)).json()["data"][1]
    assert shown.pop("created_at").endswith("Z")
    assert shown == {
        "id": event_id,
        "type": "conversation.ended",
        "workspace_id": home.workspace_id,
        "sequence": 2,
        "simulated": True,
        "data": {"object": {"id": subject, "nested": {"a": [1, None]}}},
    }


async def test_types_and_conversation_filter(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    one, two = new_id("conv"), new_id("conv")
    started = await log(world, home, "conversation.started", one)
    turn = await log(world, home, "conversation.turn", one)
    other = await log(world, home, "conversation.started", two)

    async def ids(**query: object) -> list[str]:
        answer = await client.get(EVENTS, params=query)  # type: ignore[arg-type]
        return [each["id"] for each in answer.json()["data"]]

    assert await ids(type="conversation.started") == [started, other]
    assert await ids(type=["conversation.started", "conversation.turn"]) == [started, turn, other]
    assert await ids(conversation_id=one) == [started, turn]
    assert await ids(conversation_id=two, type="conversation.turn") == []
    assert await ids(type="conversation.started", after=started) == [other]


async def test_other_workspaces_events_are_not_there_and_are_no_place_to_start(
    world: World, home: Home, other_home: Home, client: httpx2.AsyncClient
) -> None:
    theirs = await log(world, other_home)
    assert (await client.get(EVENTS)).json() == {"data": [], "next": None}
    answer = await client.get(EVENTS, params={"after": theirs})
    assert answer.status_code == 400
    unknown = await client.get(EVENTS, params={"after": new_id("evt")})
    assert unknown.json()["errors"] == answer.json()["errors"]


@pytest.mark.parametrize(
    ("query", "headers", "pointer"),
    [
        ({"after": "evt_x"}, {}, "query:after"),
        ({"after": "no=cursor"}, {}, "query:after"),
        ({"type": "conversation.sneezed"}, {}, "query:type"),
        ({"conversation_id": "agent_x"}, {}, "query:conversation_id"),
        ({"limit": "0"}, {}, "query:limit"),
        ({}, {"Last-Event-ID": "17"}, "header:Last-Event-ID"),
        ({}, {"Last-Event-ID": new_id("evt")}, "header:Last-Event-ID"),
    ],
)
async def test_nonsense_is_refused_with_its_place(
    client: httpx2.AsyncClient, query: dict[str, str], headers: dict[str, str], pointer: str
) -> None:
    for accept in ("application/json", "text/event-stream"):
        answer = await client.get(EVENTS, params=query, headers={"Accept": accept, **headers})
        assert answer.status_code == 400, answer.text
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]
