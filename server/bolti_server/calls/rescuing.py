"""The agent-watcher: a call in a room whose agent is lost after the intent is taken over by another, or ends with the truth.

Rules (reliability.md "The dial", docs/decisions/0013): nothing is ever dialed here. The loss moves the epoch in its own
transaction, so that the lost agent is fenced; then the room is looked into, outside any transaction: who is still there
gets a second agent under the same identity, at most one an epoch; who is gone has ended the call, at the instant since
which we were blind. The new agent has RESCUE_SECONDS to be heard of. After MOST_RESCUES it is over: the room is closed.
A room whose agent is heard of is left to its agent, whatever anybody hints. Two who were brought together by a warm transfer
need no other agent: their room is closed when one of them has left (`sweeping`).
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from bolti_server.base.db import Tx
from bolti_server.base.logging import get_logger
from bolti_server.calls import dispatching, lifecycle, moves, recording_ends, room_queries
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.lifecycle import (
    CUT_SECONDS,
    RESCUE_SECONDS,
    SILENT_SECONDS,
    Fact,
    HangupCode,
    Status,
)
from bolti_server.calls.moves import Ending
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.rooms.media import MediaRefused, MediaServer, MediaUnreachable, RoomLook
from bolti_server.world import World

MOST_RESCUES = 2
BATCH = 50  # looks of one process at once
LOOK_AGAIN_SECONDS = 1.0
# A leg whose dial was sent in the last moment of its agent may not be in the room yet.
LEG_SECONDS = 3.0
# livekit-sip ends a call at its cap as the callee does by hanging up: only the clock tells them apart.
CAP_SLACK_SECONDS = 1.0

_LOST_DETAIL = "The process of the agent was lost."
_GIVEN_UP_DETAIL = f"The process of the agent was lost, and so were {MOST_RESCUES} that were to take the call over."
_NO_MEDIA_DETAIL = "The process of the agent was lost, and LiveKit did not answer."
_TALK_ON_DETAIL = "The process of the agent was lost after the transfer. The two may talk on."
_DIALED: Final = (Status.DIALING, Status.RINGING)
_RESCUABLE: Final = (*_DIALED, Status.IN_PROGRESS)

log = get_logger("rescuing")


def can_be_rescued(call: LiveCall) -> bool:
    """Whether its line outlives its agent: it is a participant of a room, and dialing has begun (or it comes in)."""
    return call.is_in_room and call.status in _RESCUABLE


async def rescue(tx: Tx, world: World, call: LiveCall, *, since: datetime) -> LiveCall:
    """Another agent for a locked call that lost its own (not heard of `since`), or its end. Returns the call after it."""
    assert can_be_rescued(call), f"{call.id} is {call.status} on a line of kind {call.line}"
    if call.last_command > 0 and await queries.is_end_wanted(tx, call.workspace_id, call.id):
        return await _end(tx, world, call, HangupCode.ENDED_BY_USER, _LOST_DETAIL, at=call.now)
    if call.handed_over_at is not None:
        return await _end(tx, world, call, HangupCode.TRANSFERRED, _TALK_ON_DETAIL, at=since)
    if call.rescue_count < MOST_RESCUES and world.media is not None:
        log.warning("agent_replaced", conversation_id=call.id, status=call.status, epoch=call.epoch)
        return await moves.hand_over(tx, call, since=since)
    # A look that is still to be made has not been answered since.
    is_blind = call.rescue_due_at is not None and call.room_look_at is not None
    if is_blind and call.status is Status.IN_PROGRESS:
        return await _end(tx, world, call, HangupCode.MEDIA_LOST, _NO_MEDIA_DETAIL, at=call.now)
    code = lifecycle.code_when_agent_lost(call.status, call.direction)
    assert code is not None, call.status
    detail = _NO_MEDIA_DETAIL if is_blind else _GIVEN_UP_DETAIL
    return await _end(tx, world, call, code, detail, at=call.now)


async def look_into_rooms(world: World) -> int:
    """Looks where somebody has a reason to, at most a batch; how many rooms that were."""
    if world.media is None:
        return 0
    async with world.db.transaction() as tx:
        taken = await room_queries.take_looks_of_any_workspace(tx, BATCH)
    await asyncio.gather(*(_look(world, world.media, *each) for each in taken))
    return len(taken)


async def _look(world: World, media: MediaServer, workspace_id: str, conversation_id: str) -> None:
    """One that fails is logged and holds up no other; a rescue that it belongs to is tried again when it is overdue."""
    try:
        async with world.db.transaction(is_readonly=True) as tx:
            call = await queries.find_call_of_any_workspace(tx, conversation_id)
        if call is None or call.room_name is None or not _is_unheard(call):
            return
        try:
            look = await media.look(call.room_name)
        except (MediaUnreachable, MediaRefused) as error:
            log.warning("room_not_seen", conversation_id=conversation_id, detail=repr(error))
            await _look_later(world, call, LOOK_AGAIN_SECONDS)
            return
        if await _apply(world, workspace_id, conversation_id, call.epoch, look):
            await _send(world, media, call)
    except Exception as error:
        log.error("look_failed", conversation_id=conversation_id, exc_info=error)


async def _apply(
    world: World, workspace_id: str, conversation_id: str, epoch: int, look: RoomLook
) -> bool:
    """Ends the call where the look says so. Whether the agent of that epoch has to be sent now: that is said once."""
    async with world.db.transaction() as tx:
        call = await queries.lock_call(tx, workspace_id, conversation_id)
        if call is None or call.epoch != epoch or not _is_unheard(call):
            return False
        if _may_yet_come(call, look):
            await room_queries.look_later(tx, workspace_id, call.id, seconds=LOOK_AGAIN_SECONDS)
            return False
        ending = await _ending(tx, call, look)
        if ending is not None:
            log.warning("ended_while_blind", conversation_id=call.id, code=ending.code)
            at = _ended_at(call, ending.code)
            await _end(tx, world, call, ending.code, ending.detail, at=at)
            return False
        if call.rescue_due_at is None or call.rescue_epoch == call.epoch:
            return False
        await queries.change_call(tx, workspace_id, call.id, {"rescue_epoch": call.epoch})
        return True


async def _send(world: World, media: MediaServer, call: LiveCall) -> None:
    assert call.room_name is not None, call.id
    failure = await dispatching.send(
        world, media, call.room_name, call.id, call.epoch, is_first=False
    )
    if failure is not None:
        # It may have been sent: the next is of another epoch. That a look stays due says that nobody answered.
        await _look_later(world, call, RESCUE_SECONDS + LOOK_AGAIN_SECONDS)


async def _look_later(world: World, call: LiveCall, seconds: float) -> None:
    async with world.db.transaction() as tx:
        current = await queries.lock_call(tx, call.workspace_id, call.id)
        if current is not None and not current.is_over and current.epoch == call.epoch:
            await room_queries.look_later(tx, call.workspace_id, call.id, seconds=seconds)


def _is_unheard(call: LiveCall) -> bool:
    """Whether nobody of ours hears a call whose line may be in its room."""
    if call.is_over or not can_be_rescued(call):
        return False
    if call.rescue_due_at is not None:
        return True
    if call.line_lost_at is not None and call.line_lost_at <= call.now - timedelta(
        seconds=CUT_SECONDS
    ):
        return True
    if call.heartbeat_at is None:
        return False  # its agent has just been asked for
    return call.heartbeat_at <= call.now - timedelta(seconds=SILENT_SECONDS)


def _is_there(look: RoomLook) -> bool:
    return look.other_side is not None and look.other_side.call_status != "hangup"


def _may_yet_come(call: LiveCall, look: RoomLook) -> bool:
    is_late = call.now - _blind_since(call) >= timedelta(seconds=LEG_SECONDS)
    is_dialing = call.status is Status.DIALING and call.direction == "outbound"
    return is_dialing and not _is_there(look) and not is_late


async def _ending(tx: Tx, call: LiveCall, look: RoomLook) -> Ending | None:
    """As `_truth`; where a user has asked for the end, that is why it ended."""
    ending = _truth(call, look)
    if ending is None or call.last_command == 0:
        return ending
    if await queries.is_end_wanted(tx, call.workspace_id, call.id):
        return Ending(HangupCode.ENDED_BY_USER, _LOST_DETAIL)
    return ending


def _truth(call: LiveCall, look: RoomLook) -> Ending | None:
    """What ended a call of which nobody is left in the room; None: somebody is there, or is still to come (a browser)."""
    if _is_there(look):
        return None
    if call.status is Status.IN_PROGRESS:
        assert call.answered_at is not None, call.id
        cap = timedelta(seconds=call.max_duration_seconds - CAP_SLACK_SECONDS)
        if call.now - call.answered_at >= cap:
            return Ending(
                lifecycle.code_when_overdue(
                    call.status, is_cap_shortened=call.is_cap_shortened, is_waiting=False
                )
            )
        if not look.exists:
            return Ending(HangupCode.MEDIA_LOST, "The room is gone.")
        is_theirs = call.handed_over_at is not None
        return Ending(HangupCode.TRANSFERRED if is_theirs else HangupCode.REMOTE_HANGUP)
    if call.direction == "web":
        return None
    if call.direction == "inbound":
        return Ending(HangupCode.CALLER_CANCELLED)
    return Ending(
        HangupCode.OUTCOME_UNKNOWN,
        f"{_LOST_DETAIL} The callee was not in the room: what came of the dial is not known.",
    )


def _ended_at(call: LiveCall, code: HangupCode) -> datetime:
    """A call that reached its cap lasted so long; any other was over at the latest when we looked, and is billed up to
    the instant at which we last heard of it."""
    if code in (HangupCode.MAX_DURATION, HangupCode.CREDITS_EXHAUSTED):
        assert call.answered_at is not None, call.id
        return call.answered_at + timedelta(seconds=call.max_duration_seconds)
    return _blind_since(call)


def _blind_since(call: LiveCall) -> datetime:
    heard = [
        at for at in (call.blind_since, call.line_lost_at, call.heartbeat_at) if at is not None
    ]
    return min(heard, default=call.now)


async def _end(
    tx: Tx, world: World, call: LiveCall, code: HangupCode, detail: str | None, *, at: datetime
) -> LiveCall:
    has_recording = await recording_ends.is_expected(tx, call)
    ending = Ending(code, detail, has_recording=has_recording)
    return (await moves.move(tx, world, call, Fact.ENDED, at=at, ending=ending)).call
