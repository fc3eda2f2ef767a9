"""API keys: made once, shown once, never more than their maker may do, dead within a second of revocation."""

from __future__ import annotations

import time

import httpx2
from litestar import Litestar
from tests.server.conftest import Home, MoveTime, client_for
from tests.server.support.waiting import until

from bolti_server.world import World

KEYS = "/workspaces/current/api-keys"


async def made(client: httpx2.AsyncClient, **body: object) -> dict[str, object]:
    answer = await client.post(KEYS, json={"name": "A program", **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_a_new_key_works_and_shows_its_secret_only_once(
    app: Litestar, client: httpx2.AsyncClient
) -> None:
    key = await made(client)
    async with client_for(app, str(key["token"])) as other:
        assert (await other.get("/workspaces/current")).status_code == 200
    listed = (await client.get(KEYS)).json()["data"]
    assert listed[0]["id"] == key["id"]
    assert "token" not in listed[0]
    assert str(key["token"]) not in (await client.get(KEYS)).text


async def test_the_database_does_not_know_the_token(
    world: World, client: httpx2.AsyncClient
) -> None:
    key = await made(client)
    rows = await world.db.fetch("select k::text as row from api_keys k")
    assert not any(str(key["token"]) in row["row"] for row in rows)
    secret_part = str(key["token"]).removeprefix("bolti_sk_")[:30]
    assert not any(secret_part in row["row"] for row in rows)


async def test_a_key_made_again_with_the_same_idempotency_key_is_the_same(
    world: World, client: httpx2.AsyncClient
) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await client.post(KEYS, json={"name": "A program"}, headers=headers)
    again = await client.post(KEYS, json={"name": "A program"}, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    rows = await world.db.fetch("select r::text as row from idempotency_records r")
    assert len(rows) == 1
    assert first.json()["token"].encode().hex() not in rows[0]["row"], "the answer is stored sealed"


async def test_a_revoked_key_stops_within_a_second(
    app: Litestar, client: httpx2.AsyncClient
) -> None:
    key = await made(client)
    async with client_for(app, str(key["token"])) as other:
        assert (await other.get("/workspaces/current")).status_code == 200
        revoked = await client.delete(f"{KEYS}/{key['id']}")
        assert revoked.status_code == 204
        since = time.monotonic()

        async def refused() -> bool:
            return (await other.get("/workspaces/current")).status_code == 401

        await until(refused, seconds=1.0, what="the key's end")
        assert time.monotonic() - since <= 1.0


async def test_revoking_again_changes_nothing(client: httpx2.AsyncClient) -> None:
    key = await made(client)
    await client.delete(f"{KEYS}/{key['id']}")
    before = (await client.get(KEYS)).json()
    assert (await client.delete(f"{KEYS}/{key['id']}")).status_code == 204
    assert (await client.get(KEYS)).json()["data"][0]["revoked_at"] == before["data"][0][
        "revoked_at"
    ]


async def test_another_workspaces_key_can_not_be_revoked(
    app: Litestar, client: httpx2.AsyncClient, other_home: Home
) -> None:
    async with client_for(app, other_home.api_key) as other:
        theirs = (await other.get(KEYS)).json()["data"][0]["id"]
        answer = await client.delete(f"{KEYS}/{theirs}")
        missing = await client.delete(f"{KEYS}/key_01kavqm3t8e6zb2c4d5f7g9h0k")
        assert answer.status_code == missing.status_code == 404
        assert answer.json()["detail"] == missing.json()["detail"]
        assert (await other.get("/workspaces/current")).status_code == 200


async def test_an_expired_key_is_no_key(
    app: Litestar, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    key = await made(client, expires_at="2099-01-01T05:30:00+05:30")
    assert key["expires_at"] == "2099-01-01T00:00:00.000Z"
    async with client_for(app, str(key["token"])) as other:
        assert (await other.get("/workspaces/current")).status_code == 200
        await move_time(100 * 366 * 86_400)

        async def refused() -> bool:
            return (await other.get("/workspaces/current")).status_code == 401

        await until(refused, seconds=1.0, what="the key's end")


async def test_a_key_can_not_be_born_expired(client: httpx2.AsyncClient) -> None:
    for past in ("2020-01-01T00:00:00Z", "2016-12-31T23:59:60Z"):
        answer = await client.post(KEYS, json={"name": "Late", "expires_at": past})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "/expires_at"
    naive = await client.post(KEYS, json={"name": "Late", "expires_at": "2099-01-01T00:00:00"})
    assert naive.json()["errors"][0]["code"] == "invalid_format"
    assert len((await client.get(KEYS)).json()["data"]) == 1, "nothing was made"


async def test_a_key_gives_only_scopes_that_it_has(
    app: Litestar, client: httpx2.AsyncClient
) -> None:
    key = await made(client, scopes=["keys:write", "agents:read"])
    async with client_for(app, str(key["token"])) as other:
        beyond = await other.post(
            KEYS, json={"name": "More", "scopes": ["agents:read", "calls:write"]}
        )
        assert beyond.status_code == 403
        assert beyond.json()["code"] == "insufficient_scope"
        assert beyond.json()["errors"][0]["pointer"] == "/scopes/1"
        same = await other.post(KEYS, json={"name": "As I am"})
        assert sorted(same.json()["scopes"]) == ["agents:read", "keys:write"]


async def test_last_used_is_written_at_most_once_a_minute(
    app: Litestar, client: httpx2.AsyncClient, world: World, move_time: MoveTime
) -> None:
    key = await made(client)

    async def last_used() -> object:
        return await world.db.fetchval("select last_used_at from api_keys where id = $1", key["id"])

    async with client_for(app, str(key["token"])) as other:
        assert await last_used() is None
        await other.get("/workspaces/current")
        first = await last_used()
        assert first is not None
        async with client_for(app, str(key["token"])) as again:
            await again.get("/workspaces/current")
        assert await last_used() == first
        await move_time(61)

        async def moved_on() -> bool:
            await other.get("/workspaces/current")
            return await last_used() != first

        await until(moved_on, seconds=2.0, what="the note of the key's use")


async def test_keys_come_in_pages_newest_first(client: httpx2.AsyncClient) -> None:
    ids = [str((await made(client))["id"]) for _ in range(4)]
    first = (await client.get(KEYS, params={"limit": 2})).json()
    second = (await client.get(KEYS, params={"limit": 2, "after": first["next"]})).json()
    third = (await client.get(KEYS, params={"limit": 2, "after": second["next"]})).json()
    shown = [each["id"] for page in (first, second, third) for each in page["data"]]
    assert shown[:4] == ids[::-1]
    assert len(shown) == 5, "the key of the tests is the oldest"
    assert third["next"] is None
