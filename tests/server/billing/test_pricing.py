"""Pricing: seconds are rounded up once, money once; the SQL says the same as the Python."""

from __future__ import annotations

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bolti_server.billing.pricing import UNLIMITED_SECONDS, Rate, price_micros, seconds_covered

rates = st.builds(
    Rate,
    price_per_minute_micros=st.integers(0, 1_000_000_000),
    increment_seconds=st.integers(1, 120),
    minimum_seconds=st.integers(0, 300),
)
seconds = st.integers(-5, 100_000)
amounts = st.integers(0, 10**14)


@pytest.mark.parametrize(
    ("rate", "billed", "micros"),
    [
        (Rate(), 60, 6_000_000),
        (Rate(), 42, 4_200_000),
        (Rate(), 1, 100_000),
        (Rate(), 0, 0),
        (Rate(price_per_minute_micros=1), 1, 1),
        (Rate(price_per_minute_micros=100), 1, 2),
        (Rate(increment_seconds=60), 61, 12_000_000),
        (Rate(increment_seconds=6), 7, 1_200_000),
        (Rate(minimum_seconds=30), 1, 3_000_000),
        (Rate(minimum_seconds=30), 0, 0),
        (Rate(price_per_minute_micros=0), 600, 0),
    ],
)
def test_a_call_costs_its_increments_and_at_least_the_minimum(
    rate: Rate, billed: int, micros: int
) -> None:
    assert price_micros(rate, billed) == micros


@given(rates, seconds, st.integers(0, 1000))
def test_a_longer_call_never_costs_less(rate: Rate, billed: int, more: int) -> None:
    assert price_micros(rate, billed) <= price_micros(rate, billed + more)


@given(rates, amounts)
def test_what_an_amount_covers_costs_no_more_than_it_and_one_increment_more_would(
    rate: Rate, amount: int
) -> None:
    covered = seconds_covered(rate, amount)
    assert price_micros(rate, covered) <= amount
    if covered not in (0, UNLIMITED_SECONDS):
        assert price_micros(rate, covered + rate.increment_seconds) > amount


@pytest.fixture(scope="module")
def price_functions() -> tuple[str, str]:
    return (
        "select price_micros($1::bigint, $2::integer, $3::integer, $4::integer)",
        "select seconds_covered($1::bigint, $2::integer, $3::integer, $4::bigint)",
    )


async def test_the_sql_functions_agree_with_the_python_ones(
    database_url: str, price_functions: tuple[str, str]
) -> None:
    price, covered = price_functions
    connection = await asyncpg.connect(database_url, timeout=10)
    cases: list[tuple[Rate, int, int]] = []

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rates, seconds, amounts)
    @example(Rate(price_per_minute_micros=0), 100_000, 10**14)
    @example(Rate(minimum_seconds=60), 1, 5_999_999)
    @example(Rate(minimum_seconds=60), 60, 6_000_000)
    def collect(rate: Rate, billed: int, amount: int) -> None:
        cases.append((rate, billed, amount))

    collect()
    assert len(cases) > 100
    try:
        for rate, billed, amount in cases:
            card = (rate.price_per_minute_micros, rate.increment_seconds, rate.minimum_seconds)
            told = await connection.fetchval(price, *card, billed)
            assert told == price_micros(rate, billed), (rate, billed)
            told = await connection.fetchval(covered, *card, amount)
            assert told == seconds_covered(rate, amount), (rate, amount)
    finally:
        await connection.close()
