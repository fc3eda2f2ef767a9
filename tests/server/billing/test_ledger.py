"""Hold, settle, release, top up: what each moves, and that repeating moves nothing. Invariants run after every test."""

from __future__ import annotations

import asyncpg
import pytest
from tests.server.conftest import Home
from tests.server.support.money import balances, logged, set_rate

from bolti_server.base.errors import Refusal
from bolti_server.base.ids import new_id
from bolti_server.billing import ledger
from bolti_server.billing.ledger import Hold
from bolti_server.billing.pricing import Rate
from bolti_server.world import World

MINUTE = 6_000_000
TEST_GRANT = 100_000_000_000


async def hold(world: World, home: Home, reference: str, wanted: int = 600) -> Hold | Refusal:
    async with world.db.transaction() as tx:
        return await ledger.hold(
            tx,
            organization_id=home.organization_id,
            workspace_id=home.workspace_id,
            ledger="test",
            reference=reference,
            wanted_seconds=wanted,
        )


async def settle(world: World, home: Home, reference: str, billed: int) -> ledger.Settled:
    async with world.db.transaction() as tx:
        return await ledger.settle(tx, home.workspace_id, reference, billed_seconds=billed)


async def release(world: World, home: Home, reference: str) -> None:
    async with world.db.transaction() as tx:
        await ledger.release(tx, home.workspace_id, reference)


async def leave(world: World, home: Home, micros: int) -> None:
    """Uses up all of the test ledger but `micros`."""
    available = (await balances(world, home.organization_id))["available"]
    await set_rate(world, home.organization_id, price_per_minute_micros=available - micros)
    used = await hold(world, home, new_id("conv"), wanted=60)
    assert isinstance(used, Hold)
    await settle(world, home, used.reference, 60)
    await set_rate(world, home.organization_id, price_per_minute_micros=MINUTE)


async def test_a_hold_sets_aside_the_price_of_the_cap(world: World, home: Home) -> None:
    made = await hold(world, home, "conv_a", wanted=600)
    assert made == Hold("conv_a", 10 * MINUTE, 600, False, Rate())
    assert await balances(world, home.organization_id) == {
        "available": TEST_GRANT - 10 * MINUTE,
        "held": 10 * MINUTE,
        "spent": 0,
        "funding": -TEST_GRANT,
    }
    assert (await balances(world, home.organization_id, "live"))["held"] == 0


async def test_settling_charges_the_billed_seconds_and_gives_back_the_rest(
    world: World, home: Home
) -> None:
    await hold(world, home, "conv_a")
    assert await settle(world, home, "conv_a", 42) == ledger.Settled(4_200_000, "INR")
    assert await balances(world, home.organization_id) == {
        "available": TEST_GRANT - 4_200_000,
        "held": 0,
        "spent": 4_200_000,
        "funding": -TEST_GRANT,
    }


async def test_settling_never_charges_more_than_was_held(world: World, home: Home) -> None:
    await hold(world, home, "conv_a", wanted=60)
    assert (await settle(world, home, "conv_a", 75)).amount_micros == MINUTE


async def test_settling_uses_the_rate_of_the_hold_not_of_today(world: World, home: Home) -> None:
    await hold(world, home, "conv_a")
    await set_rate(world, home.organization_id, price_per_minute_micros=60_000_000)
    assert (await settle(world, home, "conv_a", 60)).amount_micros == MINUTE


async def test_a_release_gives_everything_back(world: World, home: Home) -> None:
    await hold(world, home, "conv_a")
    await release(world, home, "conv_a")
    after = await balances(world, home.organization_id)
    assert (after["available"], after["held"], after["spent"]) == (TEST_GRANT, 0, 0)


async def test_repeating_changes_nothing(world: World, home: Home) -> None:
    first = await hold(world, home, "conv_a", wanted=120)
    assert await hold(world, home, "conv_a", wanted=600) == first
    assert (await balances(world, home.organization_id))["held"] == 2 * MINUTE
    settled = await settle(world, home, "conv_a", 30)
    after = await balances(world, home.organization_id)
    assert await settle(world, home, "conv_a", 90) == settled
    await release(world, home, "conv_a")
    assert await hold(world, home, "conv_a", wanted=600) == first
    assert await balances(world, home.organization_id) == after
    count = await world.db.fetchval(
        "select count(*) from ledger_transactions where reference = 'conv_a'"
    )
    assert count == 2


async def test_what_was_released_is_not_settled_afterwards(world: World, home: Home) -> None:
    await hold(world, home, "conv_a")
    await release(world, home, "conv_a")
    await release(world, home, "conv_a")
    assert await settle(world, home, "conv_a", 60) == ledger.Settled(0, "INR")


async def test_without_a_hold_a_release_does_nothing_and_a_settlement_is_an_error(
    world: World, home: Home
) -> None:
    await release(world, home, "conv_unknown")
    with pytest.raises(ledger.NoHold):
        await settle(world, home, "conv_unknown", 60)


async def test_another_workspace_can_not_resolve_a_hold(
    world: World, home: Home, other_home: Home
) -> None:
    await hold(world, home, "conv_a")
    await release(world, other_home, "conv_a")
    with pytest.raises(ledger.NoHold):
        await settle(world, other_home, "conv_a", 60)
    async with world.db.transaction() as tx:
        assert await ledger.has_open_hold(tx, home.workspace_id, "conv_a")
        assert not await ledger.has_open_hold(tx, other_home.workspace_id, "conv_a")


async def test_a_rolled_back_transaction_leaves_no_trace(world: World, home: Home) -> None:
    before = await balances(world, home.organization_id)

    async def hold_and_fail() -> None:
        async with world.db.transaction() as tx:
            await ledger.hold(
                tx,
                organization_id=home.organization_id,
                workspace_id=home.workspace_id,
                ledger="test",
                reference="conv_a",
                wanted_seconds=60,
            )
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await hold_and_fail()
    assert await balances(world, home.organization_id) == before
    assert isinstance(await hold(world, home, "conv_a"), Hold)


async def test_a_low_balance_shortens_the_call_to_what_it_covers(world: World, home: Home) -> None:
    await leave(world, home, 9_000_050)
    made = await hold(world, home, "conv_a", wanted=600)
    assert made == Hold("conv_a", 9_000_000, 90, True, Rate())
    assert (await balances(world, home.organization_id))["available"] == 50


async def test_less_than_a_minute_is_refused_with_what_is_missing(world: World, home: Home) -> None:
    await leave(world, home, 1_500_000)
    refusal = await hold(world, home, "conv_a", wanted=600)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (402, "payment_required")
    assert refusal.extras == {
        "balance_micros": 1_500_000,
        "required_micros": MINUTE,
        "currency": "INR",
        "top_up_url": ledger.TOP_UP_URL,
    }
    assert "covers 15 s" in refusal.detail
    async with world.db.transaction() as tx:
        assert not await ledger.has_open_hold(tx, home.workspace_id, "conv_a")


async def test_a_shorter_wish_needs_no_whole_minute(world: World, home: Home) -> None:
    await leave(world, home, 2_000_000)
    made = await hold(world, home, "conv_a", wanted=20)
    assert isinstance(made, Hold)
    assert (made.covered_seconds, made.is_shortened) == (20, False)
    assert isinstance(await hold(world, home, "conv_b", wanted=1), Refusal)


async def test_after_a_top_up_the_refused_hold_works(world: World, home: Home) -> None:
    await leave(world, home, 0)
    assert isinstance(await hold(world, home, "conv_a"), Refusal)
    for _ in range(2):
        async with world.db.transaction() as tx:
            await ledger.top_up(
                tx, home.organization_id, "test", 10 * MINUTE, "invoice-1", "Paid by card"
            )
    assert (await balances(world, home.organization_id))["available"] == 10 * MINUTE
    assert isinstance(await hold(world, home, "conv_a"), Hold)


async def test_a_top_up_reference_stands_for_one_top_up(
    world: World, home: Home, other_home: Home
) -> None:
    async with world.db.transaction() as tx:
        await ledger.top_up(tx, home.organization_id, "test", MINUTE, "invoice-1", "")
        for organization_id, name, amount in (
            (other_home.organization_id, "test", MINUTE),
            (home.organization_id, "live", MINUTE),
            (home.organization_id, "test", 2 * MINUTE),
        ):
            with pytest.raises(ValueError, match="another top-up"):
                await ledger.top_up(tx, organization_id, name, amount, "invoice-1", "")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="adds something"):
            await ledger.top_up(tx, home.organization_id, "test", 0, "invoice-2", "")


async def test_opening_ledgers_again_changes_nothing(world: World, home: Home) -> None:
    before = await balances(world, home.organization_id, "live")
    async with world.db.transaction() as tx:
        await ledger.open_ledgers(tx, home.organization_id, live_grant_micros=300_000_000)
    assert await balances(world, home.organization_id, "live") == before


async def test_a_free_rate_holds_nothing_and_covers_everything(world: World, home: Home) -> None:
    await leave(world, home, 0)
    await set_rate(world, home.organization_id, price_per_minute_micros=0)
    made = await hold(world, home, "conv_a", wanted=600)
    assert isinstance(made, Hold)
    assert (made.amount_micros, made.covered_seconds) == (0, 600)
    assert (await settle(world, home, "conv_a", 600)).amount_micros == 0


async def test_the_database_itself_refuses_an_overdraft(world: World, home: Home) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        async with world.db.transaction() as tx:
            await tx.execute("update ledger_accounts set balance_micros = -1 where kind = 'held'")


async def test_credits_low_is_told_once_for_each_fall_of_the_balance_under_ten_minutes(
    world: World, home: Home
) -> None:
    await leave(world, home, 11 * MINUTE)
    for name in ("conv_a", "conv_b", "conv_c"):
        await hold(world, home, name, wanted=120)
    await release(world, home, "conv_a")
    await settle(world, home, "conv_b", 60)
    assert not await logged(world, home.workspace_id, "credits.low")  # 10 minutes are left
    await settle(world, home, "conv_c", 6)
    told = await logged(world, home.workspace_id, "credits.low")
    assert told == [
        {
            "ledger": "test",
            "balance_micros": 10 * MINUTE - MINUTE // 10,
            "held_micros": 0,
            "available_micros": 10 * MINUTE - MINUTE // 10,
            "currency": "INR",
            "rate": {
                "price_per_minute_micros": MINUTE,
                "increment_seconds": 1,
                "minimum_seconds": 0,
            },
        }
    ]
    await hold(world, home, "conv_d", wanted=60)
    await settle(world, home, "conv_d", 60)
    assert len(await logged(world, home.workspace_id, "credits.low")) == 1


async def test_holds_that_come_and_go_near_the_threshold_tell_nothing(
    world: World, home: Home
) -> None:
    await leave(world, home, 15 * MINUTE)
    for name in ("conv_a", "conv_b", "conv_c"):
        await hold(world, home, name, wanted=600)
        await settle(world, home, name, 60)
    assert not await logged(world, home.workspace_id, "credits.low")  # 12 minutes are left


async def test_what_is_held_for_other_calls_still_counts_as_balance(
    world: World, home: Home
) -> None:
    await leave(world, home, 12 * MINUTE)
    await hold(world, home, "conv_a", wanted=300)
    await hold(world, home, "conv_b", wanted=420)
    await settle(world, home, "conv_b", 60)
    assert not await logged(world, home.workspace_id, "credits.low")
    await settle(world, home, "conv_a", 300)
    (told,) = await logged(world, home.workspace_id, "credits.low")
    assert (told["balance_micros"], told["available_micros"]) == (6 * MINUTE, 6 * MINUTE)


async def test_a_top_up_makes_the_next_fall_a_new_one(world: World, home: Home) -> None:
    await leave(world, home, 10 * MINUTE)
    for number in (1, 2):
        await hold(world, home, f"conv_{number}", wanted=60)
        await settle(world, home, f"conv_{number}", 60)
        async with world.db.transaction() as tx:
            await ledger.top_up(tx, home.organization_id, "test", MINUTE, f"t{number}", "More")
    assert len(await logged(world, home.workspace_id, "credits.low")) == 2
