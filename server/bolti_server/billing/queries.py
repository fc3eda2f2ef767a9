"""Questions about an organization's money, asked by one of its workspaces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs

from bolti_server.base.db import Tx, decode_json


@attrs.frozen
class StoredBalance:
    """What there is on a ledger, what is held of it, and what a minute costs."""

    available_micros: int
    held_micros: int
    currency: str
    price_per_minute_micros: int
    increment_seconds: int
    minimum_seconds: int


@attrs.frozen
class StoredTransaction:
    """A ledger transaction with its (account kind, amount) entries."""

    id: str
    kind: str
    reference: str
    description: str
    created_at: datetime
    entries: Sequence[tuple[str, int]]


_TRANSACTIONS = """
    select t.id, t.kind, t.reference, t.description, t.created_at,
           (select coalesce(jsonb_agg(
                jsonb_build_array(a.kind, e.amount_micros) order by e.amount_micros, a.kind), '[]')
            from ledger_entries e join ledger_accounts a on a.id = e.account_id
            where e.transaction_id = t.id)::text as entries
    from workspaces w join ledger_transactions t on t.organization_id = w.organization_id
    where w.id = $1 and t.ledger = $2"""


async def find_balance(tx: Tx, workspace_id: str, ledger: str) -> StoredBalance | None:
    """None where the workspace's organization has no such ledger."""
    row = await tx.fetchrow(
        """select a.balance_micros as available_micros, h.balance_micros as held_micros, a.currency,
                  r.price_per_minute_micros, r.increment_seconds, r.minimum_seconds
           from workspaces w
           join ledger_accounts a
               on a.organization_id = w.organization_id and a.ledger = $2 and a.kind = 'available'
           join ledger_accounts h
               on h.organization_id = w.organization_id and h.ledger = $2 and h.kind = 'held'
           join rate_cards r on r.organization_id = w.organization_id
           where w.id = $1""",
        workspace_id,
        ledger,
    )
    return None if row is None else StoredBalance(**dict(row))


async def number_cost_per_month(tx: Tx, workspace_id: str) -> tuple[int, str]:
    """(micros, currency) of a month of a number, by the rate card of the workspace's organization."""
    row = await tx.fetchrow(
        """select r.number_cost_per_month_micros, r.currency
           from workspaces w join rate_cards r on r.organization_id = w.organization_id
           where w.id = $1""",
        workspace_id,
    )
    assert row is not None, f"{workspace_id} has no rate card: open_ledgers() comes first"
    return row["number_cost_per_month_micros"], row["currency"]


async def list_transactions(
    tx: Tx,
    workspace_id: str,
    *,
    ledger: str,
    reference: str | None,
    limit: int,
    before_id: str | None,
) -> list[StoredTransaction]:
    """Those of the workspace's organization, newest first; `before_id` is the last id of the page before."""
    # Two statements, so that each has a plan of its own: one reference is found by its index.
    which = "t.reference = $3" if reference is not None else "$3::text is null"
    rows = await tx.fetch(
        f"{_TRANSACTIONS} and {which} and ($4::text is null or t.id < $4) order by t.id desc limit $5",
        workspace_id,
        ledger,
        reference,
        before_id,
        limit,
    )
    return [_transaction(dict(row)) for row in rows]


def _transaction(row: dict[str, Any]) -> StoredTransaction:
    entries = [(str(kind), int(amount)) for kind, amount in decode_json(row.pop("entries"))]
    return StoredTransaction(**row, entries=entries)
