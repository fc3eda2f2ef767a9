"""What is paid at once is paid in full or not at all, and once for each reference."""

from __future__ import annotations

import asyncio

import pytest
from tests.server.conftest import Home
from tests.server.support.calls_public import set_balance
from tests.server.support.invariants import broken_invariants
from tests.server.support.money import balances

from bolti_server.base.errors import Refusal
from bolti_server.billing import ledger
from bolti_server.world import World


async def buy(
    world: World, home: Home, amount_micros: int, reference: str = "thing_1"
) -> Refusal | None:
    async with world.db.transaction() as tx:
        return await ledger.purchase(
            tx,
            organization_id=home.organization_id,
            workspace_id=home.workspace_id,
            ledger="test",
            reference=reference,
            amount_micros=amount_micros,
            description="A thing",
        )


async def test_a_purchase_moves_from_available_to_spent(world: World, home: Home) -> None:
    before = await balances(world, home.organization_id)
    assert await buy(world, home, 7) is None
    after = await balances(world, home.organization_id)
    assert after["available"] == before["available"] - 7
    assert after["spent"] == before["spent"] + 7
    assert after["held"] == before["held"]


async def test_repeating_it_changes_nothing(world: World, home: Home) -> None:
    for _ in range(3):
        assert await buy(world, home, 7) is None
    assert (await balances(world, home.organization_id))["spent"] == 7


async def test_fifty_at_once_pay_once(world: World, home: Home) -> None:
    done = await asyncio.gather(*(buy(world, home, 7) for _ in range(50)))
    assert set(done) == {None}
    assert (await balances(world, home.organization_id))["spent"] == 7


async def test_the_reference_of_another_amount_is_a_defect(world: World, home: Home) -> None:
    await buy(world, home, 7)
    with pytest.raises(ValueError, match="another purchase"):
        await buy(world, home, 8)


async def test_one_micro_too_little_is_too_little(world: World, home: Home) -> None:
    await set_balance(world, home.organization_id, "test", 6)
    refusal = await buy(world, home, 7)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (402, "payment_required")
    assert (refusal.extras["balance_micros"], refusal.extras["required_micros"]) == (6, 7)
    assert await buy(world, home, 6) is None
    assert (await balances(world, home.organization_id))["available"] == 0


async def test_what_costs_nothing_is_bought_too(world: World, home: Home) -> None:
    await set_balance(world, home.organization_id, "test", 0)
    assert await buy(world, home, 0) is None


async def test_the_invariant_sees_a_purchase_without_its_money(
    world: World, home: Home, database_url: str
) -> None:
    await buy(world, home, 7)
    async with world.db.transaction() as tx:
        await tx.execute("update ledger_purchases set amount_micros = 8")
    broken = await broken_invariants(database_url)
    assert [each for each in broken if "a purchase has its transaction of its amount" in each]
    assert [each for each in broken if "what is spent is the sum" in each]
    async with world.db.transaction() as tx:
        await tx.execute("update ledger_purchases set amount_micros = 7")
