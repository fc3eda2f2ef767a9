"""What of the calls is due: deadlines that passed, workers that are gone, recordings that never came. Looks only."""

from __future__ import annotations

from bolti_server.base.db import Tx


async def find_overdue_of_any_workspace(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """(workspace_id, conversation_id) of those whose deadline passed, the longest due first."""
    rows = await tx.fetch(
        """select workspace_id, id from conversations
           where ended_at is null and deadline_at <= bolti_now() order by deadline_at limit $1""",
        limit,
    )
    return [(row["workspace_id"], row["id"]) for row in rows]


async def find_lost_of_any_workspace(
    tx: Tx, limit: int, *, cut_seconds: int, silent_seconds: float | None, judges_rescues: bool
) -> list[tuple[str, str]]:
    """(workspace_id, conversation_id) of calls whose worker is gone: its connection was cut `cut_seconds` ago, or it has
    not been heard of for `silent_seconds` (None: that is not looked at), or (`judges_rescues`) it should have taken the
    call over and did not come in time."""
    rows = await tx.fetch(
        """select workspace_id, id from conversations
           where ended_at is null and status <> 'scheduled' and worker_id is not null
             and (line_lost_at <= bolti_now() - $2::integer * interval '1 second'
                  or heartbeat_at <= bolti_now() - $3::float8 * interval '1 second'
                  or $4::boolean and rescue_due_at <= bolti_now())
           order by id limit $1""",
        limit,
        cut_seconds,
        silent_seconds,
        judges_rescues,
    )
    return [(row["workspace_id"], row["id"]) for row in rows]


async def is_agent_lost(
    tx: Tx,
    workspace_id: str,
    conversation_id: str,
    *,
    cut_seconds: int,
    silent_seconds: float | None,
    judges_rescues: bool,
) -> bool:
    """What `find_lost_of_any_workspace` says of this one, asked again under its lock."""
    lost = await tx.fetchval(
        """select line_lost_at <= bolti_now() - $3::integer * interval '1 second'
               or heartbeat_at <= bolti_now() - $4::float8 * interval '1 second'
               or $5::boolean and rescue_due_at <= bolti_now()
           from conversations
           where workspace_id = $1 and id = $2 and ended_at is null and worker_id is not null""",
        workspace_id,
        conversation_id,
        cut_seconds,
        silent_seconds,
        judges_rescues,
    )
    return lost is True


async def find_recordings_overdue_of_any_workspace(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """(workspace_id, conversation_id) of ended calls whose recording never came."""
    rows = await tx.fetch(
        """select workspace_id, id from conversations
           where next_at <= bolti_now() and ended_at is not null and recording_status = 'pending'
           order by next_at limit $1""",
        limit,
    )
    return [(row["workspace_id"], row["id"]) for row in rows]
