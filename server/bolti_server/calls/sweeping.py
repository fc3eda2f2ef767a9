"""Rooms are closed: those of ended calls at once, and those that no living conversation has.

Rules: closing a room hangs everybody in it up. An ended call's room is closed at once, and until it is known to be gone;
an agent that reported the end closes it itself, so that its last word is heard out, and gets CLOSING_SECONDS for that;
after a warm transfer the other two may talk on, and the room is closed when one of them has left. A room
that no conversation knows is closed when it is OLD_SECONDS old (an inbound one is born before its conversation), and one
whose call is over as soon as it is seen (a leg that outlived its room makes it anew). Only names that we give are ours.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from bolti_server.base.logging import get_logger
from bolti_server.calls import room_queries
from bolti_server.rooms.media import (
    INBOUND_ROOM_PREFIX,
    MediaRefused,
    MediaServer,
    MediaUnreachable,
)
from bolti_server.world import World

BATCH = 50
OLD_SECONDS = 30
TRY_AGAIN_SECONDS = (
    5.0  # a media server that did not answer, and people who still talk after a transfer
)
_OURS = ("conv_", INBOUND_ROOM_PREFIX)

log = get_logger("sweeping")


async def close_ended(world: World) -> int:
    """Closes the rooms of ended calls, at most a batch; how many it closed."""
    if world.media is None:
        return 0
    async with world.db.transaction() as tx:
        found = await room_queries.find_rooms_to_close_of_any_workspace(tx, BATCH)
    closed = await asyncio.gather(*(_close(world, world.media, *each) for each in found))
    return sum(closed)


async def sweep(world: World) -> int:
    """Closes rooms of ours that no conversation has, at most a batch; 0, for there is nothing to hurry for."""
    if world.media is None:
        return 0
    try:
        rooms = await world.media.list_rooms()
    except (MediaUnreachable, MediaRefused) as error:
        log.warning("rooms_not_listed", detail=repr(error))
        return 0
    ours = {room.name: room.created_at for room in rooms if room.name.startswith(_OURS)}
    if not ours:
        return 0
    async with world.db.transaction(is_readonly=True) as tx:
        known = await room_queries.known_rooms_of_any_workspace(tx, sorted(ours))
    born_before = world.clock.now() - timedelta(seconds=OLD_SECONDS)
    stray = [
        name for name, created_at in ours.items() if not known.get(name, created_at > born_before)
    ]
    await asyncio.gather(*(_close_stray(world.media, name) for name in stray[:BATCH]))
    return 0


async def _close(
    world: World,
    media: MediaServer,
    workspace_id: str,
    conversation_id: str,
    room: str,
    is_transferred: bool,
) -> bool:
    try:
        if is_transferred and (await media.look(room)).other_count >= 2:
            is_closed = False
        else:
            await media.close_room(room)
            is_closed = True
    except (MediaUnreachable, MediaRefused) as error:
        log.warning("room_not_closed", conversation_id=conversation_id, detail=repr(error))
        is_closed = False
    async with world.db.transaction() as tx:
        if is_closed:
            await room_queries.mark_closed(tx, workspace_id, conversation_id)
        else:
            await room_queries.look_later(
                tx, workspace_id, conversation_id, seconds=TRY_AGAIN_SECONDS
            )
    return is_closed


async def _close_stray(media: MediaServer, room: str) -> None:
    log.warning("stray_room_closed", room=room)
    try:
        await media.close_room(room)
    except (MediaUnreachable, MediaRefused) as error:
        log.warning("stray_room_not_closed", room=room, detail=repr(error))
