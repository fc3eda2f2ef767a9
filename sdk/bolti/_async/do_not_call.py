"""Who is not to be called."""

from __future__ import annotations

from bolti import _operations as operations
from bolti._async.core import AsyncCore
from bolti._async.pages import AsyncListing
from bolti._models import DoNotCallEntry
from bolti._sending import given


class AsyncDoNotCallResource:
    """`bolti.do_not_call`: numbers that the workspace does not call. Who says in a call that he wants no calls is put
    on the list by the server."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self, *, limit: int | None = None, after: str | None = None
    ) -> AsyncListing[DoNotCallEntry]:
        """Entries, newest first, `limit` (1-100, default 20) to a page."""
        query = given(limit=limit, after=after)
        return self._core.pages(operations.LIST_DO_NOT_CALL_ENTRIES, query=query)

    async def create(
        self, *, phone_number: str, idempotency_key: str | None = None
    ) -> DoNotCallEntry:
        """From now on calls to this number are refused with DoNotCall; one that is on the list already is answered.

        Raises InvalidPhoneNumber. Safe to repeat.
        """
        return await self._core.call(
            operations.CREATE_DO_NOT_CALL_ENTRY,
            body=given(phone_number=phone_number),
            idempotency_key=idempotency_key,
        )

    async def delete(self, do_not_call_entry_id: str) -> None:
        """Allows calls to the number again. Raises NotFound."""
        await self._core.call(
            operations.DELETE_DO_NOT_CALL_ENTRY, do_not_call_entry_id=do_not_call_entry_id
        )
