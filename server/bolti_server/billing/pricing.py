"""What talking costs: price per minute, counted in whole increments, at least the minimum.

Rule: seconds are rounded up once (to the increment), money is rounded once, up to a micro-unit, per settlement
(`round_up_micros`). Nothing billed costs nothing: the minimum applies to answered calls only.
The migration's SQL functions `price_micros` and `seconds_covered` say the same for statements that price and
move money at once; tests/server/billing holds the two together.
"""

from __future__ import annotations

import attrs

from bolti_server.base.money import round_up_micros

UNLIMITED_SECONDS = 2**31 - 1  # what any balance covers at a price of zero


@attrs.frozen
class Rate:
    """A line of the rate card: ₹6 per minute, billed per second, no minimum, unless it says otherwise."""

    price_per_minute_micros: int = 6_000_000
    increment_seconds: int = 1
    minimum_seconds: int = 0
    currency: str = "INR"


def price_micros(rate: Rate, billed_seconds: int) -> int:
    """The price of `billed_seconds` in micro-units; 0 for 0 seconds or less."""
    if billed_seconds <= 0:
        return 0
    increments = -(-billed_seconds // rate.increment_seconds)
    seconds = max(rate.minimum_seconds, increments * rate.increment_seconds)
    return round_up_micros(rate.price_per_minute_micros * seconds, 60)


def seconds_covered(rate: Rate, amount_micros: int) -> int:
    """The most seconds whose price is at most `amount_micros`."""
    if rate.price_per_minute_micros == 0:
        return UNLIMITED_SECONDS
    affordable = amount_micros * 60 // rate.price_per_minute_micros
    if affordable < rate.minimum_seconds:
        return 0
    covered = affordable // rate.increment_seconds * rate.increment_seconds
    return min(covered, UNLIMITED_SECONDS)
