"""Balance and ledger over HTTP."""

from __future__ import annotations

import httpx2
from tests.server.conftest import Home

from bolti_server.billing import ledger
from bolti_server.world import World

BILLING = "/workspaces/current/billing"


async def call(world: World, home: Home, reference: str, billed: int | None) -> None:
    async with world.db.transaction() as tx:
        await ledger.hold(
            tx,
            organization_id=home.organization_id,
            workspace_id=home.workspace_id,
            ledger="test",
            reference=reference,
            wanted_seconds=600,
        )
    async with world.db.transaction() as tx:
        if billed is not None:
            await ledger.settle(tx, home.workspace_id, reference, billed_seconds=billed)


async def test_the_balance_tells_what_there_is_and_what_is_held(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    await call(world, home, "conv_a", billed=42)
    await call(world, home, "conv_b", billed=None)
    answer = await client.get(f"{BILLING}/balance")
    assert answer.json() == {
        "ledger": "test",
        "balance_micros": 99_995_800_000,
        "held_micros": 60_000_000,
        "available_micros": 99_935_800_000,
        "currency": "INR",
        "rate": {
            "price_per_minute_micros": 6_000_000,
            "increment_seconds": 1,
            "minimum_seconds": 0,
        },
    }
    live = (await client.get(f"{BILLING}/balance", params={"ledger": "live"})).json()
    assert (live["ledger"], live["available_micros"]) == ("live", 300_000_000)
    answer = await client.get(f"{BILLING}/balance", params={"ledger": "other"})
    assert answer.status_code == 400


async def test_a_settlement_is_listed_with_its_entries(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    await call(world, home, "conv_a", billed=42)
    await call(world, home, "conv_b", billed=None)
    found = (await client.get(f"{BILLING}/ledger", params={"reference": "conv_a"})).json()
    assert {each["kind"] for each in found["data"]} == {"hold", "settle"}
    settled = next(each for each in found["data"] if each["kind"] == "settle")
    assert settled["id"].startswith("txn_")
    assert {name: settled[name] for name in settled if name not in ("id", "created_at")} == {
        "kind": "settle",
        "reference": "conv_a",
        "description": "Call of 42 s",
        "available_change_micros": 55_800_000,
        "held_change_micros": -60_000_000,
        "entries": [
            {"account": "held", "amount_micros": -60_000_000},
            {"account": "spent", "amount_micros": 4_200_000},
            {"account": "available", "amount_micros": 55_800_000},
        ],
    }


async def test_the_pages_of_the_ledger_add_up_to_the_balance(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    for n in range(7):
        await call(world, home, f"conv_{n}", billed=n * 10 if n % 2 else None)
    available = held = 0
    ids: list[str] = []
    query: dict[str, str | int] = {"limit": 4}
    while True:
        page = (await client.get(f"{BILLING}/ledger", params=query)).json()
        assert len(page["data"]) <= 4
        ids += [each["id"] for each in page["data"]]
        available += sum(each["available_change_micros"] for each in page["data"])
        held += sum(each["held_change_micros"] for each in page["data"])
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 11
    balance = (await client.get(f"{BILLING}/balance")).json()
    assert (balance["available_micros"], balance["held_micros"]) == (available, held)


async def test_another_organizations_money_is_not_to_be_seen(
    world: World, home: Home, other_home: Home, client: httpx2.AsyncClient
) -> None:
    await call(world, other_home, "conv_other", billed=60)
    found = (await client.get(f"{BILLING}/ledger")).json()["data"]
    assert [each["kind"] for each in found] == ["top_up"]
    path = f"/workspaces/{other_home.workspace_id}/billing/balance"
    assert (await client.get(path)).status_code == 404
