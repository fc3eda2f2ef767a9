"""Questions about trunks, one function each. What the media server has to know of them is in sync_queries.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import attrs

from bolti_server.base.db import Tx
from bolti_server.web.paging import NEWEST_FIRST, Order

Transport = Literal["udp", "tcp", "tls"]


@attrs.frozen
class StoredTrunk:
    """A trunk that is not deleted. Passwords are sealed (trunk_records.py opens them)."""

    id: str
    workspace_id: str
    name: str
    kind: str
    can_inbound: bool
    can_outbound: bool
    host: str | None
    transport: Transport | None
    outbound_username: str | None
    outbound_password_sealed: bytes | None = attrs.field(repr=False)
    inbound_username: str | None
    inbound_password_sealed: bytes | None = attrs.field(repr=False)
    allowed_addresses: Sequence[str]
    codecs: Sequence[str]
    inbound_status: str
    inbound_detail: str | None
    version: int
    answer_changes: int
    created_at: datetime
    updated_at: datetime

    @property
    def is_simulated(self) -> bool:
        return self.kind == "simulated"


@attrs.frozen
class TrunkSettings:
    """What somebody saves of a trunk of his own; passwords are sealed."""

    name: str
    host: str | None = None
    transport: Transport | None = None
    outbound_username: str | None = None
    outbound_password_sealed: bytes | None = attrs.field(default=None, repr=False)
    takes_calls: bool = False
    inbound_username: str | None = None
    inbound_password_sealed: bytes | None = attrs.field(default=None, repr=False)
    allowed_addresses: Sequence[str] = ()
    codecs: Sequence[str] = ()


@attrs.frozen
class TrunkFilter:
    """What a list of trunks is narrowed to; None: everything."""

    kind: str | None = None
    name: str | None = None
    inbound_status: str | None = None


COLUMNS = """
    id, workspace_id, name, kind, can_inbound, can_outbound, host, transport, outbound_username,
    outbound_password_sealed, inbound_username, inbound_password_sealed, allowed_addresses, codecs,
    inbound_status, sync_detail as inbound_detail, version, answer_changes, created_at, updated_at"""
_TRUNK = f"select {COLUMNS} from trunks where workspace_id = $1 and deleted_at is null"  # noqa: S608


async def find_trunk(tx: Tx, workspace_id: str, trunk_id: str) -> StoredTrunk | None:
    row = await tx.fetchrow(f"{_TRUNK} and id = $2", workspace_id, trunk_id)
    return None if row is None else stored_trunk(row)


async def find_trunk_of_any_workspace(tx: Tx, trunk_id: str) -> StoredTrunk | None:
    """For a call that comes in: the trunk says whose it is."""
    row = await tx.fetchrow(
        f"select {COLUMNS} from trunks where id = $1 and deleted_at is null",  # noqa: S608
        trunk_id,
    )
    return None if row is None else stored_trunk(row)


async def lock_trunk(tx: Tx, workspace_id: str, trunk_id: str) -> StoredTrunk | None:
    """The trunk, held until the transaction ends: who changes it, or its numbers, comes one after the other."""
    row = await tx.fetchrow(f"{_TRUNK} and id = $2 for no key update", workspace_id, trunk_id)
    return None if row is None else stored_trunk(row)


async def list_trunks(
    tx: Tx,
    workspace_id: str,
    wanted: TrunkFilter,
    *,
    limit: int,
    before_id: str | None,
    order: Order = NEWEST_FIRST,
) -> list[StoredTrunk]:
    """`before_id` is the last id of the page before."""
    rows = await tx.fetch(
        f"""{_TRUNK} and ($2::text is null or id {order.past} $2)
            and ($4::text is null or kind = $4)
            and ($5::text is null or name = $5)
            and ($6::text is null or inbound_status = $6)
            order by id {order.sql} limit $3""",
        workspace_id,
        before_id,
        limit,
        wanted.kind,
        wanted.name,
        wanted.inbound_status,
    )
    return [stored_trunk(row) for row in rows]


async def insert_trunk(tx: Tx, workspace_id: str, trunk_id: str, settings: TrunkSettings) -> None:
    await tx.execute(
        """insert into trunks (
               workspace_id, id, name, host, transport, outbound_username, outbound_password_sealed, can_inbound,
               inbound_username, inbound_password_sealed, allowed_addresses, codecs, kind, can_outbound)
           values ($1, $2, $3, $4::text, $5, $6, $7, $8, $9, $10, $11, $12, 'byot', $4::text is not null)""",
        *_arguments(workspace_id, trunk_id, settings),
    )


async def replace_trunk(tx: Tx, workspace_id: str, trunk_id: str, settings: TrunkSettings) -> None:
    """Saves a locked trunk in its next version."""
    await tx.execute(
        """update trunks set
               name = $3, host = $4::text, transport = $5, outbound_username = $6, outbound_password_sealed = $7,
               can_inbound = $8, inbound_username = $9, inbound_password_sealed = $10, allowed_addresses = $11,
               codecs = $12, can_outbound = $4::text is not null, version = version + 1, answer_changes = 0,
               updated_at = bolti_now()
           where workspace_id = $1 and id = $2 and deleted_at is null""",
        *_arguments(workspace_id, trunk_id, settings),
    )


async def mark_deleted(tx: Tx, workspace_id: str, trunk_id: str) -> None:
    """Deletes a locked trunk, its passwords too; what the media server has of it is taken away by the next sync."""
    await tx.execute(
        """update trunks set deleted_at = bolti_now(), outbound_password_sealed = null, inbound_password_sealed = null
           where workspace_id = $1 and id = $2 and deleted_at is null""",
        workspace_id,
        trunk_id,
    )


async def count_numbers(tx: Tx, workspace_id: str, trunk_id: str) -> int:
    """How many the trunk carries."""
    count: int = await tx.fetchval(
        """select count(*) from numbers
           where workspace_id = $1 and trunk_id = $2 and released_at is null""",
        workspace_id,
        trunk_id,
    )
    return count


async def phone_numbers(tx: Tx, workspace_id: str, trunk_id: str, *, limit: int) -> list[str]:
    """Those that the trunk carries, the first added first."""
    rows = await tx.fetch(
        """select phone_number from numbers
           where workspace_id = $1 and trunk_id = $2 and released_at is null order by id limit $3""",
        workspace_id,
        trunk_id,
        limit,
    )
    return [row["phone_number"] for row in rows]


def stored_trunk(row: Mapping[str, Any]) -> StoredTrunk:
    return StoredTrunk(**dict(row))


def _arguments(workspace_id: str, trunk_id: str, settings: TrunkSettings) -> tuple[object, ...]:
    """$1 to $12."""
    return (
        workspace_id,
        trunk_id,
        settings.name,
        settings.host,
        settings.transport,
        settings.outbound_username,
        settings.outbound_password_sealed,
        settings.takes_calls,
        settings.inbound_username,
        settings.inbound_password_sealed,
        list(settings.allowed_addresses),
        list(settings.codecs),
    )
