"""Virtual time: it passes only while all sides wait, and in one order."""

from __future__ import annotations

import asyncio

from bolti_server.simulated.text.clock import VirtualClock

LONG_MS = 10_000_000


async def test_an_hour_takes_no_time() -> None:
    clock = VirtualClock()
    async with asyncio.timeout(1):
        await clock.sleep(3_600_000)
    assert clock.now_ms == 3_600_000


async def test_two_sides_wait_for_each_other_in_the_order_of_their_instants() -> None:
    clock = VirtualClock()
    seen: list[tuple[str, int]] = []

    async def other() -> None:
        for ms in (100, 100, 300):
            await clock.sleep(ms)
            seen.append(("other", clock.now_ms))

    task = clock.spawn(other(), name="other")
    for ms in (150, 150):
        await clock.sleep(ms)
        seen.append(("main", clock.now_ms))
    await clock.sleep(1_000)
    await task
    assert seen == [
        ("other", 100), ("main", 150), ("other", 200), ("main", 300), ("other", 500),
    ]  # fmt: skip


async def test_time_stands_still_while_one_side_waits_for_something_real() -> None:
    clock = VirtualClock()
    real = asyncio.Event()
    instants: list[int] = []

    async def asks_a_vendor() -> None:
        await real.wait()
        instants.append(clock.now_ms)
        await clock.sleep(10)

    task = clock.spawn(asks_a_vendor(), name="vendor")
    main = asyncio.create_task(_slept(clock, 500))
    for _ in range(20):
        await asyncio.sleep(0)
    assert clock.now_ms == 0
    real.set()
    assert await main == 500
    await task
    assert instants == [0]


async def _slept(clock: VirtualClock, ms: int) -> int:
    await clock.sleep(ms)
    return clock.now_ms


async def test_who_waits_for_a_fact_goes_on_when_it_is_so_or_when_its_patience_ends() -> None:
    clock = VirtualClock()
    facts: list[str] = []
    clock.at(70, lambda: facts.append("it rained"))
    assert await clock.until(lambda: bool(facts), by_ms=LONG_MS)
    assert clock.now_ms == 70
    assert not await clock.until(lambda: len(facts) > 1, by_ms=100)
    assert clock.now_ms == 100


async def test_a_cancelled_wait_leaves_the_others_their_time() -> None:
    clock = VirtualClock()

    async def gives_up() -> None:
        await clock.sleep(LONG_MS)

    task = clock.spawn(gives_up(), name="gives up")
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    async with asyncio.timeout(1):
        await clock.sleep(50)
    assert clock.now_ms == 50


async def test_a_stopped_clock_lets_nothing_happen_any_more() -> None:
    clock = VirtualClock()
    happened: list[int] = []
    clock.at(10, clock.stop)
    clock.at(20, lambda: happened.append(20))
    task = asyncio.create_task(clock.sleep(1_000))
    for _ in range(10):
        await asyncio.sleep(0)
    assert (clock.now_ms, happened, task.done()) == (10, [], False)
    task.cancel()
    await asyncio.wait({task})


async def test_of_two_things_at_one_instant_the_one_asked_for_first_comes_first() -> None:
    clock = VirtualClock()
    seen: list[str] = []
    for name in ("first", "second", "third"):
        clock.at(10, lambda name=name: seen.append(name))  # type: ignore[misc]
    await clock.sleep(20)
    assert seen == ["first", "second", "third"]


async def test_what_is_taken_back_does_not_happen() -> None:
    clock = VirtualClock()
    seen: list[str] = []
    clock.at(10, lambda: seen.append("never")).cancel()
    await clock.sleep(20)
    assert seen == []


async def test_what_is_asked_for_too_late_happens_now_and_time_does_not_go_back() -> None:
    clock = VirtualClock()
    seen: list[int] = []
    await clock.sleep(100)
    clock.at(50, lambda: seen.append(clock.now_ms))
    await clock.sleep(10)
    assert (seen, clock.now_ms) == ([100], 110)
