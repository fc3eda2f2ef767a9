"""Making conversations and giving them places: the statements that decide who may be dialed now.

Rule: a workspace's places are given under the lock of its row (`lock_places`), taken before any conversation or ledger
row, so that any number of servers and dispatchers give no place twice. Who waits for a place has `next_at` set and is
not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from bolti_server.base.db import Tx, encode_json

_INSERT = """
    with clock as materialized (select bolti_now() as now)
    insert into conversations (
        workspace_id, id, organization_id, agent_id, agent_version, agent_phone_number_id, direction,
        status, simulated, from_number, to_number, variable_values, scenario, idempotency_key,
        allows_concurrent_to_callee, queues_when_limited, queue_timeout_seconds, max_duration_seconds,
        ring_timeout_seconds, scheduled_call_id, scheduled_at, created_at, deadline_at, queued_at, next_at,
        script, line, trunk_id, room_name)
    select $1, $2, $3, $4, $5::integer, $6, 'outbound',
        $7, $8::boolean, $9, $10::text, $11::jsonb, $12, $13,
        $14::boolean, $15::boolean, $16::integer, $17::integer,
        $18::integer, $19, $20::timestamptz, now,
        coalesce($20::timestamptz, now) + $21::integer * interval '1 second',
        case when $20::timestamptz is null then now end,
        case when $22::boolean then now else $20::timestamptz end,
        $23, $24::text, $25, case when $24 = 'room' then $2 end
    from clock"""
# What this statement can't see because it is newer breaks the unique index instead.
_WHERE_FREE = """
    cross join (select count(*) filter (where next_at is null) as live,
                 count(*) filter (where direction = 'outbound' and to_number = $10) as with_callee
          from conversations where workspace_id = $1 and ended_at is null and status <> 'scheduled') as places
    where places.live < $26 and ($14 or places.with_callee = 0)"""
_UNLESS_TAKEN = """
    on conflict do nothing returning id"""


@attrs.frozen
class Draft:
    """A conversation that is to be made. `scheduled_at` None: it is to be dialed now."""

    id: str
    organization_id: str
    agent_id: str
    agent_version: int
    agent_phone_number_id: str
    simulated: bool
    from_number: str
    to_number: str
    variable_values: Mapping[str, object]
    scenario: str | None
    script: str | None
    line: str  # audio, text or room
    trunk_id: str | None  # of a room: what carries it
    idempotency_key: str | None
    allows_concurrent_to_callee: bool
    queues_when_limited: bool
    queue_timeout_seconds: int | None
    max_duration_seconds: int
    ring_timeout_seconds: int
    scheduled_call_id: str | None
    scheduled_at: datetime | None


@attrs.frozen
class Places:
    """How many calls the workspace has, and which of them is with a callee (None: none)."""

    live: int
    conversation_id_of_callee: str | None


@attrs.frozen
class DueCall:
    """A conversation whose time to be queued has come, held until the transaction ends."""

    id: str
    workspace_id: str
    organization_id: str
    agent_id: str
    agent_phone_number_id: str
    status: str
    simulated: bool
    to_number: str
    allows_concurrent_to_callee: bool
    queues_when_limited: bool
    queue_timeout_seconds: int | None
    max_duration_seconds: int
    is_late: bool


async def now_of_any_workspace(tx: Tx) -> datetime:
    """The database's now."""
    instant: datetime = await tx.fetchval("select bolti_now()")
    return instant


async def find_limit(tx: Tx, workspace_id: str) -> int:
    """How many calls the workspace may have at one time."""
    limit: int = await tx.fetchval(
        "select max_concurrent_calls from workspaces where id = $1", workspace_id
    )
    return limit


async def lock_places(tx: Tx, workspace_id: str) -> int:
    """How many calls the workspace may have at one time. Who gives its places comes one after the other."""
    limit: int = await tx.fetchval(
        "select max_concurrent_calls from workspaces where id = $1 for no key update", workspace_id
    )
    return limit


async def find_places(
    tx: Tx, workspace_id: str, to_number: str, *, but_for: str | None = None
) -> Places:
    """`but_for` is a conversation that does not count as being with the callee (it asks for itself)."""
    row = await tx.fetchrow(
        """select count(*) filter (where next_at is null) as live,
                  min(id) filter (where direction = 'outbound' and to_number = $2 and id is distinct from $3)
                      as conversation_id_of_callee
           from conversations where workspace_id = $1 and ended_at is null and status <> 'scheduled'""",
        workspace_id,
        to_number,
        but_for,
    )
    assert row is not None, "an aggregate has one row"
    return Places(row["live"], row["conversation_id_of_callee"])


async def insert_queued(
    tx: Tx, workspace_id: str, draft: Draft, *, max_concurrent_calls: int, deadline_seconds: int
) -> bool:
    """Makes it `queued`, claimable at once. False (and nothing made) where there is no free place or, unless the
    request allows it, another call of the workspace is with the callee."""
    made = await tx.fetchval(
        _INSERT + _WHERE_FREE + _UNLESS_TAKEN,
        *_arguments(workspace_id, draft, "queued", deadline_seconds, waits=False),
        max_concurrent_calls,
    )
    return made is not None


async def insert_waiting(tx: Tx, workspace_id: str, draft: Draft, *, deadline_seconds: int) -> bool:
    """Makes it `queued`, waiting for a free place. False where another call is with the callee by now."""
    made = await tx.fetchval(
        _INSERT + _UNLESS_TAKEN,
        *_arguments(workspace_id, draft, "queued", deadline_seconds, waits=True),
    )
    return made is not None


async def insert_scheduled(tx: Tx, workspace_id: str, draft: Draft, *, grace_seconds: int) -> None:
    """Makes it `scheduled`: due at its instant, over `grace_seconds` after it."""
    await tx.execute(
        _INSERT, *_arguments(workspace_id, draft, "scheduled", grace_seconds, waits=False)
    )


async def shorten_cap(
    tx: Tx, workspace_id: str, conversation_id: str, max_duration_seconds: int
) -> None:
    """The balance covers only so much."""
    await tx.execute(
        """update conversations set max_duration_seconds = $3, is_cap_shortened = true
           where workspace_id = $1 and id = $2""",
        workspace_id,
        conversation_id,
        max_duration_seconds,
    )


async def let_in(tx: Tx, workspace_id: str, conversation_id: str, *, deadline_seconds: int) -> None:
    """A waiting call gets its place: claimable from now on."""
    await tx.execute(
        """update conversations
           set next_at = null, queued_at = bolti_now(),
               deadline_at = bolti_now() + $3::integer * interval '1 second'
           where workspace_id = $1 and id = $2""",
        workspace_id,
        conversation_id,
        deadline_seconds,
    )


async def let_wait(
    tx: Tx, workspace_id: str, conversation_id: str, *, deadline_seconds: int
) -> None:
    """A call that was just queued waits for a free place instead, at most until its deadline."""
    await tx.execute(
        """update conversations
           set next_at = bolti_now(), deadline_at = bolti_now() + $3::integer * interval '1 second'
           where workspace_id = $1 and id = $2""",
        workspace_id,
        conversation_id,
        deadline_seconds,
    )


async def postpone(tx: Tx, workspace_id: str, conversation_id: str, *, delay_seconds: int) -> None:
    """Looks at a due call again later; its deadline stays."""
    await tx.execute(
        """update conversations set next_at = bolti_now() + $3::integer * interval '1 second'
           where workspace_id = $1 and id = $2 and ended_at is null and next_at is not null""",
        workspace_id,
        conversation_id,
        delay_seconds,
    )


async def lock_due_call(tx: Tx, workspace_id: str, conversation_id: str) -> DueCall | None:
    """None where it is not due (any more) or another dispatcher has it."""
    row = await tx.fetchrow(
        """select id, workspace_id, organization_id, agent_id, agent_phone_number_id, status, simulated,
                  to_number, allows_concurrent_to_callee, queues_when_limited, queue_timeout_seconds,
                  max_duration_seconds, deadline_at <= bolti_now() as is_late
           from conversations
           where workspace_id = $1 and id = $2 and next_at <= bolti_now() and ended_at is null
           for no key update skip locked""",
        workspace_id,
        conversation_id,
    )
    return None if row is None else DueCall(**dict(row))


async def find_due_scheduled_of_any_workspace(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """(workspace_id, conversation_id) of scheduled calls whose instant has come, the longest due first."""
    rows = await tx.fetch(
        """select workspace_id, id from conversations
           where next_at <= bolti_now() and status = 'scheduled' and ended_at is null
           order by next_at limit $1""",
        limit,
    )
    return [(row["workspace_id"], row["id"]) for row in rows]


async def find_admissible_of_any_workspace(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """(workspace_id, conversation_id) of calls that wait for a place where there is one, the oldest first."""
    rows = await tx.fetch(
        """with waiting as (
               select id, workspace_id,
                      row_number() over (partition by workspace_id order by id) as place
               from conversations where next_at <= bolti_now() and status = 'queued' and ended_at is null
           )
           select waiting.workspace_id, waiting.id
           from waiting join workspaces w on w.id = waiting.workspace_id
           where waiting.place <= w.max_concurrent_calls - (
               select count(*) from conversations
               where workspace_id = w.id and ended_at is null and status <> 'scheduled' and next_at is null)
           order by waiting.id limit $1""",
        limit,
    )
    return [(row["workspace_id"], row["id"]) for row in rows]


def _arguments(
    workspace_id: str, draft: Draft, status: str, deadline_seconds: int, *, waits: bool
) -> tuple[object, ...]:
    """$1 to $25 of `_INSERT`."""
    return (
        workspace_id,
        draft.id,
        draft.organization_id,
        draft.agent_id,
        draft.agent_version,
        draft.agent_phone_number_id,
        status,
        draft.simulated,
        draft.from_number,
        draft.to_number,
        encode_json(draft.variable_values),
        draft.scenario,
        draft.idempotency_key,
        draft.allows_concurrent_to_callee,
        draft.queues_when_limited,
        draft.queue_timeout_seconds,
        draft.max_duration_seconds,
        draft.ring_timeout_seconds,
        draft.scheduled_call_id,
        draft.scheduled_at,
        deadline_seconds,
        waits,
        draft.script,
        draft.line,
        draft.trunk_id,
    )
