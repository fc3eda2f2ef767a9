"""The heartbeat of a call: one long poll at a time, whose answer carries numbered commands.

Rules: a poll says that its worker is alive; a cut connection makes it suspect, and the next poll takes that back (the
instant of the poll's own beat tells it from a newer one, also across servers). `losing.py` judges. A worker whose call
is over, or belongs to another epoch, is told so at once.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec

from bolti_server.base.db import Tx
from bolti_server.calls import long_polls
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.worker_queries import StoredCommand
from bolti_server.worker_api.messages import HEARTBEAT_WAIT_SECONDS, Command, CommandsAnswer
from bolti_server.world import World

# Another server process may have written the command; in this one a wake-up comes at once.
_LOOK_SECONDS = 1.0
_OVER = CommandsAnswer(commands=[], is_over=True)


async def poll_commands(
    world: World,
    conversation_id: str,
    epoch: int,
    *,
    after: int,
    gone: asyncio.Event,
    wait_seconds: float = HEARTBEAT_WAIT_SECONDS,
) -> CommandsAnswer:
    """Commands with a number greater than `after`, as soon as there are any; none after `wait_seconds`."""
    async with world.db.transaction() as tx:
        beat_at = await queries.beat_of_any_workspace(tx, conversation_id, epoch)
    if beat_at is None:
        return _OVER

    async def look() -> CommandsAnswer | None:
        async with world.db.transaction(is_readonly=True) as tx:
            return await _news(tx, conversation_id, epoch, after)

    answer = await long_polls.until_found(
        world,
        f"commands:{conversation_id}",
        look,
        wait_seconds=wait_seconds,
        look_seconds=_LOOK_SECONDS,
        gone=gone,
    )
    if gone.is_set() and not world.wakeups.is_stopping:
        await _suspect(world, conversation_id, epoch, beat_at)
    return answer or CommandsAnswer(commands=[])


async def _news(tx: Tx, conversation_id: str, epoch: int, after: int) -> CommandsAnswer | None:
    call = await queries.find_call_of_any_workspace(tx, conversation_id)
    if call is None or call.is_over or call.epoch != epoch:
        return _OVER
    if call.last_command <= after:
        return None
    found = await queries.list_commands(tx, call.workspace_id, call.id, after=after)
    return CommandsAnswer(commands=[_command(stored) for stored in found])


async def _suspect(world: World, conversation_id: str, epoch: int, beat_at: datetime) -> None:
    async with world.db.transaction() as tx:
        await queries.suspect_of_any_workspace(tx, conversation_id, epoch, beat_at)
        tx.wake("suspects")


class _Body(msgspec.Struct):
    text: str | None = None
    code: str | None = None


def _command(stored: StoredCommand) -> Command:
    body = msgspec.json.decode(stored.body, type=_Body)
    return msgspec.convert(
        {"number": stored.number, "type": stored.type, "text": body.text, "code": body.code},
        Command,
    )
