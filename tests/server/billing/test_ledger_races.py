"""Many at once on real PostgreSQL: the last minute is sold once, and no money is made or lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.server.conftest import Home
from tests.server.support.money import balances, set_rate

from bolti_server.base.db import spawn
from bolti_server.base.errors import Refusal
from bolti_server.billing import ledger
from bolti_server.billing.ledger import Hold
from bolti_server.world import World

MINUTE = 6_000_000
T = TypeVar("T")


async def hold(world: World, home: Home, reference: str, wanted: int) -> Hold | Refusal:
    async with world.db.transaction() as tx:
        return await ledger.hold(
            tx,
            organization_id=home.organization_id,
            workspace_id=home.workspace_id,
            ledger="live",
            reference=reference,
            wanted_seconds=wanted,
        )


async def at_once(*works: Awaitable[T]) -> list[T]:
    async def run(work: Awaitable[T]) -> T:
        return await work

    return list(await asyncio.gather(*(spawn(run(work), name="racer") for work in works)))


async def test_fifty_holds_that_race_for_the_last_minutes_never_overdraw(
    world: World, home: Home
) -> None:
    # ₹300 on the live ledger; at ₹100 a minute that is three minutes, for fifty who want one each.
    await set_rate(world, home.organization_id, price_per_minute_micros=100_000_000)
    results = await at_once(*(hold(world, home, f"conv_{n}", 60) for n in range(50)))
    made = [each for each in results if isinstance(each, Hold)]
    assert len(made) == 3
    assert all(each.covered_seconds == 60 for each in made)
    assert await balances(world, home.organization_id, "live") == {
        "available": 0,
        "held": 300_000_000,
        "spent": 0,
        "funding": -300_000_000,
    }


async def test_the_one_who_gets_the_rest_gets_what_the_others_left(
    world: World, home: Home
) -> None:
    await set_rate(world, home.organization_id, price_per_minute_micros=40_000_000)  # 7.5 minutes
    results = await at_once(*(hold(world, home, f"conv_{n}", 120) for n in range(50)))
    covered = sorted(each.covered_seconds for each in results if isinstance(each, Hold))
    assert covered == [90, 120, 120, 120]


async def test_the_same_hold_fifty_times_at_once_is_one_hold(world: World, home: Home) -> None:
    results = await at_once(*(hold(world, home, "conv_a", 60) for _ in range(50)))
    assert len({repr(each) for each in results}) == 1
    assert (await balances(world, home.organization_id, "live"))["held"] == MINUTE


async def test_a_hold_is_resolved_once_however_many_try(world: World, home: Home) -> None:
    await hold(world, home, "conv_a", 600)

    async def resolve(n: int) -> None:
        async with world.db.transaction() as tx:
            if n % 2:
                await ledger.release(tx, home.workspace_id, "conv_a")
            else:
                await ledger.settle(tx, home.workspace_id, "conv_a", billed_seconds=60)

    await at_once(*(resolve(n) for n in range(30)))
    after = await balances(world, home.organization_id, "live")
    assert after["held"] == 0
    assert after["spent"] in (0, MINUTE)
    assert after["available"] + after["spent"] == 300_000_000


async def test_calls_that_begin_and_end_side_by_side_keep_the_books_straight(
    world: World, home: Home
) -> None:
    luck = random.Random(7)
    await set_rate(world, home.organization_id, price_per_minute_micros=15_000_000)
    resolve: list[Callable[..., Awaitable[object]]] = [ledger.settle, ledger.release]

    async def call(n: int) -> int:
        held = await hold(world, home, f"conv_{n}", luck.randint(60, 600))
        if isinstance(held, Refusal):
            return 0
        billed = luck.randint(0, 600)
        how = luck.choice(resolve)
        async with world.db.transaction() as tx:
            if how is ledger.settle:
                done = await ledger.settle(
                    tx, home.workspace_id, held.reference, billed_seconds=billed
                )
                return done.amount_micros
            await ledger.release(tx, home.workspace_id, held.reference)
            return 0

    charged = sum(await at_once(*(call(n) for n in range(60))))
    after = await balances(world, home.organization_id, "live")
    assert after["held"] == 0
    assert after["spent"] == charged
    assert after["available"] == 300_000_000 - charged


async def test_two_transactions_that_end_several_calls_each_do_not_block_each_other(
    world: World, home: Home
) -> None:
    names = [f"conv_{n}" for n in range(12)]
    for name in names:
        await hold(world, home, name, 60)

    async def end(order: list[str]) -> None:
        async with world.db.transaction() as tx:
            for name in order:
                await ledger.release(tx, home.workspace_id, name)

    await at_once(*(end(random.Random(n).sample(names, len(names))) for n in range(8)))
    assert (await balances(world, home.organization_id, "live"))["held"] == 0
