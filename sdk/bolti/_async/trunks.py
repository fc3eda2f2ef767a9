"""SIP trunks of the workspace's own, and the numbers on them."""

from __future__ import annotations

from typing import Unpack

from bolti import _operations as operations
from bolti._async.core import AsyncCore
from bolti._async.pages import AsyncListing
from bolti._models import Number, SortOrder, Trunk, TrunkInboundStatus, TrunkKind
from bolti._requests import TrunkCreate, TrunkUpdate
from bolti._sending import given


class AsyncTrunks:
    """`bolti.trunks`: what carries numbers. Every workspace has the simulated network's; the others are yours."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def create(
        self, *, idempotency_key: str | None = None, **trunk: Unpack[TrunkCreate]
    ) -> Trunk:
        """Makes a trunk; `name` is needed, and `outbound`, `inbound` or both (the members are those of `TrunkCreate`).

        `outbound={"host": "sip.example.com", "username": …, "password": …}` says where calls are dialed;
        `inbound={"allowed_addresses": ["54.172.60.0/30"]}` from where you may be called, by address, by digest, or both.
        Passwords are kept encrypted and never shown. Raises ValidationFailed with everything that is wrong. Safe to
        repeat with the same `idempotency_key`.
        """
        return await self._core.call(
            operations.CREATE_TRUNK, body=trunk, idempotency_key=idempotency_key
        )

    def list(
        self,
        *,
        kind: TrunkKind | None = None,
        name: str | None = None,
        inbound_status: TrunkInboundStatus | None = None,
        sort: SortOrder | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> AsyncListing[Trunk]:
        """Trunks, newest first unless `sort` is "oldest", `limit` (1-100, default 20) to a page.

        `name` finds exactly those; `inbound_status="failed"` those that can't be called, `inbound_detail` says why.
        """
        query = given(
            kind=kind,
            name=name,
            inbound_status=inbound_status,
            sort=sort,
            limit=limit,
            after=after,
        )
        return self._core.pages(operations.LIST_TRUNKS, query=query)

    async def get(self, trunk_id: str) -> Trunk:
        """The trunk, without its passwords. Raises NotFound."""
        return await self._core.call(operations.GET_TRUNK, trunk_id=trunk_id)

    async def update(
        self, trunk_id: str, *, expected_version: int | None = None, **changes: Unpack[TrunkUpdate]
    ) -> Trunk:
        """Changes what is given (members of `TrunkUpdate`); calls in progress are not touched.

        `outbound` and `inbound` are replaced whole, None takes the ability away; a password that is left out is kept where
        username (and host) stay the same. `expected_version`: the `version` that the change is meant for. Raises NotFound,
        ValidationFailed, PreconditionFailed, TrunkNotChangeable. Without `expected_version`, repeating it ends in the same
        state.
        """
        return await self._core.call(
            operations.UPDATE_TRUNK,
            body=changes,
            expected_version=expected_version,
            trunk_id=trunk_id,
        )

    async def delete(self, trunk_id: str, *, expected_version: int | None = None) -> None:
        """Deletes it; calls in progress go on. Raises NotFound, TrunkInUse (it has numbers: release them first),
        PreconditionFailed, TrunkNotChangeable."""
        await self._core.call(
            operations.DELETE_TRUNK, expected_version=expected_version, trunk_id=trunk_id
        )

    async def add_number(
        self, trunk_id: str, *, phone_number: str, idempotency_key: str | None = None
    ) -> Number:
        """Adds a number (E.164) that this trunk carries. Give it to an agent with `agent_phone_numbers.assign`.

        It costs nothing here; `numbers.release` takes it away. Raises NotFound, InvalidPhoneNumber, NumberTaken,
        TrunkFull, TrunkNotChangeable. Safe to repeat with the same `idempotency_key`.
        """
        return await self._core.call(
            operations.ADD_TRUNK_NUMBER,
            body=given(phone_number=phone_number),
            idempotency_key=idempotency_key,
            trunk_id=trunk_id,
        )
