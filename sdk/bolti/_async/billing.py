"""The prepaid balance and its ledger. Amounts are whole millionths of the named currency."""

from __future__ import annotations

from bolti import _operations as operations
from bolti._async.core import AsyncCore
from bolti._async.pages import AsyncListing
from bolti._models import Balance, Ledger, LedgerTransaction
from bolti._sending import given


class AsyncBilling:
    """`bolti.billing`: of the workspace's organization."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def balance(self, *, ledger: Ledger | None = None) -> Balance:
        """Balance, what is held for calls, what new calls can use, and the rate; of "test" (the default) or "live"."""
        return await self._core.call(operations.GET_BALANCE, query=given(ledger=ledger))

    def ledger(
        self,
        *,
        ledger: Ledger | None = None,
        reference: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> AsyncListing[LedgerTransaction]:
        """Movements, newest first, `limit` (1-100, default 20) to a page; they add up to the balance, always.

        `reference`: only those for this, e.g. the id of a conversation.
        """
        query = given(ledger=ledger, reference=reference, limit=limit, after=after)
        return self._core.pages(operations.LIST_LEDGER_TRANSACTIONS, query=query)
