"""The event log as it goes on: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Rules: the stream is the log from a position on, nothing else, so it can be cut anywhere and resumed by `Last-Event-ID`
without a gap. Wake-ups make it quick; it also looks by itself, because another process may have committed. It ends when
the process stops and when the key that opened it stops working.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import asyncpg
import attrs
import msgspec

from bolti_server.base.logging import get_logger
from bolti_server.web.authentication import Caller
from bolti_server.webhooks import event_queries as queries
from bolti_server.webhooks.event_queries import PlacedEvent
from bolti_server.world import World

PAGE = 100
LOOK_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 15.0  # proxies cut what is silent for longer, the usual 60 s and the rare 30
RETRY_MS = 1000

log = get_logger("live")


@attrs.frozen
class Wanted:
    """Which events: None means all."""

    types: Sequence[str] | None = None
    subject_id: str | None = None


async def live_events(
    world: World, caller: Caller, position: int, wanted: Wanted
) -> AsyncIterator[bytes]:
    """Frames of the stream: each event after `position`, and comments where there is nothing to say for long.

    Ends in order when the process stops, the key stops working or the database goes away: the client comes again.
    """
    yield f"retry: {RETRY_MS}\n: listening\n\n".encode()
    spoke_at = world.clock.monotonic()
    with world.wakeups.listen(f"events:{caller.workspace_id}") as listener:
        while not world.wakeups.is_stopping:
            try:
                works, end = await queries.log_state(world.db, caller.workspace_id, caller.key_id)
                found = await _read(world, caller.workspace_id, position, end, wanted)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("live_stream_cut", reason=type(error).__name__)
                return
            if not works:
                return
            for placed in found:
                yield frame(placed)
            is_more = len(found) == PAGE
            # What was left out by the filter needs no second look.
            position = found[-1].position if is_more else end
            now = world.clock.monotonic()
            if found:
                spoke_at = now
            elif now - spoke_at >= KEEP_ALIVE_SECONDS:
                spoke_at = now
                yield b": keep-alive\n\n"
            if not is_more:
                await listener.wait(LOOK_SECONDS)


def frame(placed: PlacedEvent) -> bytes:
    """One event: JSON has no line breaks, so it is one `data:` line."""
    event = placed.event
    head = f"id: {event.id}\nevent: {event.type}\ndata: ".encode()
    return head + msgspec.json.encode(event) + b"\n\n"


async def _read(
    world: World, workspace_id: str, position: int, end: int, wanted: Wanted
) -> list[PlacedEvent]:
    """At most a page of what is after `position` and not after `end`."""
    if end <= position:
        return []
    return await queries.events_between(
        world.db,
        workspace_id,
        position,
        end,
        types=wanted.types,
        subject_id=wanted.subject_id,
        limit=PAGE,
    )
