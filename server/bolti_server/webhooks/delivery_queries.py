"""The work on deliveries: making them out of the log, taking the due ones, writing down what came of a try.

`attempts` holds the tries that ended, `attempt_count` counts those that were begun: one more while a try is out. Who
takes a delivery moves `next_at` to when it is taken for lost, so that a crash between sending and writing down leads to
another try; the number of the try is the fence: a result of an earlier one is not written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from bolti_server.base.clock import rfc3339
from bolti_server.base.db import Tx, decode_json, encode_json
from bolti_server.base.events import LoggedEvent

# Held by who fans out: one at a time.
_FAN_OUT_LOCK = 0x626F6C7469_01


@attrs.frozen
class NewEvent:
    """An event of the log that was not fanned out yet."""

    id: str
    workspace_id: str
    position: int
    type: str
    subject_id: str
    sequence: int


@attrs.frozen
class Subscriber:
    """An enabled endpoint: event type → position of the log after which it is subscribed."""

    id: str
    workspace_id: str
    subscriptions: Mapping[str, int]


@attrs.frozen
class NewDelivery:
    id: str
    endpoint_id: str
    event: NewEvent


@attrs.frozen
class Claimed:
    """A delivery that this process is to send now. `tries`: how many, with this one, since the start or the replay."""

    id: str
    workspace_id: str
    endpoint_id: str
    url: str
    secret_encrypted: bytes
    has_legacy_headers: bool
    attempt_number: int
    tries: int
    started_at: datetime
    event: LoggedEvent


@attrs.frozen
class Failing:
    """Of an endpoint that has just failed: since when it does nothing else, in seconds."""

    is_enabled: bool
    seconds: float


async def take_fan_out_lock_of_any_workspace(tx: Tx) -> bool:
    """Whether this transaction is the one that fans out."""
    is_mine: bool = await tx.fetchval("select pg_try_advisory_xact_lock($1)", _FAN_OUT_LOCK)
    return is_mine


async def next_events_of_any_workspace(tx: Tx, *, limit: int) -> list[NewEvent]:
    """What was not fanned out yet, each workspace's in the order of its log."""
    rows = await tx.fetch(
        """select id, workspace_id, position, type, subject_id, sequence from events
           where fanned_out_at is null order by workspace_id, position limit $1""",
        limit,
    )
    return [NewEvent(**dict(row)) for row in rows]


async def subscribers_of_any_workspace(tx: Tx, workspace_ids: Sequence[str]) -> list[Subscriber]:
    """The enabled endpoints of these workspaces; none is disabled or deleted before this transaction ends."""
    rows = await tx.fetch(
        """select id, workspace_id, subscriptions::text as subscriptions from webhook_endpoints
           where workspace_id = any ($1::text[]) and deleted_at is null and status = 'enabled'
           order by id for share""",
        list(workspace_ids),
    )
    return [
        Subscriber(row["id"], row["workspace_id"], decode_json(row["subscriptions"]))
        for row in rows
    ]


async def insert_deliveries_of_any_workspace(tx: Tx, deliveries: Sequence[NewDelivery]) -> None:
    """Due at once."""
    await tx.execute(
        """insert into webhook_deliveries (
               id, workspace_id, webhook_endpoint_id, event_id, event_type, subject_id, sequence, next_at)
           select id, workspace_id, endpoint_id, event_id, event_type, subject_id, sequence, bolti_now()
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
               as made (id, workspace_id, endpoint_id, event_id, event_type, subject_id, sequence)
           on conflict (webhook_endpoint_id, event_id) do nothing""",
        [each.id for each in deliveries],
        [each.event.workspace_id for each in deliveries],
        [each.endpoint_id for each in deliveries],
        [each.event.id for each in deliveries],
        [each.event.type for each in deliveries],
        [each.event.subject_id for each in deliveries],
        [each.event.sequence for each in deliveries],
    )


async def mark_fanned_out_of_any_workspace(tx: Tx, event_ids: Sequence[str]) -> None:
    await tx.execute(
        "update events set fanned_out_at = bolti_now() where id = any($1::text[])", list(event_ids)
    )


# A first try waits until the first tries of earlier events of its subject have ended; retries wait for nobody.
_CLAIM = """
with candidates as materialized (
    select d.id, d.webhook_endpoint_id, d.next_at, d.subject_id, d.sequence
    from webhook_deliveries d
    where d.next_at <= bolti_now() and d.webhook_endpoint_id <> all ($2::text[])
      and (d.attempt_count > 0 or not exists (
          select from webhook_deliveries p
          where p.webhook_endpoint_id = d.webhook_endpoint_id and p.subject_id = d.subject_id
            and p.sequence < d.sequence and p.status = 'pending' and p.attempts = '[]'))
    order by d.next_at, d.subject_id, d.sequence limit 500
), ranked as (
    select id, next_at, row_number() over (
        partition by webhook_endpoint_id order by next_at, subject_id, sequence) as nth
    from candidates
), taken as materialized (
    select d.id from webhook_deliveries d join ranked r on r.id = d.id
    where r.nth <= $3 and d.next_at <= bolti_now()
    order by r.next_at limit $1
    for update of d skip locked
), begun as (
    update webhook_deliveries d
    set attempt_count = d.attempt_count + 1,
        next_at = bolti_now() + make_interval(secs => $4::double precision),
        attempts = case when d.attempt_count = jsonb_array_length(d.attempts) then d.attempts
            else d.attempts || jsonb_build_array(jsonb_build_object(
                'at', to_char((d.next_at - make_interval(secs => $4::double precision)) at time zone 'UTC',
                              'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                'status', null, 'error', $5::text, 'duration_ms', 0)) end
    from taken t where d.id = t.id
    returning d.id, d.workspace_id, d.webhook_endpoint_id, d.event_id, d.attempt_count, d.replay_base
)
select b.id, b.workspace_id, e.id as endpoint_id, e.url, e.secret_encrypted, e.has_legacy_headers,
       b.attempt_count as attempt_number, b.attempt_count - b.replay_base as tries, bolti_now() as started_at,
       v.id as event_id, v.type as event_type, v.created_at as event_created_at, v.sequence as event_sequence,
       v.simulated as event_simulated, v.data::text as event_data
from begun b join webhook_endpoints e on e.id = b.webhook_endpoint_id join events v on v.id = b.event_id
order by v.position
"""


async def claim_due_of_any_workspace(
    tx: Tx,
    *,
    limit: int,
    limit_per_endpoint: int,
    busy_endpoint_ids: Sequence[str],
    lost_after_seconds: float,
    lost_text: str,
) -> list[Claimed]:
    """Takes deliveries whose time has come, none of a busy endpoint, each for one process alone."""
    rows = await tx.fetch(
        _CLAIM, limit, list(busy_endpoint_ids), limit_per_endpoint, lost_after_seconds, lost_text
    )
    return [_claimed(dict(row)) for row in rows]


async def note_success(tx: Tx, workspace_id: str, endpoint_id: str) -> None:
    """The endpoint does not do nothing but fail."""
    await tx.execute(
        """update webhook_endpoints set failing_since = null
           where workspace_id = $1 and id = $2 and failing_since is not null""",
        workspace_id,
        endpoint_id,
    )


async def note_failure(tx: Tx, workspace_id: str, endpoint_id: str) -> Failing | None:
    """None where the endpoint was deleted."""
    row = await tx.fetchrow(
        """update webhook_endpoints set failing_since = coalesce(failing_since, bolti_now())
           where workspace_id = $1 and id = $2 and deleted_at is null
           returning status = 'enabled' as is_enabled,
                     extract(epoch from bolti_now() - failing_since)::double precision as seconds""",
        workspace_id,
        endpoint_id,
    )
    return None if row is None else Failing(**dict(row))


async def record_successes(
    tx: Tx, workspace_id: str, claimed: Sequence[Claimed], attempts: Sequence[Mapping[str, Any]]
) -> set[str]:
    """The ids of those that were not given up as lost in the meantime. `attempts`: one for each."""
    rows = await tx.fetch(
        """update webhook_deliveries d
           set attempts = d.attempts || t.attempt, status = 'delivered', delivered_at = bolti_now(), next_at = null
           from unnest($2::text[], $3::integer[], $4::jsonb[]) as t (id, attempt_count, attempt)
           where d.workspace_id = $1 and d.id = t.id and d.attempt_count = t.attempt_count
           returning d.id""",
        workspace_id,
        [each.id for each in claimed],
        [each.attempt_number for each in claimed],
        [encode_json([attempt]) for attempt in attempts],
    )
    return {row["id"] for row in rows}


async def record_failure(
    tx: Tx,
    workspace_id: str,
    claimed: Claimed,
    attempt: dict[str, Any],
    *,
    wait_seconds: float | None,
) -> bool:
    """Due again in `wait_seconds`, or dead (None), unless it has been dropped while it was out.

    False where the try was given up as lost in the meantime.
    """
    done = await tx.fetchval(
        """update webhook_deliveries
           set attempts = attempts || $4::jsonb,
               status = case when status = 'pending' and $5::double precision is null then 'dead' else status end,
               next_at = case when status = 'pending'
                   then bolti_now() + make_interval(secs => $5::double precision) end
           where workspace_id = $1 and id = $2 and attempt_count = $3
           returning id""",
        workspace_id,
        claimed.id,
        claimed.attempt_number,
        encode_json([attempt]),
        wait_seconds,
    )
    return done is not None


async def delete_expired_of_any_workspace(tx: Tx, *, days: int, limit: int) -> int:
    """How many dead deliveries were old enough to be forgotten."""
    count: int = await tx.fetchval(
        """with old as (
               select id from webhook_deliveries
               where status = 'dead' and created_at < bolti_now() - make_interval(days => $1)
               limit $2 for update skip locked
           ), gone as (
               delete from webhook_deliveries d using old where d.id = old.id returning d.id)
           select count(*) from gone""",
        days,
        limit,
    )
    return count


def _claimed(row: dict[str, Any]) -> Claimed:
    event = LoggedEvent(
        id=row.pop("event_id"),
        type=row.pop("event_type"),
        created_at=rfc3339(row.pop("event_created_at")),
        workspace_id=row["workspace_id"],
        sequence=row.pop("event_sequence"),
        simulated=row.pop("event_simulated"),
        data=decode_json(row.pop("event_data")),
    )
    return Claimed(**row, event=event)
