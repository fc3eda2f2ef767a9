"""The workspace's do-not-call list."""

from __future__ import annotations

from datetime import datetime

import attrs

from bolti_server.base.db import Tx


@attrs.frozen
class StoredEntry:
    """`source`: `voice` (said in `conversation_id`) or `api`."""

    id: str
    phone_number: str
    source: str
    conversation_id: str | None
    created_at: datetime


async def insert_entry(
    tx: Tx,
    workspace_id: str,
    entry_id: str,
    phone_number: str,
    *,
    source: str,
    conversation_id: str | None,
) -> bool:
    """False: the number is on the list already, and stays there as it was."""
    inserted = await tx.fetchval(
        """insert into do_not_call_entries (id, workspace_id, phone_number, source, conversation_id)
           values ($2, $1, $3, $4, $5) on conflict (workspace_id, phone_number) do nothing
           returning id""",
        workspace_id,
        entry_id,
        phone_number,
        source,
        conversation_id,
    )
    return inserted is not None


async def find_entry(tx: Tx, workspace_id: str, phone_number: str) -> StoredEntry | None:
    row = await tx.fetchrow(
        """select id, phone_number, source, conversation_id, created_at from do_not_call_entries
           where workspace_id = $1 and phone_number = $2""",
        workspace_id,
        phone_number,
    )
    return None if row is None else StoredEntry(**dict(row))


async def list_entries(
    tx: Tx, workspace_id: str, *, limit: int, before_id: str | None
) -> list[StoredEntry]:
    """Newest first."""
    rows = await tx.fetch(
        """select id, phone_number, source, conversation_id, created_at from do_not_call_entries
            where workspace_id = $1 and ($3::text is null or id < $3) order by id desc limit $2""",
        workspace_id,
        limit,
        before_id,
    )
    return [StoredEntry(**dict(row)) for row in rows]


async def delete_entry(tx: Tx, workspace_id: str, entry_id: str) -> bool:
    """Whether it was there."""
    deleted = await tx.fetchval(
        "delete from do_not_call_entries where workspace_id = $1 and id = $2 returning id",
        workspace_id,
        entry_id,
    )
    return deleted is not None


async def find_number_of_call(tx: Tx, workspace_id: str, conversation_id: str) -> str | None:
    """The binding that a conversation was dialed from."""
    found: str | None = await tx.fetchval(
        "select agent_phone_number_id from conversations where workspace_id = $1 and id = $2",
        workspace_id,
        conversation_id,
    )
    return found
