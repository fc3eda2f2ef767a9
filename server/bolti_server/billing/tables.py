"""The slice's tables. The DDL, with every constraint, is migrations/sql/0001_first_call.sql and 0005_versions.sql."""

from __future__ import annotations

from piccolo.columns import BigInt, Integer, Text, Timestamptz
from piccolo.table import Table

from bolti_server.base.db import ENGINE


class LedgerAccountRow(Table, tablename="ledger_accounts", db=ENGINE):
    """One of the four accounts (available, held, spent, funding) of an organization's live or test ledger."""

    id = Text(primary_key=True, default=None)
    organization_id = Text()
    ledger = Text()
    kind = Text()
    currency = Text()
    balance_micros = BigInt()


class LedgerTransactionRow(Table, tablename="ledger_transactions", db=ENGINE):
    """Append-only. What was moved, and for whom: (reference, kind) is unique."""

    id = Text(primary_key=True, default=None)
    organization_id = Text()
    workspace_id = Text(null=True)
    ledger = Text()
    kind = Text()
    reference = Text()
    description = Text()
    created_at = Timestamptz()


class LedgerEntryRow(Table, tablename="ledger_entries", db=ENGINE):
    """Append-only. The key is (transaction_id, account_id); a transaction's entries sum to zero."""

    transaction_id = Text(primary_key=True, default=None)
    account_id = Text()
    amount_micros = BigInt()


class LedgerHoldRow(Table, tablename="ledger_holds", db=ENGINE):
    """Money set aside for one reference at the rate of that moment, and how it was resolved."""

    reference = Text(primary_key=True, default=None)
    organization_id = Text()
    workspace_id = Text()
    ledger = Text()
    amount_micros = BigInt()
    price_per_minute_micros = BigInt()
    increment_seconds = Integer()
    minimum_seconds = Integer()
    currency = Text()
    wanted_seconds = Integer()
    covered_seconds = Integer()
    billed_seconds = Integer(null=True)
    resolution = Text(null=True)
    settled_micros = BigInt(null=True)
    created_at = Timestamptz()
    resolved_at = Timestamptz(null=True)


class LedgerPurchaseRow(Table, tablename="ledger_purchases", db=ENGINE):
    """Append-only. What was paid at once for one reference."""

    reference = Text(primary_key=True, default=None)
    organization_id = Text()
    workspace_id = Text()
    ledger = Text()
    amount_micros = BigInt()
    currency = Text()
    created_at = Timestamptz()


class RateCardRow(Table, tablename="rate_cards", db=ENGINE):
    """An organization's price per minute, increment and minimum, and what a month of a number costs."""

    organization_id = Text(primary_key=True, default=None)
    currency = Text()
    price_per_minute_micros = BigInt()
    increment_seconds = Integer()
    minimum_seconds = Integer()
    number_cost_per_month_micros = BigInt()
