"""Agents for calls in rooms: queued ones are leased and an agent is asked for, many at once.

Rules: the lease (an epoch that fences whoever came before) is committed before the media server is asked; nothing waits
for it inside a transaction. Nobody ready after SECOND_DISPATCH_SECONDS: another agent is asked for, by the same statement
that leases; nobody ready AGENT_READY_SECONDS after the first: `agent_unavailable` (its deadline). A media server that can't
be reached, or refuses, is asked again with the second dispatch, and then the call ends as `media_unavailable`.
"""

from __future__ import annotations

import asyncio

import msgspec

from bolti_server.base.logging import get_logger
from bolti_server.calls import leases, moves
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.claiming import MOST_DISPATCHES
from bolti_server.calls.lifecycle import (
    AGENT_READY_SECONDS,
    SECOND_DISPATCH_SECONDS,
    Fact,
    HangupCode,
    Status,
)
from bolti_server.calls.moves import Ending
from bolti_server.calls.worker_queries import ROOM_LINES, Lease
from bolti_server.rooms.media import MediaRefused, MediaServer, MediaUnreachable
from bolti_server.worker_api.messages import JobMetadata
from bolti_server.world import World

AT_ONCE = 50  # requests to the media server of one process
LEASED_BY = "livekit"  # worker_id of a call whose worker the media server chooses

log = get_logger("dispatching")


async def dispatch_agents(world: World) -> int:
    """Sends agents to calls that wait for one, at most AT_ONCE; how many."""
    if world.media is None:
        return 0
    async with world.db.transaction() as tx:
        leased = await queries.claim_of_any_workspace(
            tx,
            LEASED_BY,
            lines=ROOM_LINES,
            limit=AT_ONCE,
            most_dispatches=MOST_DISPATCHES,
            second_dispatch_seconds=SECOND_DISPATCH_SECONDS,
            ready_seconds=AGENT_READY_SECONDS,
        )
    await asyncio.gather(*(_dispatch(world, world.media, lease) for lease in leased))
    return len(leased)


async def send(
    world: World, media: MediaServer, room: str, conversation_id: str, epoch: int, *, is_first: bool
) -> str | None:
    """Asks for the agent of that epoch; None, or why it was not (or may not have been) sent."""
    metadata = JobMetadata(
        conversation_id=conversation_id,
        epoch=epoch,
        token=leases.mint(world.vault, conversation_id, epoch),
    )
    try:
        await media.send_agent(room, msgspec.json.encode(metadata).decode(), is_first=is_first)
    except MediaUnreachable as error:
        log.warning("media_unreachable", conversation_id=conversation_id, detail=str(error))
        return f"LiveKit did not answer: {error}"
    except MediaRefused as refusal:
        log.warning("media_refused", conversation_id=conversation_id, detail=refusal.detail)
        return f"LiveKit refused ({refusal.code}): {refusal.detail}"
    return None


async def _dispatch(world: World, media: MediaServer, lease: Lease) -> None:
    """A room is named after its conversation. One that fails is logged and holds up no other."""
    # A browser may be there before its agent: then the room exists.
    is_first = lease.epoch == 1 and lease.line == "room"
    try:
        room = conversation_id = lease.conversation_id
        failure = await send(world, media, room, conversation_id, lease.epoch, is_first=is_first)
        if failure is not None:
            await _not_sent(world, conversation_id, lease.epoch, failure)
    except Exception as error:
        log.error("dispatch_failed", conversation_id=lease.conversation_id, exc_info=error)


async def _not_sent(world: World, conversation_id: str, epoch: int, detail: str) -> None:
    """The first time the lease stays as it is, so that the second dispatch tries again; then the call is over."""
    async with world.db.transaction() as tx:
        call = await queries.lock_call_of_any_workspace(tx, conversation_id)
        if call is None or call.epoch != epoch or call.dispatch_count <= 1:
            return
        if call.status is Status.QUEUED and call.ready_at is None:
            ending = Ending(HangupCode.MEDIA_UNAVAILABLE, detail[:500])
            await moves.move(tx, world, call, Fact.ENDED, ending=ending)
