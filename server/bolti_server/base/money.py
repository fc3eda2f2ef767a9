"""Money is an integer number of micro-units of a named currency; it is rounded in one function, upwards.

Adding and moving money is the ledger's business (`billing`); here are only the words for an amount.
"""

from __future__ import annotations

import attrs

MICROS = 1_000_000
_SYMBOLS = {"INR": "₹", "USD": "$", "EUR": "€", "GBP": "£"}


@attrs.frozen
class Money:
    """`amount_micros` / 1,000,000 of `currency` (ISO 4217)."""

    amount_micros: int
    currency: str


def round_up_micros(numerator: int, denominator: int) -> int:
    """numerator / denominator in whole micro-units, rounded up (towards +∞), without floats.

    The only place where money is rounded: price_per_minute_micros × seconds / 60 is the usual caller.
    """
    assert denominator > 0, denominator
    return -(-numerator // denominator)


def format_money(money: Money) -> str:
    """For people: ₹1,234.50. At least two decimals, more only where they are not zero (prices per second)."""
    sign = "-" if money.amount_micros < 0 else ""
    whole, micros = divmod(abs(money.amount_micros), MICROS)
    decimals = f"{micros:06d}".rstrip("0").ljust(2, "0")
    symbol = _SYMBOLS.get(money.currency, money.currency + " ")
    return f"{sign}{symbol}{whole:,}.{decimals}"
