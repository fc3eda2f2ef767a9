"""The same request twice has one effect and one answer."""

from __future__ import annotations

import asyncio

import asyncpg
import httpx2
from litestar import Litestar
from tests.server.conftest import Home, MoveTime, client_for

from bolti_server.web import queries
from bolti_server.web.expiring import expiry_job
from bolti_server.world import World

KEYS = "/workspaces/current/api-keys"
DAYS = 86_400


async def make(client: httpx2.AsyncClient, key: str, name: str = "A program") -> httpx2.Response:
    return await client.post(KEYS, json={"name": name}, headers={"Idempotency-Key": key})


async def count(world: World) -> int:
    found: int = await world.db.fetchval("select count(*) from api_keys where name <> 'tests'")
    return found


async def test_a_repeated_request_gets_the_first_answer_again(
    client: httpx2.AsyncClient, world: World
) -> None:
    first = await make(client, "k1")
    again = await make(client, "k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["request-id"] != first.headers["request-id"]
    assert await count(world) == 1


async def test_a_replayed_answer_names_what_was_deleted_since_and_makes_nothing_new(
    client: httpx2.AsyncClient,
) -> None:
    path = "/workspaces/current/webhook-endpoints"
    body = {"url": "https://example.com/bolti", "event_types": ["test.ping"]}
    first = await client.post(path, json=body, headers={"Idempotency-Key": "k1"})
    gone = f"{path}/{first.json()['id']}"
    assert (await client.delete(gone)).status_code == 204
    again = await client.post(path, json=body, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (await client.get(gone)).status_code == 404
    assert (await client.get(path)).json()["data"] == []


async def test_without_a_key_each_request_counts(client: httpx2.AsyncClient, world: World) -> None:
    for _ in range(2):
        await client.post(KEYS, json={"name": "A program"})
    assert await count(world) == 2


async def test_the_same_key_with_another_body_is_a_mismatch(
    client: httpx2.AsyncClient, world: World
) -> None:
    await make(client, "k1")
    answer = await make(client, "k1", name="Another")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert await count(world) == 1


async def test_v1_and_current_are_the_same_request(
    client: httpx2.AsyncClient, home: Home, world: World
) -> None:
    await make(client, "k1")
    for prefix in ("/v1/workspaces/current", f"/workspaces/{home.workspace_id}"):
        again = await client.post(
            f"{prefix}/api-keys", json={"name": "A program"}, headers={"Idempotency-Key": "k1"}
        )
        assert again.headers["idempotency-replayed"] == "true"
    assert await count(world) == 1


async def test_a_key_counts_per_workspace_and_operation(
    app: Litestar, client: httpx2.AsyncClient, other_home: Home, world: World
) -> None:
    async with client_for(app, other_home.api_key) as other:
        first, theirs = await make(client, "k1"), await make(other, "k1")
    assert first.json()["id"] != theirs.json()["id"]
    assert "idempotency-replayed" not in theirs.headers
    assert await count(world) == 2


async def test_a_refusal_gives_the_key_back(client: httpx2.AsyncClient, world: World) -> None:
    late = await client.post(
        KEYS,
        json={"name": "Late", "expires_at": "2020-01-01T00:00:00Z"},
        headers={"Idempotency-Key": "k1"},
    )
    assert late.status_code == 400
    assert (await make(client, "k1")).status_code == 201
    assert await count(world) == 1


async def test_fifty_at_once_have_one_effect(client: httpx2.AsyncClient, world: World) -> None:
    answers = await asyncio.gather(*(make(client, "k1") for _ in range(50)))
    done = [each for each in answers if each.status_code == 201]
    assert all(each.status_code in (201, 409) for each in answers)
    assert len({each.content for each in done}) == 1
    assert sum("idempotency-replayed" not in each.headers for each in done) == 1
    assert await count(world) == 1


async def test_while_the_first_runs_longer_than_the_wait_the_second_is_told_to_come_again(
    client: httpx2.AsyncClient, home: Home, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        running = connection.transaction()
        await running.start()
        await connection.execute(
            """insert into idempotency_records
                   (workspace_id, operation_id, idempotency_key, fingerprint, expires_at)
               values ($1, 'createApiKey', 'k1', '\\x00', bolti_now() + interval '7 days')""",
            home.workspace_id,
        )
        answer = await make(client, "k1")
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
        assert answer.headers["retry-after"] == "1"
        await running.rollback()
    finally:
        await connection.close()
    assert (await make(client, "k1")).status_code == 201, "the first was rolled back"


async def test_the_wait_for_the_key_does_not_shorten_other_waits_of_the_transaction(
    world: World, home: Home
) -> None:
    async with world.db.transaction() as tx:
        claimed = await queries.claim(
            tx, home.workspace_id, "x", "k1", fingerprint=b"1", keep_seconds=60, wait_ms=2000
        )
        assert claimed
        assert await tx.fetchval("show lock_timeout") == "0"
        await tx.execute("delete from idempotency_records")


async def test_after_seven_days_the_key_is_free_again(
    app: Litestar, client: httpx2.AsyncClient, world: World, move_time: MoveTime
) -> None:
    first = await make(client, "k1")
    await move_time(7 * DAYS - 60)
    assert (await make(client, "k1")).json() == first.json()
    await move_time(120)
    anew = await make(client, "k1")
    assert anew.status_code == 201
    assert anew.json()["id"] != first.json()["id"]
    assert await count(world) == 2


async def test_expired_records_are_deleted_and_others_kept(
    client: httpx2.AsyncClient, world: World, move_time: MoveTime
) -> None:
    await make(client, "old")
    await move_time(6 * DAYS)
    await make(client, "young")
    await move_time(2 * DAYS)
    assert await expiry_job(world).run_batch() == 1
    assert await expiry_job(world).run_batch() == 0
    left = await world.db.fetch("select idempotency_key from idempotency_records")
    assert [row["idempotency_key"] for row in left] == ["young"]
