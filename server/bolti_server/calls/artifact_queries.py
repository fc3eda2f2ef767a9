"""What workers bring beside reports: recordings, and tool calls that the server makes for them."""

from __future__ import annotations

from datetime import datetime

import attrs

from bolti_server.base.db import Tx, encode_json


@attrs.frozen
class StoredPart:
    """What one agent (`epoch`) recorded, stored whole. `started_at`: where its first sound belongs, if that is known."""

    path: str
    size_bytes: int
    epoch: int
    started_at: datetime | None


@attrs.frozen
class StoredToolCall:
    """`result` is encoded JSON; status `running` until it is known, then `done` or `error`."""

    name: str
    status: str
    result: str | None
    duration_ms: int | None


async def list_parts(tx: Tx, workspace_id: str, conversation_id: str) -> list[StoredPart]:
    """In the order of their agents."""
    rows = await tx.fetch(
        """select p.path, p.bytes as size_bytes, p.epoch, p.started_at
           from recording_parts p join conversations c on c.id = p.conversation_id
           where c.workspace_id = $1 and c.id = $2 order by p.epoch limit 100""",
        workspace_id,
        conversation_id,
    )
    return [StoredPart(**dict(row)) for row in rows]


async def insert_part(
    tx: Tx,
    workspace_id: str,
    conversation_id: str,
    *,
    epoch: int,
    path: str,
    size_bytes: int,
    started_at: datetime | None = None,
) -> bool:
    """Whether it is news: of one agent the first counts."""
    inserted = await tx.fetchval(
        """insert into recording_parts (conversation_id, epoch, path, bytes, started_at)
           select id, $3::integer, $4::text, $5::bigint, $6::timestamptz
           from conversations where workspace_id = $1 and id = $2
           on conflict do nothing returning epoch""",
        workspace_id,
        conversation_id,
        epoch,
        path,
        size_bytes,
        started_at,
    )
    return inserted is not None


async def begin_tool_call(
    tx: Tx,
    workspace_id: str,
    conversation_id: str,
    tool_call_id: str,
    *,
    epoch: int,
    name: str,
    arguments: object,
) -> bool:
    """Whether it is the first of this id: then the caller sends it."""
    begun = await tx.fetchval(
        """insert into tool_calls (id, conversation_id, epoch, name, arguments, status)
           select $3::text, id, $4::integer, $5::text, $6::jsonb, 'running'
           from conversations where workspace_id = $1 and id = $2
           on conflict do nothing returning id""",
        workspace_id,
        conversation_id,
        _key(conversation_id, tool_call_id),
        epoch,
        name,
        encode_json(arguments),
    )
    return begun is not None


async def count_tool_calls(tx: Tx, workspace_id: str, conversation_id: str) -> int:
    """By the range of their ids, which begin with the conversation's."""
    count: int = await tx.fetchval(
        """select count(*) from tool_calls t join conversations c on c.id = t.conversation_id
           where c.workspace_id = $1 and c.id = $2 and t.id >= $2 || '/' and t.id < $2 || '0'""",
        workspace_id,
        conversation_id,
    )
    return count


async def count_done_tool_calls(tx: Tx, workspace_id: str, conversation_id: str, name: str) -> int:
    """How often this tool has done what it does."""
    count: int = await tx.fetchval(
        """select count(*) from tool_calls t join conversations c on c.id = t.conversation_id
           where c.workspace_id = $1 and c.id = $2 and t.id >= $2 || '/' and t.id < $2 || '0'
             and t.name = $3 and t.status = 'done'""",
        workspace_id,
        conversation_id,
        name,
    )
    return count


async def find_tool_call(
    tx: Tx, workspace_id: str, conversation_id: str, tool_call_id: str
) -> StoredToolCall | None:
    row = await tx.fetchrow(
        """select t.name, t.status, t.result::text as result, t.duration_ms
           from tool_calls t join conversations c on c.id = t.conversation_id
           where c.workspace_id = $1 and c.id = $2 and t.id = $3""",
        workspace_id,
        conversation_id,
        _key(conversation_id, tool_call_id),
    )
    return None if row is None else StoredToolCall(**dict(row))


async def finish_tool_call(
    tx: Tx,
    workspace_id: str,
    conversation_id: str,
    tool_call_id: str,
    *,
    status: str,
    result: object,
    duration_ms: int,
) -> None:
    """What came of it; the first answer counts."""
    await tx.execute(
        """update tool_calls t set status = $4, result = $5, duration_ms = $6
           from conversations c
           where c.workspace_id = $1 and c.id = $2 and t.conversation_id = c.id and t.id = $3
             and t.status = 'running'""",
        workspace_id,
        conversation_id,
        _key(conversation_id, tool_call_id),
        status,
        encode_json(result),
        duration_ms,
    )


def _key(conversation_id: str, tool_call_id: str) -> str:
    """A worker makes its ids unique within one call only."""
    return f"{conversation_id}/{tool_call_id}"
