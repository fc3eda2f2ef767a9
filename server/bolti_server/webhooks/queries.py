"""Questions about endpoints and what was sent to them. Deleted endpoints are not found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from bolti_server.base.db import Tx, decode_json, encode_json


@attrs.frozen
class StoredEndpoint:
    """`subscriptions`: event type → position of the log after which it is subscribed."""

    id: str
    workspace_id: str
    url: str
    description: str
    status: str
    disabled_reason: str | None
    has_legacy_headers: bool
    subscriptions: Mapping[str, int]
    created_at: datetime


@attrs.frozen
class StoredDelivery:
    """`attempts`: encoded list of DeliveryAttempt."""

    id: str
    webhook_endpoint_id: str
    event_id: str
    event_type: str
    status: str
    attempts: str
    next_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None


_ENDPOINT = """
    select id, workspace_id, url, description, status, disabled_reason, has_legacy_headers,
           subscriptions::text as subscriptions, created_at
    from webhook_endpoints where workspace_id = $1 and deleted_at is null"""

_DELIVERIES = """
    select id, webhook_endpoint_id, event_id, event_type, status, attempts::text as attempts,
           next_at, created_at, delivered_at
    from webhook_deliveries where workspace_id = $1 and webhook_endpoint_id = $2"""


async def hold_log_position(tx: Tx, workspace_id: str) -> int:
    """The position of the workspace's last event. Nobody gets a higher one before this transaction ends, so that
    whoever is subscribed "after" it gets exactly what commits later."""
    position: int = await tx.fetchval(
        """insert into event_counters as c (workspace_id, last_position) values ($1, 0)
           on conflict (workspace_id) do update set last_position = c.last_position
           returning last_position""",
        workspace_id,
    )
    return position


async def insert_endpoint(
    tx: Tx,
    workspace_id: str,
    endpoint_id: str,
    *,
    url: str,
    description: str,
    secret_encrypted: bytes,
    has_legacy_headers: bool,
    subscriptions: Mapping[str, int],
) -> None:
    await tx.execute(
        """insert into webhook_endpoints (
               id, workspace_id, url, description, secret_encrypted, has_legacy_headers, subscriptions)
           values ($2, $1, $3, $4, $5, $6, $7::jsonb)""",
        workspace_id,
        endpoint_id,
        url,
        description,
        secret_encrypted,
        has_legacy_headers,
        encode_json(subscriptions),
    )


async def find_endpoint(tx: Tx, workspace_id: str, endpoint_id: str) -> StoredEndpoint | None:
    row = await tx.fetchrow(f"{_ENDPOINT} and id = $2", workspace_id, endpoint_id)
    return None if row is None else _endpoint(row)


async def lock_endpoint(tx: Tx, workspace_id: str, endpoint_id: str) -> StoredEndpoint | None:
    """The endpoint, held until the transaction ends."""
    row = await tx.fetchrow(f"{_ENDPOINT} and id = $2 for update", workspace_id, endpoint_id)
    return None if row is None else _endpoint(row)


async def list_endpoints(
    tx: Tx, workspace_id: str, *, limit: int, before_id: str | None
) -> list[StoredEndpoint]:
    """Newest first; `before_id` is the last id of the page before."""
    rows = await tx.fetch(
        f"{_ENDPOINT} and ($2::text is null or id < $2) order by id desc limit $3",
        workspace_id,
        before_id,
        limit,
    )
    return [_endpoint(row) for row in rows]


async def save_endpoint(tx: Tx, workspace_id: str, endpoint: StoredEndpoint) -> None:
    """Everything that can change of it; one that is enabled has not failed yet."""
    await tx.execute(
        """update webhook_endpoints
           set url = $3, description = $4, status = $5, disabled_reason = $6, has_legacy_headers = $7,
               subscriptions = $8::jsonb,
               failing_since = case when $5 = 'enabled' and status = 'enabled' then failing_since end
           where workspace_id = $1 and id = $2 and deleted_at is null""",
        workspace_id,
        endpoint.id,
        endpoint.url,
        endpoint.description,
        endpoint.status,
        endpoint.disabled_reason,
        endpoint.has_legacy_headers,
        encode_json(endpoint.subscriptions),
    )


async def delete_endpoint(tx: Tx, workspace_id: str, endpoint_id: str) -> bool:
    """Whether there was one."""
    done = await tx.fetchval(
        """update webhook_endpoints set deleted_at = bolti_now()
           where workspace_id = $1 and id = $2 and deleted_at is null returning id""",
        workspace_id,
        endpoint_id,
    )
    return done is not None


async def drop_pending_deliveries(tx: Tx, workspace_id: str, endpoint_id: str) -> None:
    """What still waits for this endpoint waits no longer; a replay can send it again."""
    await tx.execute(
        """update webhook_deliveries set status = 'dead', next_at = null
           where workspace_id = $1 and webhook_endpoint_id = $2 and status = 'pending'""",
        workspace_id,
        endpoint_id,
    )


async def list_deliveries(
    tx: Tx,
    workspace_id: str,
    endpoint_id: str,
    *,
    status: str | None,
    limit: int,
    before_id: str | None,
) -> list[StoredDelivery]:
    """Newest first; `before_id` is the last id of the page before."""
    rows = await tx.fetch(
        f"""{_DELIVERIES} and ($3::text is null or status = $3) and ($4::text is null or id < $4)
            order by id desc limit $5""",
        workspace_id,
        endpoint_id,
        status,
        before_id,
        limit,
    )
    return [StoredDelivery(**dict(row)) for row in rows]


async def restart_delivery(
    tx: Tx, workspace_id: str, endpoint_id: str, delivery_id: str
) -> StoredDelivery | None:
    """Due now, with all its tries before it; one that is being sent at this moment is that try. None: no such one."""
    row = await tx.fetchrow(
        """update webhook_deliveries
            set status = 'pending', delivered_at = null,
                replay_base = jsonb_array_length(attempts),
                next_at = case when attempt_count > jsonb_array_length(attempts) and next_at is not null
                          then next_at else bolti_now() end
            where workspace_id = $1 and webhook_endpoint_id = $2 and id = $3
            returning id, webhook_endpoint_id, event_id, event_type, status, attempts::text as attempts,
                      next_at, created_at, delivered_at""",
        workspace_id,
        endpoint_id,
        delivery_id,
    )
    return None if row is None else StoredDelivery(**dict(row))


async def insert_ping(tx: Tx, workspace_id: str, delivery: StoredDelivery) -> None:
    """The delivery of a `test.ping` that this transaction has logged: to this endpoint and to no other."""
    await tx.execute(
        """with ping as (
               update events set fanned_out_at = bolti_now() where workspace_id = $1 and id = $4
               returning subject_id, sequence)
           insert into webhook_deliveries (
               id, workspace_id, webhook_endpoint_id, event_id, event_type, subject_id, sequence, next_at, created_at)
           select $2, $1, $3, $4, $5, subject_id, sequence, $6, $6 from ping""",
        workspace_id,
        delivery.id,
        delivery.webhook_endpoint_id,
        delivery.event_id,
        delivery.event_type,
        delivery.created_at,
    )


async def now_of_any_workspace(tx: Tx) -> datetime:
    """`bolti_now()`."""
    now: datetime = await tx.fetchval("select bolti_now()")
    return now


def _endpoint(row: Mapping[str, Any]) -> StoredEndpoint:
    fields = dict(row)
    return StoredEndpoint(**{**fields, "subscriptions": decode_json(fields["subscriptions"])})
