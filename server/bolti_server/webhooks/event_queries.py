"""Reading a workspace's numbered event log.

Positions become visible in order (`base/events.py`), so "after this position" skips nothing, however many commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from bolti_server.base.clock import rfc3339
from bolti_server.base.db import Database, Tx, decode_json
from bolti_server.base.events import LoggedEvent


@attrs.frozen
class PlacedEvent:
    """An event and its place in the workspace's log."""

    position: int
    event: LoggedEvent


_EVENTS = """
    select id, type, created_at, workspace_id, sequence, simulated, data::text as data, position
    from events
    where workspace_id = $1 and position > $2 and ($3::bigint is null or position <= $3)"""


async def find_position(reader: Tx | Database, workspace_id: str, event_id: str) -> int | None:
    position: int | None = await reader.fetchval(
        "select position from events where workspace_id = $1 and id = $2", workspace_id, event_id
    )
    return position


async def log_state(reader: Tx | Database, workspace_id: str, key_id: str) -> tuple[bool, int]:
    """(whether the key works still, the position of the last event)."""
    row = await reader.fetchrow(
        """select exists (select from api_keys where workspace_id = $1 and id = $2 and revoked_at is null
                          and (expires_at is null or expires_at > bolti_now())) as works,
                  coalesce((select last_position from event_counters where workspace_id = $1), 0) as position""",
        workspace_id,
        key_id,
    )
    assert row is not None, "a select without from has one row"
    return row["works"], row["position"]


async def events_between(
    reader: Tx | Database,
    workspace_id: str,
    after: int,
    end: int | None,
    *,
    types: Sequence[str] | None,
    subject_id: str | None,
    limit: int,
) -> list[PlacedEvent]:
    """Oldest first, after one position and up to another (None: to the end); `types`, `subject_id` None: all."""
    # A statement for each kind of question, so that each has a plan of its own: a subject is found by its index.
    of_subject = "subject_id = $5" if subject_id is not None else "$5::text is null"
    of_types = "type = any ($4::text[])" if types is not None else "$4::text[] is null"
    rows = await reader.fetch(
        f"{_EVENTS} and {of_types} and {of_subject} order by position limit $6",
        workspace_id,
        after,
        end,
        None if types is None else list(types),
        subject_id,
        limit,
    )
    return [_placed(dict(row)) for row in rows]


def _placed(row: Mapping[str, Any]) -> PlacedEvent:
    event = LoggedEvent(
        id=row["id"],
        type=row["type"],
        created_at=rfc3339(row["created_at"]),
        workspace_id=row["workspace_id"],
        sequence=row["sequence"],
        simulated=row["simulated"],
        data=decode_json(row["data"]),
    )
    return PlacedEvent(row["position"], event)
