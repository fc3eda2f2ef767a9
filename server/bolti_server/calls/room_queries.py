"""What looks after the calls in rooms asks of the database: hints, looks, rooms to close."""

from __future__ import annotations

from collections.abc import Sequence

from bolti_server.base.db import Tx


async def ask_for_look_of_any_workspace(tx: Tx, room_name: str) -> bool:
    """Somebody says that something happened in that room; whether a living conversation has it."""
    found = await tx.fetchval(
        """update conversations set room_look_at = least(room_look_at, bolti_now())
           where room_name = $1 and ended_at is null returning true""",
        room_name,
    )
    return found is True


async def take_looks_of_any_workspace(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """(workspace_id, conversation_id) of living calls whose room has to be looked into now; each is given to one."""
    rows = await tx.fetch(
        """with due as (
               select id from conversations where room_look_at <= bolti_now() and ended_at is null
               order by room_look_at limit $1 for no key update skip locked)
           update conversations c set room_look_at = null from due where c.id = due.id
           returning c.workspace_id, c.id""",
        limit,
    )
    return [(row["workspace_id"], row["id"]) for row in rows]


async def find_rooms_to_close_of_any_workspace(
    tx: Tx, limit: int
) -> Sequence[tuple[str, str, str, bool]]:
    """(workspace_id, conversation_id, room, is_transferred) of ended calls whose rooms may still be open."""
    rows = await tx.fetch(
        """select workspace_id, id, room_name, hangup_code = 'transferred' as is_transferred from conversations
           where room_name is not null and room_closed_at is null and ended_at is not null
             and (room_look_at is null or room_look_at <= bolti_now())
           order by ended_at limit $1""",
        limit,
    )
    return [
        (row["workspace_id"], row["id"], row["room_name"], row["is_transferred"]) for row in rows
    ]


async def mark_closed(tx: Tx, workspace_id: str, conversation_id: str) -> None:
    await tx.execute(
        """update conversations set room_closed_at = bolti_now(), room_look_at = null
           where workspace_id = $1 and id = $2 and room_closed_at is null""",
        workspace_id,
        conversation_id,
    )


async def look_later(tx: Tx, workspace_id: str, conversation_id: str, *, seconds: float) -> None:
    await tx.execute(
        """update conversations set room_look_at = bolti_now() + $3::float8 * interval '1 second'
           where workspace_id = $1 and id = $2""",
        workspace_id,
        conversation_id,
        seconds,
    )


async def known_rooms_of_any_workspace(tx: Tx, rooms: Sequence[str]) -> dict[str, bool]:
    """Those that a conversation had or has, and whether it still has it (or somebody is about to close it)."""
    rows = await tx.fetch(
        """select room_name, bool_or(ended_at is null or room_closed_at is null) as is_in_use from conversations
           where room_name = any($1::text[]) group by room_name""",
        list(rooms),
    )
    return {row["room_name"]: row["is_in_use"] for row in rows}
