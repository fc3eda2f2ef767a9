"""Questions about workspace HTTP tools, one function each. Deleted tools are not found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from bolti_server.agents.tables import ToolRow
from bolti_server.base.db import Tx, encode_json
from bolti_server.web.paging import NEWEST_FIRST, Order


@attrs.frozen
class StoredTool:
    """`configuration` is an encoded ToolConfiguration; `secret_encrypted` an Authorization, sealed for this row."""

    id: str
    workspace_id: str
    name: str
    configuration: str
    secret_encrypted: bytes | None = attrs.field(repr=False)
    created_at: datetime
    updated_at: datetime


_SELECT = """
    select id, workspace_id, name, configuration::text as configuration, secret_encrypted, created_at, updated_at
    from tools where workspace_id = $1 and deleted_at is null"""


async def find_tool(
    tx: Tx, workspace_id: str, tool_id: str, *, is_to_change: bool = False
) -> StoredTool | None:
    """`is_to_change` holds the row until the transaction ends."""
    row = await tx.fetchrow(
        f"{_SELECT} and id = $2 {'for update' if is_to_change else ''}",
        workspace_id,
        tool_id,
    )
    return None if row is None else _stored(row)


async def tools_by_ids(tx: Tx, workspace_id: str, tool_ids: Sequence[str]) -> dict[str, StoredTool]:
    """Those of `tool_ids` that exist, by id."""
    if not tool_ids:
        return {}
    rows = await tx.fetch(
        f"{_SELECT} and id = any($2::text[])",
        workspace_id,
        list(tool_ids),
    )
    return {row["id"]: _stored(row) for row in rows}


async def existing_ids(tx: Tx, workspace_id: str, tool_ids: Sequence[str]) -> frozenset[str]:
    """Those of `tool_ids` that exist."""
    if not tool_ids:
        return frozenset()
    rows = await tx.fetch(
        """select id from tools
           where workspace_id = $1 and id = any($2::text[]) and deleted_at is null""",
        workspace_id,
        list(tool_ids),
    )
    return frozenset(row["id"] for row in rows)


async def is_name_taken(
    tx: Tx, workspace_id: str, name: str, *, except_tool_id: str | None = None
) -> bool:
    query = ToolRow.exists().where(
        ToolRow.workspace_id == workspace_id, ToolRow.name == name, ToolRow.deleted_at.is_null()
    )
    if except_tool_id is not None:
        query = query.where(ToolRow.id != except_tool_id)
    return await query


async def list_tools(
    tx: Tx,
    workspace_id: str,
    *,
    limit: int,
    before_id: str | None,
    name: str | None = None,
    order: Order = NEWEST_FIRST,
) -> list[StoredTool]:
    """`before_id` is the last id of the page before. `name` is the whole name."""
    rows = await tx.fetch(
        f"""{_SELECT} and ($2::text is null or id {order.past} $2)
            and ($4::text is null or name = $4) order by id {order.sql} limit $3""",
        workspace_id,
        before_id,
        limit,
        name,
    )
    return [_stored(row) for row in rows]


async def insert_tool(
    tx: Tx,
    workspace_id: str,
    tool_id: str,
    *,
    name: str,
    configuration: object,
    secret_encrypted: bytes | None,
) -> None:
    await tx.execute(
        """insert into tools (id, workspace_id, name, configuration, secret_encrypted)
           values ($1, $2, $3, $4, $5)""",
        tool_id,
        workspace_id,
        name,
        encode_json(configuration),
        secret_encrypted,
    )


async def replace_tool(
    tx: Tx,
    workspace_id: str,
    tool_id: str,
    *,
    name: str,
    configuration: object,
    secret_encrypted: bytes | None,
) -> None:
    await tx.execute(
        """update tools set name = $3, configuration = $4, secret_encrypted = $5,
                  version = version + 1, updated_at = bolti_now()
           where workspace_id = $1 and id = $2""",
        workspace_id,
        tool_id,
        name,
        encode_json(configuration),
        secret_encrypted,
    )


async def mark_deleted(tx: Tx, workspace_id: str, tool_id: str) -> bool:
    """Whether there was such a tool. Its secret goes at once."""
    done = await tx.fetchval(
        """update tools set deleted_at = bolti_now(), updated_at = bolti_now(), secret_encrypted = null,
                  configuration = configuration || '{"authorization_kind": "none"}'
           where workspace_id = $1 and id = $2 and deleted_at is null returning id""",
        workspace_id,
        tool_id,
    )
    return done is not None


def _stored(row: Mapping[str, Any]) -> StoredTool:
    return StoredTool(
        id=row["id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        configuration=row["configuration"],
        secret_encrypted=row["secret_encrypted"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
