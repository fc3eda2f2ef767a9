"""Deliveries that are due are sent, each try signed, bounded in time, and written down.

Rules: a transaction takes them, the requests go out with no transaction open, another transaction writes down what came
of each. A crash between the two leaves a delivery that is taken for lost after LOST_AFTER_SECONDS and tried again: at
least once. 2xx is success, 410 disables the endpoint, a redirect is a failure like any other answer. After the last wait
a delivery is dead; after five days of nothing but failures its endpoint is disabled.

One slow endpoint holds up nobody else: it gets at most MOST_PER_ENDPOINT of the MOST_AT_ONCE requests of a process.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Sequence

import attrs
import msgspec

from bolti_server.base.clock import rfc3339
from bolti_server.base.crypto import Undecryptable
from bolti_server.base.db import Tx, spawn
from bolti_server.base.http import HttpFailed
from bolti_server.base.logging import get_logger
from bolti_server.webhooks import delivery_queries as queries
from bolti_server.webhooks.backoff import DISABLED_AFTER_SECONDS, wait_seconds
from bolti_server.webhooks.delivery_queries import Claimed
from bolti_server.webhooks.disabling import disable
from bolti_server.webhooks.signing import Headers, legacy_headers, standard_headers
from bolti_server.webhooks.subscribing import FIELD, TABLE
from bolti_server.world import World

DEADLINE_SECONDS = 15.0
LOST_AFTER_SECONDS = 30.0  # the deadline, and time to write down what came of it
MOST_AT_ONCE = 32
MOST_PER_ENDPOINT = 8
LOOK_SECONDS = 0.2  # how often new ones are looked for while some are out
MOST_RESPONSE_BYTES = 64 * 1024  # read so that the connection ends in order; nothing is kept of it

LOST = "The server stopped before it knew the outcome."
GONE_REASON = "It answered 410 Gone."
FAILING_REASON = "Nothing but failures for 5 days."

log = get_logger("webhooks")


@attrs.frozen
class Outcome:
    """What came of one try. `status` None: there was no answer; `error` None: success."""

    status: int | None
    error: str | None
    duration_ms: int


@attrs.frozen
class Tried:
    claimed: Claimed
    outcome: Outcome


async def deliver_due(world: World) -> int:
    """Sends what is due, and what becomes due meanwhile, until nothing is out any more; how many tries that were.

    Any number of processes may do so at once. A try that raises (the database went away, say) is left to be taken for
    lost, and raised here when the others have ended.
    """
    out: dict[asyncio.Task[Tried], str] = {}
    failures: list[BaseException] = []
    begun = 0
    try:
        while True:
            if not world.wakeups.is_stopping and not failures:
                for claimed in await _claim(world, out):
                    task = spawn(_deliver(world, claimed), name=f"deliver {claimed.id}")
                    out[task] = claimed.endpoint_id
                    begun += 1
            if not out:
                break
            done, _ = await asyncio.wait(
                out, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            tried: list[Tried] = []
            for task in done:
                del out[task]
                if (error := task.exception()) is not None:
                    failures.append(error)
                else:
                    tried.append(task.result())
            failures += await _write_all_down(world, tried)
    finally:
        for task in out:
            task.cancel()
        await asyncio.gather(*out, return_exceptions=True)
    if failures:
        raise failures[0]
    return begun


async def _claim(world: World, out: dict[asyncio.Task[Tried], str]) -> list[Claimed]:
    room = MOST_AT_ONCE - len(out)
    if room <= 0:
        return []
    busy = [each for each, n in Counter(out.values()).items() if n >= MOST_PER_ENDPOINT]
    async with world.db.transaction() as tx:
        return await queries.claim_due_of_any_workspace(
            tx,
            limit=room,
            limit_per_endpoint=MOST_PER_ENDPOINT,
            busy_endpoint_ids=busy,
            lost_after_seconds=LOST_AFTER_SECONDS,
            lost_text=LOST,
        )


async def _deliver(world: World, claimed: Claimed) -> Tried:
    return Tried(claimed, await _try(world, claimed))


async def _write_all_down(world: World, tried: Sequence[Tried]) -> list[BaseException]:
    """What ended at one time in one transaction; where that fails each alone, so that one bad row holds up no other.

    What could not be written down is told, and taken for lost later.
    """
    if not tried:
        return []
    try:
        async with world.db.transaction() as tx:
            # By endpoint, and failures first: those lock it. So nobody who writes down, disables or deletes waits for
            # another crosswise.
            for each in sorted(tried, key=_endpoint_of):
                if each.outcome.error is not None:
                    await _write_down(tx, each.claimed, each.outcome)
            for _, group in itertools.groupby(sorted(tried, key=_endpoint_of), key=_endpoint_of):
                done = [each for each in group if each.outcome.error is None]
                if done:
                    await _write_successes_down(tx, done)
    except Exception as error:  # noqa: BLE001 - the job's edge: the caller raises what is left of it
        if len(tried) == 1:
            return [error]
        failures: list[BaseException] = []
        for each in tried:
            failures += await _write_all_down(world, [each])
        return failures
    return []


async def _try(world: World, claimed: Claimed) -> Outcome:
    body = msgspec.json.encode(claimed.event)
    started = world.clock.monotonic()
    try:
        answer = await world.http.send(
            "POST",
            claimed.url,
            headers=_headers(world, claimed, body),
            body=body,
            timeout_seconds=DEADLINE_SECONDS,
            max_response_bytes=MOST_RESPONSE_BYTES,
        )
    except Undecryptable as error:
        log.error("webhook_secret_undecryptable", endpoint_id=claimed.endpoint_id, exc_info=error)
        return Outcome(None, "The signing secret can't be read; make the endpoint anew.", 0)
    except HttpFailed as failed:
        duration_ms = round((world.clock.monotonic() - started) * 1000)
        return Outcome(None, failed.detail, duration_ms)
    return Outcome(answer.status, _complaint(answer.status), answer.duration_ms)


def _headers(world: World, claimed: Claimed, body: bytes) -> Headers:
    """Signed with this machine's time: it is what the receiver compares with its own."""
    secret = world.vault.decrypt(
        claimed.secret_encrypted,
        workspace_id=claimed.workspace_id,
        table=TABLE,
        row_id=claimed.endpoint_id,
        field=FIELD,
    ).decode()
    now = int(world.clock.now().timestamp())
    event = claimed.event
    headers: Headers = (
        ("Content-Type", "application/json"),
        *standard_headers(secret, message_id=event.id, unix_time=now, body=body),
    )
    if claimed.has_legacy_headers:
        headers += legacy_headers(secret, event_type=event.type, unix_time=now, body=body)
    return headers


def _endpoint_of(tried: Tried) -> str:
    return tried.claimed.endpoint_id


def _complaint(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if status == 410:
        return "The endpoint answered 410: it wants nothing more."
    if 300 <= status < 400:
        return f"The endpoint answered {status}; redirects are not followed."
    return f"The endpoint answered {status}."


async def _write_successes_down(tx: Tx, tried: Sequence[Tried]) -> None:
    """All of one endpoint."""
    claimed = tried[0].claimed
    await queries.note_success(tx, claimed.workspace_id, claimed.endpoint_id)
    attempts = [_attempt(each) for each in tried]
    current = await queries.record_successes(
        tx, claimed.workspace_id, [each.claimed for each in tried], attempts
    )
    for each in tried:
        if each.claimed.id not in current:
            log.warning("webhook_result_came_too_late", delivery_id=each.claimed.id)
    tx.wake("deliveries")


async def _write_down(tx: Tx, claimed: Claimed, outcome: Outcome) -> None:
    """A failure. The endpoint first, then the delivery: the order in which deleting and disabling lock them too."""
    workspace_id = claimed.workspace_id
    failing = await queries.note_failure(tx, workspace_id, claimed.endpoint_id)
    wait = None if outcome.status == 410 else wait_seconds(claimed.tries, random.random())
    attempt = _attempt(Tried(claimed, outcome))
    is_current = await queries.record_failure(tx, workspace_id, claimed, attempt, wait_seconds=wait)
    if outcome.status == 410:
        await disable(tx, workspace_id, claimed.endpoint_id, GONE_REASON)
    elif failing is not None and failing.seconds >= DISABLED_AFTER_SECONDS:
        await disable(tx, workspace_id, claimed.endpoint_id, FAILING_REASON)
    if not is_current:
        log.warning("webhook_result_came_too_late", delivery_id=claimed.id)
    tx.wake("deliveries")


def _attempt(tried: Tried) -> dict[str, object]:
    return {
        "at": rfc3339(tried.claimed.started_at),
        "status": tried.outcome.status,
        "error": tried.outcome.error,
        "duration_ms": tried.outcome.duration_ms,
    }
