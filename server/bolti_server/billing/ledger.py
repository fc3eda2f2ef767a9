"""The ledger: hold → settle or release, purchase, and top up. The only place where money moves.

Rules: double entry, append-only (a correction is another entry); what is available never falls under zero, because a
hold or a purchase takes only what is there, under the account's lock; a reference has at most one hold, and it is
resolved once. Everything here is safe to repeat by its reference and changes nothing the second time. The caller's
transaction is the one in which the move happens or does not.

The ledger knows an organization, an amount and a reference. That references are conversations is its callers' business.
"""

from __future__ import annotations

from typing import Literal

import attrs

from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal
from bolti_server.base.events import Event, emit
from bolti_server.base.ids import new_id
from bolti_server.base.money import MICROS, Money, format_money
from bolti_server.billing import ledger_queries as queries
from bolti_server.billing.ledger_queries import (
    LEDGERS,
    HoldAttempt,
    PurchaseAttempt,
    Resolved,
    StoredHold,
)
from bolti_server.billing.pricing import Rate, price_micros, seconds_covered
from bolti_server.billing.queries import StoredBalance, find_balance
from bolti_server.contract import structs

Ledger = Literal["live", "test"]

LEAST_SECONDS = 60  # a call that the balance covers for less than this is not begun
LOW_SECONDS = 600  # `credits.low`: the balance is worth less than this
TEST_GRANT_MICROS = 100_000 * MICROS
TRIAL_GRANT_MICROS = 300 * MICROS  # 50 minutes at the default price
TOP_UP_URL = "https://bolti.dev/billing"


class NoHold(Exception):
    """Nothing was ever held for this reference."""


@attrs.frozen
class Hold:
    """Money set aside. `covered_seconds` is what it pays for: less than wanted where `is_shortened`."""

    reference: str
    amount_micros: int
    covered_seconds: int
    is_shortened: bool
    rate: Rate


@attrs.frozen
class Settled:
    """What was charged, in the end."""

    amount_micros: int
    currency: str


async def open_ledgers(
    tx: Tx,
    organization_id: str,
    *,
    currency: str = "INR",
    live_grant_micros: int,
    test_grant_micros: int = TEST_GRANT_MICROS,
) -> None:
    """Gives an organization its live and its test ledger, each with a first top-up, and the default rate card."""
    ids = [new_id("acct") for _ in range(8)]
    await queries.insert_ledgers_of_any_workspace(
        tx, organization_id, currency=currency, account_ids=ids
    )
    grants: dict[Ledger, int] = {"live": live_grant_micros, "test": test_grant_micros}
    for ledger, amount in grants.items():
        if amount > 0:
            reference = f"grant:{organization_id}:{ledger}"
            await top_up(tx, organization_id, ledger, amount, reference, "First grant")


async def hold(
    tx: Tx,
    *,
    organization_id: str,
    workspace_id: str,
    ledger: Ledger,
    reference: str,
    wanted_seconds: int,
) -> Hold | Refusal:
    """Sets aside the price of `wanted_seconds`, or of as many as the balance covers: at least a minute, or all of a
    shorter wish. Otherwise the 402 `payment_required` to raise or to list (returned, and nothing has changed).

    A reference that has a hold gets that hold again, also when it is resolved.
    """
    assert wanted_seconds > 0, wanted_seconds
    attempt = await queries.insert_hold(
        tx,
        workspace_id,
        organization_id=organization_id,
        ledger=ledger,
        reference=reference,
        wanted_seconds=wanted_seconds,
        least_seconds=min(wanted_seconds, LEAST_SECONDS),
        transaction_id=new_id("txn"),
        description=f"Up to {wanted_seconds} s",
    )
    assert attempt is not None, (
        f"{organization_id} has no {ledger} ledger: open_ledgers() comes first"
    )
    rate = _rate(attempt)
    if attempt.is_made:
        return Hold(
            reference,
            attempt.amount_micros,
            attempt.covered_seconds,
            attempt.covered_seconds < wanted_seconds,
            rate,
        )
    earlier = await queries.find_hold(tx, workspace_id, reference)
    if earlier is not None:
        return _as_hold(earlier)
    least_seconds = min(wanted_seconds, LEAST_SECONDS)
    return _payment_required(attempt.available_before_micros, rate, least_seconds)


async def credit_refusal(
    tx: Tx, workspace_id: str, ledger: Ledger, *, wanted_seconds: int
) -> Refusal | None:
    """The 402 that `hold` would answer now; None where it would hold. A look without a lock: it promises nothing."""
    balance = await find_balance(tx, workspace_id, ledger)
    assert balance is not None, f"{workspace_id} has no {ledger} ledger: open_ledgers() comes first"
    rate = _rate(balance)
    least_seconds = min(wanted_seconds, LEAST_SECONDS)
    if seconds_covered(rate, balance.available_micros) >= least_seconds:
        return None
    return _payment_required(balance.available_micros, rate, least_seconds)


async def settle(tx: Tx, workspace_id: str, reference: str, *, billed_seconds: int) -> Settled:
    """Charges the price of `billed_seconds` at the hold's rate, never more than was held, and gives the rest back.

    Of a hold that is resolved already, what it was resolved with (0 where it was released). Raises NoHold.
    """
    done = await queries.resolve_hold(
        tx,
        workspace_id,
        reference,
        resolution="settled",
        billed_seconds=billed_seconds,
        transaction_id=new_id("txn"),
        description=f"Call of {billed_seconds} s",
    )
    if done is not None:
        _tell_if_low(tx, workspace_id, done.ledger, done, spent_micros=done.settled_micros)
        return Settled(done.settled_micros, done.currency)
    earlier = await queries.find_hold(tx, workspace_id, reference)
    if earlier is None:
        raise NoHold(f"nothing was held for {reference}")
    return Settled(earlier.settled_micros or 0, earlier.currency)


async def release(tx: Tx, workspace_id: str, reference: str) -> None:
    """Gives back all that is held for the reference; nothing where nothing is held (any more)."""
    await queries.resolve_hold(
        tx,
        workspace_id,
        reference,
        resolution="released",
        billed_seconds=None,
        transaction_id=new_id("txn"),
        description="Nothing to pay",
    )


async def purchase(
    tx: Tx,
    *,
    organization_id: str,
    workspace_id: str,
    ledger: Ledger,
    reference: str,
    amount_micros: int,
    description: str,
) -> Refusal | None:
    """Pays an amount at once, in full, once for each reference. None: it is paid (by this or an earlier purchase).

    Otherwise the 402 `payment_required` to raise or to list, and nothing has changed. Raises ValueError where the reference
    stands for another amount.
    """
    assert amount_micros >= 0, amount_micros
    attempt = await queries.insert_purchase(
        tx,
        workspace_id,
        organization_id=organization_id,
        ledger=ledger,
        reference=reference,
        amount_micros=amount_micros,
        transaction_id=new_id("txn"),
        description=description,
    )
    assert attempt is not None, (
        f"{organization_id} has no {ledger} ledger: open_ledgers() comes first"
    )
    if attempt.is_made:
        _tell_if_low(tx, workspace_id, ledger, attempt, spent_micros=amount_micros)
        return None
    earlier = await queries.find_purchase(tx, workspace_id, reference)
    if earlier is None:
        return _too_dear(attempt.available_before_micros, amount_micros, attempt.currency)
    if earlier != amount_micros:
        raise ValueError(f"the reference {reference!r} stands for another purchase")
    return None


async def has_open_hold(tx: Tx, workspace_id: str, reference: str) -> bool:
    """Whether money is held for the reference now."""
    found = await queries.find_hold(tx, workspace_id, reference)
    return found is not None and found.resolution is None


async def top_up(
    tx: Tx,
    organization_id: str,
    ledger: Ledger,
    amount_micros: int,
    reference: str,
    description: str,
) -> None:
    """Adds money, once for each reference. Raises ValueError where the reference stands for another top-up, or the
    organization has no such ledger."""
    if amount_micros <= 0:
        raise ValueError(f"a top-up adds something, not {amount_micros}")
    if await queries.insert_top_up_of_any_workspace(
        tx,
        organization_id,
        ledger=ledger,
        amount_micros=amount_micros,
        reference=reference,
        description=description,
        transaction_id=new_id("txn"),
    ):
        return
    earlier = await queries.find_top_up_of_any_workspace(tx, reference)
    if earlier is None:
        raise ValueError(
            f"{organization_id} has no {ledger} ledger (there are {', '.join(LEDGERS)})"
        )
    if earlier != (organization_id, ledger, amount_micros):
        raise ValueError(f"the reference {reference!r} stands for another top-up")


def _tell_if_low(
    tx: Tx,
    workspace_id: str,
    ledger: str,
    after: Resolved | PurchaseAttempt,
    *,
    spent_micros: int,
) -> None:
    """`credits.low` where this settlement or purchase has taken the balance across the threshold: once for each crossing.

    The balance is what is available and what is held. Holds come and go with every call: by what is available alone, a
    balance a little above the threshold would be told as low with each of them.
    """
    rate, balance_micros = _rate(after), after.available_micros + after.held_micros
    if not balance_micros < price_micros(rate, LOW_SECONDS) <= balance_micros + spent_micros:
        return
    balance = structs.Balance(
        ledger=ledger,
        balance_micros=balance_micros,
        held_micros=after.held_micros,
        available_micros=after.available_micros,
        currency=after.currency,
        rate=structs.Rate(
            price_per_minute_micros=rate.price_per_minute_micros,
            increment_seconds=rate.increment_seconds,
            minimum_seconds=rate.minimum_seconds,
        ),
    )
    data = structs.CreditsLowEventData(object=balance)
    subject = f"{workspace_id}:credits:{ledger}"
    emit(tx, Event(workspace_id, "credits.low", subject, data, simulated=ledger == "test"))


def _payment_required(available_micros: int, rate: Rate, least_seconds: int) -> Refusal:
    required = price_micros(rate, least_seconds)
    return Refusal(
        402,
        "payment_required",
        f"The balance covers {seconds_covered(rate, available_micros)} s; a call needs at least {least_seconds} s "
        f"({format_money(Money(required, rate.currency))}). Top up, or wait for calls in progress to end.",
        extras={
            "balance_micros": available_micros,
            "required_micros": required,
            "currency": rate.currency,
            "top_up_url": TOP_UP_URL,
        },
    )


def _too_dear(available_micros: int, required_micros: int, currency: str) -> Refusal:
    return Refusal(
        402,
        "payment_required",
        f"This costs {format_money(Money(required_micros, currency))}; there is "
        f"{format_money(Money(available_micros, currency))}. Top up, or wait for calls in progress to end.",
        extras={
            "balance_micros": available_micros,
            "required_micros": required_micros,
            "currency": currency,
            "top_up_url": TOP_UP_URL,
        },
    )


def _as_hold(stored: StoredHold) -> Hold:
    return Hold(
        reference=stored.reference,
        amount_micros=stored.amount_micros,
        covered_seconds=stored.covered_seconds,
        is_shortened=stored.covered_seconds < stored.wanted_seconds,
        rate=_rate(stored),
    )


def _rate(row: HoldAttempt | Resolved | PurchaseAttempt | StoredHold | StoredBalance) -> Rate:
    return Rate(
        price_per_minute_micros=row.price_per_minute_micros,
        increment_seconds=row.increment_seconds,
        minimum_seconds=row.minimum_seconds,
        currency=row.currency,
    )
