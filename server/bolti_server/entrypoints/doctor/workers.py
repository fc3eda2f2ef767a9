"""Agent workers, by what they say with each claim (table `workers`): alive, and for rooms: registered and warm."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import msgspec

from bolti_server.entrypoints.doctor.findings import Finding, not_checked, ok, problem
from bolti_server.worker_api.messages import RoomWorker

ALIVE_SECONDS = 30  # a worker claims at least every 10 s (CLAIM_WAIT_SECONDS)
MOST_WORKERS = 1000


async def look_at_workers(
    connection: asyncpg.Connection[asyncpg.Record], *, has_rooms: bool
) -> Sequence[Finding]:
    try:
        rows = await connection.fetch(
            """select name, capacity, rooms::text as rooms from workers
               where seen_at > bolti_now() - $1::integer * interval '1 second' order by name limit $2""",
            ALIVE_SECONDS,
            MOST_WORKERS,
        )
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        return [not_checked("workers", "the database lacks tables.")]
    if not rows:
        detail = f"none has asked for work in the last {ALIVE_SECONDS} s: no call can be carried."
        advice = "Start `bolti-server worker` with BOLTI_INTERNAL_URL and BOLTI_WORKER_TOKEN."
        return [problem("workers", detail, advice)]
    places = sum(row["capacity"] for row in rows)
    found = [ok("workers", f"{len(rows)} ask for work; {places} calls more can begin.")]
    if has_rooms:
        found.append(_of_rooms([row["rooms"] for row in rows]))
    return found


def _of_rooms(told: Sequence[str | None]) -> Finding:
    rooms = [msgspec.json.decode(each, type=RoomWorker) for each in told if each is not None]
    if not rooms:
        detail = f"none of the {len(told)} workers takes calls in rooms (telephone, browser)."
        advice = (
            "Start them with LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, as the server."
        )
        return problem("room workers", detail, advice)
    lost = [each for each in rooms if not each.is_registered]
    if len(lost) == len(rooms):
        detail = f"none of {len(rooms)} is registered with LiveKit ({lost[0].url})."
        advice = (
            "See the worker's log; its LIVEKIT_URL, key and secret have to be those of the server."
        )
        return problem("room workers", detail, advice)
    warm, wanted = sum(each.warm for each in rooms), sum(each.warm_wanted for each in rooms)
    if warm == 0:
        detail = "no process is warm, so the next call waits about 6 s for its agent."
        advice = (
            "Wait until they are."
            if wanted
            else "Set BOLTI_WORKER_WARM to the calls that begin at one moment."
        )
        return problem("room workers", detail, advice)
    registered = len(rooms) - len(lost)
    detail = (
        f"{registered} of {len(rooms)} registered with LiveKit; {warm} of {wanted} processes warm."
    )
    if lost:
        return problem("room workers", detail, "See the log of the worker that is not registered.")
    return ok("room workers", detail)
