"""Endpoints over HTTP: what can be made, changed, deleted, and what is refused."""

from __future__ import annotations

import httpx2
import pytest
from tests.server.conftest import Home, client_for
from tests.server.support.receivers import receiving
from tests.server.support.webhooks import ENDPOINTS, deliveries, endpoint, log, subscribe, work

from bolti_server.bootstrap.web import build_app
from bolti_server.world import World

URL = "https://hooks.example.com/bolti"


async def test_a_new_endpoint_shows_its_secret_once(
    world: World, client: httpx2.AsyncClient
) -> None:
    made = await subscribe(client, URL, ["conversation.ended", "credits.low"], description="Mine")
    assert made["secret"].startswith("whsec_")
    shown = await endpoint(client, made["id"])
    assert shown == {
        "id": made["id"],
        "url": URL,
        "description": "Mine",
        "event_types": ["conversation.ended", "credits.low"],
        "status": "enabled",
        "disabled_reason": None,
        "has_legacy_headers": False,
        "created_at": made["created_at"],
    }
    assert (await client.get(ENDPOINTS)).json() == {"data": [shown], "next": None}
    rows = await world.db.fetch("select * from webhook_endpoints")
    assert made["secret"].removeprefix("whsec_") not in repr([dict(row) for row in rows])


async def test_creating_with_a_key_twice_gives_one_endpoint_and_the_same_secret(
    client: httpx2.AsyncClient,
) -> None:
    body = {"url": URL, "event_types": ["conversation.ended"]}
    answers = [
        await client.post(ENDPOINTS, json=body, headers={"Idempotency-Key": "k1"}) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert answers[0].headers["Location"].endswith(answers[0].json()["id"])
    assert len((await client.get(ENDPOINTS)).json()["data"]) == 1


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"event_types": ["conversation.sneezed"]}, "/event_types/0"),
        ({"event_types": ["conversation.turn"]}, "/event_types/0"),
        ({"event_types": []}, "/event_types"),
        ({"event_types": ["test.ping", "test.ping"]}, "/event_types"),
        ({"url": "ftp://example.com/x"}, "/url"),
        ({"url": "https://user:word@example.com/x"}, "/url"),
        ({"url": "https://169.254.169.254/latest"}, "/url"),
        ({"url": "https://example.com:22/x"}, "/url"),
        ({"secret": "whsec_mine"}, ""),
    ],
)
async def test_what_can_not_be_subscribed_is_refused_with_the_field(
    client: httpx2.AsyncClient, fields: dict[str, object], pointer: str
) -> None:
    answer = await client.post(
        ENDPOINTS, json={"url": URL, "event_types": ["conversation.ended"], **fields}
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "validation_failed"
    assert pointer in [error["pointer"] for error in answer.json()["errors"]] or pointer == ""
    assert (await client.get(ENDPOINTS)).json()["data"] == []


async def test_plain_http_is_taken_with_a_warning(client: httpx2.AsyncClient) -> None:
    body = {"url": "http://hooks.example.com/x", "event_types": ["conversation.ended"]}
    answer = await client.post(ENDPOINTS, json=body)
    assert answer.status_code == 201
    assert "https://" in answer.headers["Warning"]
    made = await client.post(ENDPOINTS, json={**body, "url": URL})
    assert "Warning" not in made.headers


async def test_another_workspace_sees_nothing_of_an_endpoint(
    world: World, client: httpx2.AsyncClient, other_home: Home
) -> None:
    made = await subscribe(client, URL)
    path = f"{ENDPOINTS}/{made['id']}"
    async with client_for(build_app(world), other_home.api_key) as other:
        answers = [
            await other.get(path),
            await other.patch(path, json={"url": "https://evil.example.com"}),
            await other.patch(path, json={"nonsense": 1}),
            await other.delete(path),
            await other.post(f"{path}/test"),
            await other.get(f"{path}/deliveries"),
        ]
        assert (await other.get(ENDPOINTS)).json()["data"] == []
    assert {answer.status_code for answer in answers} == {404}
    assert (await endpoint(client, made["id"]))["url"] == URL


async def test_a_change_leaves_alone_what_it_does_not_name(client: httpx2.AsyncClient) -> None:
    made = await subscribe(client, URL, description="Mine")
    path = f"{ENDPOINTS}/{made['id']}"
    answer = await client.patch(path, json={"has_legacy_headers": True})
    assert answer.status_code == 200
    del made["secret"]
    assert answer.json() == {**made, "has_legacy_headers": True}
    answer = await client.patch(path, json={"url": "https://b.example.com/", "description": ""})
    assert (answer.json()["url"], answer.json()["description"]) == ("https://b.example.com/", "")
    answer = await client.patch(path, json={"url": "http://169.254.169.254/"})
    assert answer.status_code == 400
    answer = await client.patch(path, json={"status": "sleeping"})
    assert answer.status_code == 400


async def test_a_deleted_endpoint_is_gone_and_so_is_what_waited_for_it(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving() as stopped:
        made = await subscribe(client, stopped.url)
    await log(world, home)
    await work(world)
    path = f"{ENDPOINTS}/{made['id']}"
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404
    waiting = await world.db.fetchval(
        "select count(*) from webhook_deliveries where next_at is not null"
    )
    assert waiting == 0
    await log(world, home)
    await work(world)
    assert await world.db.fetchval("select count(*) from webhook_deliveries") == 1


async def test_endpoints_and_deliveries_come_in_pages_newest_first(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    made = [(await subscribe(client, URL))["id"] for _ in range(3)]
    first = (await client.get(ENDPOINTS, params={"limit": 2})).json()
    assert [each["id"] for each in first["data"]] == sorted(made, reverse=True)[:2]
    rest = (await client.get(ENDPOINTS, params={"limit": 2, "after": first["next"]})).json()
    assert [each["id"] for each in first["data"] + rest["data"]] == sorted(made, reverse=True)
    assert rest["next"] is None
    found = await client.get(f"{ENDPOINTS}/{made[0]}/deliveries", params={"status": "sleeping"})
    assert found.status_code == 400
    assert await deliveries(client, made[0], status="dead") == []
