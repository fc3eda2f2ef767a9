"""POST …/web-call: a browser's call, its token, everything that speaks against it, and from which pages it may be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import attrs
import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, client_for
from tests.server.support.calls_public import (
    Desk,
    faults,
    make_desk,
    set_balance,
    set_limit,
    traces,
)
from tests.server.support.media import FakeMedia

from bolti_server.bootstrap.web import build_app
from bolti_server.world import World

UNKNOWN_AGENT = "agent_01kavqm3t8e6zb2c4d5f7g9h1a"
MEDIA_URL = "https://livekit.bolti.test"


@pytest.fixture
def media() -> FakeMedia:
    return FakeMedia()


@pytest.fixture
def roomy(world: World, media: FakeMedia) -> World:
    """The world with a media server."""
    settings = world.settings.model_copy(update={"livekit_url": MEDIA_URL})
    return attrs.evolve(world, media=media, settings=settings)


@pytest.fixture
def app(roomy: World) -> Litestar:
    return build_app(roomy)


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


def path_of(agent_id: str) -> str:
    return f"/workspaces/current/agents/{agent_id}/web-call"


async def started(desk: Desk, **body: Any) -> dict[str, Any]:
    answer = await desk.client.post(path_of(desk.agent_id), json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def record_of(desk: Desk, conversation_id: str) -> dict[str, Any]:
    answer = await desk.client.get(f"/workspaces/current/conversations/{conversation_id}")
    found: dict[str, Any] = answer.json()
    return found


async def test_a_web_call_is_a_conversation_that_waits_for_its_browser(
    desk: Desk, media: FakeMedia, world: World
) -> None:
    call = await started(desk)
    record = await record_of(desk, call["conversation_id"])
    told = {name: record[name] for name in ("direction", "line", "status", "simulated")}
    assert told == {"direction": "web", "line": "browser", "status": "queued", "simulated": False}
    assert (record["from_number"], record["to_number"]) == (None, None)
    assert call["server_url"] == "wss://livekit.bolti.test"
    assert media.tokens == [(call["conversation_id"], "Browser", 60)]
    assert call["token"] == f"token-for-{call['conversation_id']}"
    in_60_s = datetime.fromisoformat(call["expires_at"]) - world.clock.now()
    assert 50 < in_60_s.total_seconds() <= 60
    room = await world.db.fetchval(
        "select room_name from conversations where id = $1", call["conversation_id"]
    )
    assert room == call["conversation_id"]


async def test_its_location_is_its_record(desk: Desk) -> None:
    answer = await desk.client.post(path_of(desk.agent_id))
    location = answer.headers["location"]
    assert location.endswith(answer.json()["conversation_id"])
    assert (await desk.client.get(location)).status_code == 200


async def test_browsers_are_sent_where_they_find_the_media_server(
    world: World, media: FakeMedia, desk: Desk, home: Home
) -> None:
    """Inside a compose network the server's own address of it is none for a browser."""
    update = {"livekit_url": "ws://livekit:7880", "livekit_public_url": "wss://media.example.com"}
    settings = world.settings.model_copy(update=update)
    app = build_app(attrs.evolve(world, media=media, settings=settings))
    async with client_for(app, home.api_key) as client:
        answer = await client.post(path_of(desk.agent_id))
    assert answer.json()["server_url"] == "wss://media.example.com"


async def test_it_is_free_and_needs_no_credit(desk: Desk, world: World, home: Home) -> None:
    await set_balance(world, home.organization_id, "live", 0)
    before = await traces(world)
    await started(desk)
    after = await traces(world)
    assert after["conversations"] == before["conversations"] + 1
    assert after["ledger_holds"] == before["ledger_holds"]


async def test_a_visitor_may_shorten_the_call_and_never_lengthen_it(desk: Desk) -> None:
    for asked, got in ((None, 600), (30, 30), (14_400, 600)):
        body = {} if asked is None else {"max_duration_seconds": asked}
        call = await started(desk, **body)
        assert (await record_of(desk, call["conversation_id"]))["max_duration_seconds"] == got


async def test_the_same_request_twice_is_one_call(desk: Desk, world: World) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await desk.client.post(path_of(desk.agent_id), json={}, headers=headers)
    again = await desk.client.post(path_of(desk.agent_id), json={}, headers=headers)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert (await traces(world))["conversations"] == 1
    stored = await world.db.fetchval("select body from idempotency_records")
    assert first.json()["token"].encode() not in stored, "the token lies there sealed"


async def test_without_a_media_server_it_is_refused(world: World, desk: Desk, home: Home) -> None:
    async with client_for(build_app(world), home.api_key) as client:
        answer = await client.post(path_of(desk.agent_id))
    assert (answer.status_code, answer.json()["code"]) == (409, "media_server_missing")
    assert "LIVEKIT_URL" in answer.json()["detail"]


@pytest.fixture
async def refusing(world: World, desk: Desk) -> AsyncIterator[Desk]:
    """After the test nothing was made."""
    before = await traces(world)
    yield desk
    assert await traces(world) == before, "a refused request left something behind"


async def test_an_unknown_agent_is_not_found(refusing: Desk) -> None:
    answer = await refusing.client.post(path_of(UNKNOWN_AGENT), json={"colour": "red"})
    assert answer.status_code == 404
    assert ("/colour", "unknown_field") in faults(answer)


async def test_everything_that_is_wrong_is_told_at_once(
    world: World, client: httpx2.AsyncClient, home: Home
) -> None:
    named = await make_desk(
        world, client, home.workspace_id, first_message="Hi {{ name }} of {{ town }}."
    )
    await set_limit(world, home.workspace_id, 1)
    await started(named, variable_values={"name": "Priya", "town": "Pune"})
    agent = f"/workspaces/current/agents/{named.agent_id}"
    await client.patch(agent, json={"is_active": False})
    before = await traces(world)
    answer = await client.post(path_of(named.agent_id), json={"variable_values": {"name": "P"}})
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_variables")
    assert answer.json()["missing"] == ["town"]
    codes = {code for _, code in faults(answer)}
    assert codes == {"missing_variable", "agent_inactive", "concurrency_limit_reached"}
    assert await traces(world) == before


async def test_it_takes_a_place_like_any_call(desk: Desk, world: World, home: Home) -> None:
    await set_limit(world, home.workspace_id, 2)
    await started(desk)
    await desk.placed()
    answer = await desk.client.post(path_of(desk.agent_id))
    assert (answer.status_code, answer.json()["code"]) == (429, "concurrency_limit_reached")
    assert answer.headers["retry-after"]
    assert (await desk.call("+12025550101")).status_code == 429


async def test_a_key_that_places_calls_only_starts_none_in_a_browser(
    app: Litestar, desk: Desk
) -> None:
    made = await desk.client.post(
        "/workspaces/current/api-keys", json={"name": "dialer", "scopes": ["calls:write"]}
    )
    async with client_for(app, made.json()["token"]) as dialer:
        answer = await dialer.post(path_of(desk.agent_id))
    assert (answer.status_code, answer.json()["required_scope"]) == (403, "web_calls:write")


async def test_a_call_whose_browser_never_came_ends_and_costs_nothing(desk: Desk) -> None:
    """The end's whole transaction, with its money and events, holds for a call without a hold."""
    call = await started(desk)
    ended = await desk.client.post(
        f"/workspaces/current/conversations/{call['conversation_id']}/end", json={}
    )
    assert ended.json()["hangup"]["code"] == "cancelled_by_user"
    assert ended.json()["cost"] is None
