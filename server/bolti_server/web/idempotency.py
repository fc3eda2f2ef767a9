"""`Idempotency-Key`: the same request twice has one effect and one answer.

Rules: the claim is a row in the transaction of the effect, so both are there or neither; a refusal rolls it back, so that
topping up and retrying works. A second request waits up to WAIT_MS for the first, then 409. Scope: workspace, operation,
key. The same key with another request is 422. A stored answer is sealed: it may hold a secret that is shown once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import asyncpg
import attrs
import msgspec
from litestar import Request, Response

from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal
from bolti_server.web import queries
from bolti_server.web.authentication import Caller
from bolti_server.web.responses import bytes_response, empty_response
from bolti_server.world import World

KEEP_DAYS = 7
WAIT_MS = 2000
SECONDS_PER_DAY = 86_400
REPLAYED = "Idempotency-Replayed"


@attrs.frozen
class Answer:
    """What a route answers; `body` None is an empty one."""

    status: int
    body: msgspec.Struct | None
    headers: Mapping[str, str] = attrs.field(factory=dict)


Work = Callable[[Tx], Awaitable[Answer]]


async def idempotently(
    world: World,
    request: Request[Any, Any, Any],
    caller: Caller,
    work: Work,
    *,
    days: int = KEEP_DAYS,
) -> Response[Any]:
    """Runs `work` in a transaction and answers what it returns; with an Idempotency-Key at most once per key.

    The body must have been read (`body_of`). Raises what `work` raises (all is rolled back, the claim too), and Refusal
    409 idempotency_in_progress and 422 idempotency_mismatch.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        async with world.db.transaction() as tx:
            answer = await work(tx)
        return _response(answer.status, _encoded(answer), answer.headers)
    operation_id = str(request.route_handler.operation_id)
    fingerprint = await _fingerprint(request, caller.workspace_id)
    async with world.db.transaction() as tx:
        stored = await _claim(tx, caller.workspace_id, operation_id, key, fingerprint, days)
        if stored is not None:
            return _replay(world, caller.workspace_id, operation_id, key, fingerprint, stored)
        answer = await work(tx)
        content = _encoded(answer)
        await queries.finish(
            tx,
            caller.workspace_id,
            operation_id,
            key,
            status=answer.status,
            body=world.vault.encrypt(content, **_place(caller.workspace_id, operation_id, key)),
            headers=answer.headers,
        )
    return _response(answer.status, content, answer.headers)


async def _claim(
    tx: Tx, workspace_id: str, operation_id: str, key: str, fingerprint: bytes, days: int
) -> queries.StoredAnswer | None:
    """None where the key is ours; else what is stored."""
    for _ in range(2):  # twice: an expired record makes place
        try:
            if await queries.claim(
                tx,
                workspace_id,
                operation_id,
                key,
                fingerprint=fingerprint,
                keep_seconds=days * SECONDS_PER_DAY,
                wait_ms=WAIT_MS,
            ):
                return None
        except asyncpg.LockNotAvailableError:
            raise _in_progress() from None
        stored = await queries.find(tx, workspace_id, operation_id, key)
        if stored is not None and not stored.is_expired:
            return stored
        await queries.forget_expired(tx, workspace_id, operation_id, key)
    raise _in_progress()


def _replay(
    world: World,
    workspace_id: str,
    operation_id: str,
    key: str,
    fingerprint: bytes,
    stored: queries.StoredAnswer,
) -> Response[Any]:
    if stored.fingerprint != fingerprint:
        raise Refusal(
            422,
            "idempotency_mismatch",
            "This Idempotency-Key was used with another body. Take a new key for a new request.",
        )
    assert stored.status is not None, "claim and answer commit together"
    content = world.vault.decrypt(stored.body, **_place(workspace_id, operation_id, key))
    return _response(stored.status, content, {**stored.headers, REPLAYED: "true"})


async def _fingerprint(request: Request[Any, Any, Any], workspace_id: str) -> bytes:
    """Of method, path and body as they were sent. `/v1` and `current` make no difference."""
    path = request.scope["path"].replace("/workspaces/current", f"/workspaces/{workspace_id}", 1)
    head = f"{request.method} {path}\n".encode()
    return hashlib.sha256(head + await request.body()).digest()


def _place(workspace_id: str, operation_id: str, key: str) -> dict[str, str]:
    return {
        "workspace_id": workspace_id,
        "table": "idempotency_records",
        "row_id": f"{operation_id}:{key}",
        "field": "body",
    }


def _encoded(answer: Answer) -> bytes:
    return b"" if answer.body is None else msgspec.json.encode(answer.body)


def _response(status: int, content: bytes, headers: Mapping[str, str]) -> Response[Any]:
    if not content:
        return empty_response(status, headers)
    return bytes_response(content, status, headers)


def _in_progress() -> Refusal:
    return Refusal(
        409,
        "idempotency_in_progress",
        "The first request with this Idempotency-Key is still running. Try again in a second.",
        headers={"Retry-After": "1"},
    )
