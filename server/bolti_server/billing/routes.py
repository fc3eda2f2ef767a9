"""Balance and ledger of the workspace's organization."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler

from bolti_server.base.clock import rfc3339
from bolti_server.base.errors import not_found
from bolti_server.billing import queries
from bolti_server.billing.queries import StoredTransaction
from bolti_server.contract import structs
from bolti_server.web.authentication import Caller
from bolti_server.web.paging import page_of, page_request
from bolti_server.web.parameters import query_of
from bolti_server.web.responses import json_response
from bolti_server.world import World


@get("/workspaces/{workspace_id:str}/billing/balance", operation_id="getBalance")
async def get_balance(
    request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    ledger = query_of(request)["ledger"]
    async with world.db.transaction(is_readonly=True) as tx:
        found = await queries.find_balance(tx, caller.workspace_id, ledger)
    if found is None:
        raise not_found("ledger")
    return json_response(
        structs.Balance(
            ledger=ledger,
            balance_micros=found.available_micros + found.held_micros,
            held_micros=found.held_micros,
            available_micros=found.available_micros,
            currency=found.currency,
            rate=structs.Rate(
                price_per_minute_micros=found.price_per_minute_micros,
                increment_seconds=found.increment_seconds,
                minimum_seconds=found.minimum_seconds,
            ),
        )
    )


@get("/workspaces/{workspace_id:str}/billing/ledger", operation_id="listLedgerTransactions")
async def list_ledger_transactions(
    request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    page = page_request(request, id_prefix="txn")
    query = query_of(request)
    async with world.db.transaction(is_readonly=True) as tx:
        found = await queries.list_transactions(
            tx,
            caller.workspace_id,
            ledger=query["ledger"],
            reference=query.get("reference"),
            limit=page.limit + 1,
            before_id=page.before_id,
        )
    transactions, cursor = page_of(found, page, lambda each: each.id)
    data = [_record(each) for each in transactions]
    return json_response(structs.LedgerTransactionPage(data=data, next=cursor))


def _record(stored: StoredTransaction) -> structs.LedgerTransaction:
    changes = dict(stored.entries)
    return structs.LedgerTransaction(
        id=stored.id,
        kind=stored.kind,
        reference=stored.reference,
        description=stored.description,
        created_at=rfc3339(stored.created_at),
        available_change_micros=changes.get("available", 0),
        held_change_micros=changes.get("held", 0),
        entries=[
            structs.LedgerEntry(account=account, amount_micros=amount)
            for account, amount in stored.entries
        ],
    )


ROUTES: list[HTTPRouteHandler] = [get_balance, list_ledger_transactions]
