"""Statements about idempotency records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from bolti_server.base.db import Tx, decode_json, encode_json


@attrs.frozen
class StoredAnswer:
    """`status` is None where the request never finished; `body` is sealed."""

    fingerprint: bytes
    status: int | None
    body: bytes
    headers: Mapping[str, str]
    is_expired: bool


# One round trip: the lock timeout is set before the row is tried (`where` needs the value, `offset 0` keeps the scan
# apart) and taken back after it is in (`returning`), so that what follows in the transaction waits as it always does.
_CLAIM = """
insert into idempotency_records (workspace_id, operation_id, idempotency_key, fingerprint, expires_at)
select $1, $2, $3, $4, bolti_now() + make_interval(secs => $5)
from (select set_config('lock_timeout', $6, true) as timeout offset 0) as setting
where setting.timeout is not null
on conflict do nothing
returning set_config('lock_timeout', '0', true)
"""


async def claim(
    tx: Tx,
    workspace_id: str,
    operation_id: str,
    key: str,
    *,
    fingerprint: bytes,
    keep_seconds: float,
    wait_ms: int,
) -> bool:
    """Whether the key is ours now. Waits for another transaction that claims it, at most `wait_ms`: then it raises
    asyncpg.LockNotAvailableError."""
    done = await tx.fetchval(
        _CLAIM, workspace_id, operation_id, key, fingerprint, float(keep_seconds), f"{wait_ms}ms"
    )
    return done is not None


async def find(tx: Tx, workspace_id: str, operation_id: str, key: str) -> StoredAnswer | None:
    row = await tx.fetchrow(
        """select fingerprint, status, body, headers, expires_at <= bolti_now() as is_expired
           from idempotency_records
           where workspace_id = $1 and operation_id = $2 and idempotency_key = $3""",
        workspace_id,
        operation_id,
        key,
    )
    if row is None:
        return None
    headers: Any = decode_json(row["headers"])
    return StoredAnswer(
        row["fingerprint"], row["status"], row["body"] or b"", headers, row["is_expired"]
    )


async def forget_expired(tx: Tx, workspace_id: str, operation_id: str, key: str) -> None:
    await tx.execute(
        """delete from idempotency_records where workspace_id = $1 and operation_id = $2
           and idempotency_key = $3 and expires_at <= bolti_now()""",
        workspace_id,
        operation_id,
        key,
    )


async def finish(
    tx: Tx,
    workspace_id: str,
    operation_id: str,
    key: str,
    *,
    status: int,
    body: bytes,
    headers: Mapping[str, str],
) -> None:
    await tx.execute(
        """update idempotency_records set status = $4, body = $5, headers = $6
           where workspace_id = $1 and operation_id = $2 and idempotency_key = $3""",
        workspace_id,
        operation_id,
        key,
        status,
        body,
        encode_json(dict(headers)),
    )


async def delete_expired_of_any_workspace(tx: Tx, *, limit: int) -> int:
    """Deletes at most `limit` records whose time is over and returns how many."""
    done = await tx.fetch(
        """delete from idempotency_records where (workspace_id, operation_id, idempotency_key) in (
               select workspace_id, operation_id, idempotency_key from idempotency_records
               where expires_at <= bolti_now() order by expires_at limit $1 for update skip locked)
           returning 1""",
        limit,
    )
    return len(done)
