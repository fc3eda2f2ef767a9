"""Listing, reading and ending conversations over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, MoveTime, client_for
from tests.server.support.calls_public import Desk, answer_call, end_call, make_desk

from bolti_server.base.clock import rfc3339
from bolti_server.base.ids import new_id
from bolti_server.calls.lifecycle import HangupCode
from bolti_server.world import World

PATH = "/workspaces/current/conversations"


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


async def listed(client: httpx2.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


async def test_conversations_are_listed_newest_first_page_by_page(desk: Desk) -> None:
    placed = [await desk.placed(f"+120255501{index:02d}") for index in range(5)]
    newest_first = placed[::-1]
    assert await listed(desk.client) == newest_first
    first = (await desk.client.get(PATH, params={"limit": 2})).json()
    assert [each["id"] for each in first["data"]] == newest_first[:2]
    second = (await desk.client.get(PATH, params={"limit": 2, "after": first["next"]})).json()
    assert [each["id"] for each in second["data"]] == newest_first[2:4]
    third = (await desk.client.get(PATH, params={"limit": 2, "after": second["next"]})).json()
    assert [each["id"] for each in third["data"]] == newest_first[4:]
    assert third["next"] is None


async def test_an_empty_list_is_a_page(client: httpx2.AsyncClient) -> None:
    assert (await client.get(PATH)).json() == {"data": [], "next": None}


async def test_every_filter_narrows_the_list(
    desk: Desk, world: World, client: httpx2.AsyncClient, home: Home, move_time: MoveTime
) -> None:
    other = await make_desk(world, client, home.workspace_id, from_number="+12025550198")
    early = await desk.placed("+12025550101")
    await end_call(world, home.workspace_id, early, HangupCode.AGENT_UNAVAILABLE)
    await move_time(3600)
    between = rfc3339(await world.db.fetchval("select bolti_now()") - timedelta(minutes=30))
    talking = await other.placed("+12025550102")
    await answer_call(world, talking)
    waiting = await desk.placed("+12025550103")
    everything = {early, talking, waiting}
    for query, expected in (
        ({}, everything),
        ({"status": "failed"}, {early}),
        ({"status": ["failed", "in_progress"]}, {early, talking}),
        ({"direction": "outbound"}, everything),
        ({"direction": "inbound"}, set()),
        ({"agent_id": other.agent_id}, {talking}),
        ({"to_number": "+12025550103"}, {waiting}),
        ({"from_number": "+12025550198"}, {talking}),
        ({"simulated": "true"}, everything),
        ({"simulated": "false"}, set()),
        ({"hangup_code": "agent_unavailable"}, {early}),
        ({"created_after": between}, {talking, waiting}),
        ({"created_before": between}, {early}),
        ({"created_before": between, "status": "queued"}, set()),
        ({"agent_id": desk.agent_id, "created_after": between}, {waiting}),
    ):
        assert set(await listed(client, **query)) == expected, query


async def test_an_instant_in_another_zone_is_the_same_filter(desk: Desk) -> None:
    placed = await desk.placed()
    assert await listed(desk.client, created_after="2020-01-01T05:30:00+05:30") == [placed]
    assert await listed(desk.client, created_before="2020-01-01T05:30:00+05:30") == []


@pytest.mark.parametrize(
    "query",
    [
        {"status": "asleep"},
        {"direction": "sideways"},
        {"agent_id": "x"},
        {"to_number": "12025550100"},
        {"simulated": "perhaps"},
        {"hangup_code": "boredom"},
        {"created_after": "2026-11-25T09:30:00"},
        {"created_after": "2016-12-31T23:59:60Z"},
        {"created_before": "yesterday"},
        {"limit": "0"},
        {"limit": "101"},
        {"after": "conv_x"},
        {"colour": "green"},
    ],
)
async def test_a_filter_that_can_not_be_is_named(
    client: httpx2.AsyncClient, query: dict[str, str]
) -> None:
    answer = await client.get(PATH, params=query)
    assert answer.status_code == 400, answer.text
    [name] = query
    assert [each["pointer"] for each in answer.json()["errors"]] == [f"query:{name}"]


@pytest.mark.parametrize("part", ["", "/transcript", "/recording"])
async def test_what_does_not_exist_is_not_found(client: httpx2.AsyncClient, part: str) -> None:
    for conversation_id in (new_id("conv"), "conv_1"):
        answer = await client.get(f"{PATH}/{conversation_id}{part}")
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"


async def test_another_workspaces_conversation_does_not_exist(
    desk: Desk, app: Litestar, other_home: Home
) -> None:
    conversation_id = await desk.placed()
    unknown_id = new_id("conv")
    async with client_for(app, other_home.api_key) as stranger:
        assert await listed(stranger) == []
        for part in ("", "/transcript", "/recording"):
            known = await stranger.get(f"{PATH}/{conversation_id}{part}")
            unknown = await stranger.get(f"{PATH}/{unknown_id}{part}")
            assert known.status_code == unknown.status_code == 404
            assert without_names(known) == without_names(unknown)
        ended = await stranger.post(f"{PATH}/{conversation_id}/end", json={})
        assert ended.status_code == 404
    assert (await desk.conversation(conversation_id))["status"] == "queued"


def without_names(answer: httpx2.Response) -> dict[str, Any]:
    hidden = ("instance", "request_id")
    return {name: value for name, value in answer.json().items() if name not in hidden}


async def test_ending_a_queued_call_cancels_it_and_gives_the_money_back(
    desk: Desk, world: World
) -> None:
    conversation_id = await desk.placed()
    answer = await desk.client.post(f"{PATH}/{conversation_id}/end", json={})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["hangup"]["code"] == "cancelled_by_user"
    resolution = await world.db.fetchval(
        "select resolution from ledger_holds where reference = $1", conversation_id
    )
    assert resolution == "released"


async def test_a_call_is_ended_without_a_body_too(desk: Desk) -> None:
    conversation_id = await desk.placed()
    answer = await desk.client.post(f"{PATH}/{conversation_id}/end")
    assert answer.status_code == 202, answer.text
    assert answer.json()["hangup"]["code"] == "cancelled_by_user"


async def test_ending_a_live_call_tells_its_worker(desk: Desk, world: World) -> None:
    conversation_id = await desk.placed()
    await answer_call(world, conversation_id)
    answer = await desk.client.post(f"{PATH}/{conversation_id}/end", json={"say": "Goodbye."})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "in_progress"
    command = await world.db.fetchrow(
        "select type, body ->> 'text' as text from conversation_commands where conversation_id = $1",
        conversation_id,
    )
    assert command is not None
    assert (command["type"], command["text"]) == ("say_then_end", "Goodbye.")


async def test_ending_a_call_that_is_over_changes_nothing(desk: Desk) -> None:
    conversation_id = await desk.placed()
    first = await desk.client.post(f"{PATH}/{conversation_id}/end", json={})
    again = await desk.client.post(f"{PATH}/{conversation_id}/end", json={})
    assert again.status_code == 202
    assert again.json() == first.json()


async def test_a_bad_body_ends_nothing_and_an_unknown_call_comes_first(desk: Desk) -> None:
    conversation_id = await desk.placed()
    answer = await desk.client.post(f"{PATH}/{conversation_id}/end", json={"say": ""})
    assert answer.status_code == 400
    assert (await desk.conversation(conversation_id))["status"] == "queued"
    answer = await desk.client.post(f"{PATH}/{new_id('conv')}/end", json={"say": ""})
    assert answer.status_code == 404
    assert {each["pointer"] for each in answer.json()["errors"]} >= {"/say"}
