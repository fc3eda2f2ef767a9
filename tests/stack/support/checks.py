"""What must be true after each test of the stack, whatever was killed in it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.server.support.invariants import broken_invariants
from tests.stack.support.processes import strays
from tests.stack.support.stack import Stack

LOOK_EVERY_SECONDS = 0.05
SETTLE_SECONDS = 15.0  # rooms are closed and reports delivered after the end that a test has seen

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], timeout_seconds: float, what: str) -> T:
    """The first answer of `look` that is neither None, False nor empty. Fails when the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        if found := await look():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_seconds} s: {what}")
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def complaints(stack: Stack) -> list[str]:
    """Sentences; empty where all is well. What takes a moment gets SETTLE_SECONDS."""
    found = [
        *await _none_of("live conversations", lambda: live_conversations(stack)),
        *await _none_of("rooms", stack.livekit.rooms),
        *await _none_of("spools", _plainly(stack.spooled)),
        *await _none_of("stray processes", _plainly(strays)),
        *await dialed_twice(stack),
    ]
    found += [f"invariant: {each}" for each in await broken_invariants(stack.dsn)]
    return found


async def live_conversations(stack: Stack) -> list[str]:
    rows = await stack.rows("select id, status from conversations where ended_at is null")
    return [f"{row['id']} is {row['status']}" for row in rows]


async def dialed_twice(stack: Stack) -> list[str]:
    """The phone network is the judge: whatever happened, nobody was asked for twice in a room."""
    dials = [dial for dial in await stack.dials() if dial["is_dialed"]]
    asked = Counter((dial["room"], dial["identity"]) for dial in dials)
    return [
        f"{identity} of {room} was dialed {times} times"
        for (room, identity), times in asked.items()
        if times > 1
    ]


async def last_calls(stack: Stack, seconds: float) -> str:
    """What became of the calls of these last seconds, and what was said in them."""
    rows = await stack.rows(
        """select id, line, direction, status, hangup_code, epoch, rescue_count, created_at, answered_at, ended_at,
                  hangup_detail,
                  array(select concat(role, ' ', body ->> 'start_ms', ': ', body ->> 'text', body ->> 'dtmf')
                        from conversation_turns t where t.conversation_id = c.id order by turn_index) as turns,
                  array(select epoch || '/' || report_number || ' ' || type from line_events l
                        where l.conversation_id = c.id order by epoch, report_number) as reports
           from conversations c where created_at > now() - make_interval(secs => $1) order by created_at""",
        seconds,
    )
    told = [f"{key}: {value}" for row in rows for key, value in row.items()]
    rooms = {row["id"] for row in rows}
    dials = [str(each) for each in await stack.dials() if each["room"] in rooms]
    return "\n".join([*told, "dials:", *dials])


async def _none_of(what: str, look: Callable[[], Awaitable[list[str]]]) -> list[str]:
    deadline = time.monotonic() + SETTLE_SECONDS
    while left := await look():
        if time.monotonic() > deadline:
            return [f"{what} left: {left[:5]}"]
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return []


def _plainly(look: Callable[[], list[str]]) -> Callable[[], Awaitable[list[str]]]:
    async def looking() -> list[str]:
        return look()

    return looking
