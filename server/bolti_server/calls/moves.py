"""The one place where a conversation moves: state, money, event and deadline together, in the caller's transaction.

Rules: the conversation's row is locked first; `lifecycle` alone says what a fact is; a terminal status never changes; an
instant that a worker tells by its age lies between the fact before it and now, by the database's clock. An ended call has
no open hold: it is settled where somebody answered and the end is not our fault, else released (product.md §10).
Order of locks: the conversation, then the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

import attrs

from bolti_server.base.db import Tx, encode_json
from bolti_server.billing import ledger
from bolti_server.calls import artifact_queries, events, heard_queries, lifecycle
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.artifact_queries import StoredPart
from bolti_server.calls.lifecycle import (
    AGENT_READY_SECONDS,
    GRACE_SECONDS,
    HANGUPS,
    OUR_FAULTS,
    QUEUED_SECONDS,
    RESCUE_SECONDS,
    UNSENT_WAIT_SECONDS,
    Decision,
    Fact,
    HangupCode,
    Move,
    Status,
)
from bolti_server.calls.recording_ends import MISSING_DETAIL
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.worker_api.messages import UsageReport
from bolti_server.world import World

TEXT_DETAIL = "A text line has no sound to record."
RECORDING_WAIT_SECONDS = (
    900  # a worker that was killed uploads what its spool holds when it is started again
)
CLOSING_SECONDS = (
    3  # after the agent's report of the end its room is closed by us, if it is still there
)
END_SECONDS = 5  # a worker that was told to end a call reports the end within this, or we end it


@attrs.frozen
class Ending:
    """Why and how a call ends, as reported or decided."""

    code: HangupCode
    detail: str | None = None
    sip_status: int | None = None
    provider_code: str | None = None
    usage: Sequence[UsageReport] = ()
    has_recording: bool = False
    is_recording_missing: bool = (
        False  # there should be one, and the worker says that there is none
    )
    is_message_left: bool = False
    virtual_ms: int | None = None  # told by a text line
    is_reported: bool = (
        False  # by the agent, which closes its room itself, when its last word is out
    )


@attrs.frozen
class Moved:
    """What a fact was, and the call after it."""

    call: LiveCall
    decision: Decision


async def queue(tx: Tx, world: World, workspace_id: str, conversation_id: str) -> None:
    """A scheduled call's instant has come: it can be claimed. Nothing where it is queued or over already."""
    call = await _locked(tx, workspace_id, conversation_id)
    await move(tx, world, call, Fact.QUEUED)


async def end(
    tx: Tx,
    world: World,
    workspace_id: str,
    conversation_id: str,
    code: HangupCode,
    *,
    detail: str | None = None,
    sip_status: int | None = None,
    provider_code: str | None = None,
    usage: Sequence[UsageReport] = (),
    has_recording: bool = False,
) -> bool:
    """Ends the conversation with its money, events and deadlines. False: it was over already, and nothing changed."""
    call = await _locked(tx, workspace_id, conversation_id)
    ending = Ending(code, detail, sip_status, provider_code, usage, has_recording)
    moved = await move(tx, world, call, Fact.ENDED, ending=ending)
    return isinstance(moved.decision, Move)


async def move(
    tx: Tx,
    world: World,
    call: LiveCall,
    fact: Fact,
    *,
    at: datetime | None = None,
    nonce: str | None = None,
    ending: Ending | None = None,
) -> Moved:
    """Applies `fact`, which happened `at` (None: now), to a locked call. `nonce` comes with an intent, `ending` with an end.

    Old news and breaks change nothing.
    """
    decision = lifecycle.decide(call.status, fact)
    if not isinstance(decision, Move):
        return Moved(call, decision)
    at = _instant(call, at or call.now)
    match fact:
        case Fact.QUEUED:
            moved = await _queue(tx, call)
        case Fact.CLAIMED:
            raise AssertionError("claims are made many in one statement, and by `hand_over`")
        case Fact.UNSENT:
            raise AssertionError("a dial that was not sent is queued by `queue_again`")
        case Fact.AGENT_READY:
            moved = await _ready(tx, call, at)
        case Fact.INTENT | Fact.RINGING | Fact.ANSWERED:
            moved = await _advance(tx, call, fact, decision, at, nonce)
        case Fact.ENDED:
            assert ending is not None, "an end says why"
            return Moved(await _end(tx, world, call, at, ending), decision)
        case _:
            assert_never(fact)
    is_told = fact is Fact.INTENT and call.unsent_detail is not None  # by its first intent
    if decision.event is not None and not is_told:
        await events.emit_conversation(tx, world, call.workspace_id, call.id, decision.event)
    return Moved(moved, decision)


async def give_back(tx: Tx, call: LiveCall) -> LiveCall:
    """A queued call whose agent is gone can be claimed again; the fence keeps the old agent out, should it wake."""
    assert call.status is Status.QUEUED, call.status
    assert call.deadline_at is not None, "a living call has a deadline"
    if call.ready_at is None:
        deadline_at = call.deadline_at
    else:  # it had been given the rest of the minute; the next agent has to be ready in its own time
        deadline_at = min(call.deadline_at, call.now + timedelta(seconds=AGENT_READY_SECONDS))
    tx.wake("claimable")
    tx.wake(f"commands:{call.id}")
    return await _change(
        tx,
        call,
        epoch=call.epoch + 1,
        worker_id=None,
        ready_at=None,
        line_lost_at=None,
        heartbeat_at=None,
        last_report=0,
        deadline_at=deadline_at,
    )


async def hand_over(tx: Tx, call: LiveCall, *, since: datetime) -> LiveCall:
    """A call in a room whose agent was lost after the intent waits for another, which takes its line over; the fence keeps
    the lost one out, should it wake. Whoever looks into the room sends the other."""
    assert call.is_in_room, f"the line of {call.id} is gone with its worker"
    assert isinstance(lifecycle.decide(call.status, Fact.CLAIMED), Move), call.status
    tx.wake(f"commands:{call.id}")
    tx.wake("rooms")
    return await _change(
        tx,
        call,
        epoch=call.epoch + 1,
        dispatch_count=call.dispatch_count + 1,
        line_lost_at=None,
        heartbeat_at=None,
        last_report=0,
        rescue_count=call.rescue_count + 1,
        rescue_due_at=call.now + timedelta(seconds=RESCUE_SECONDS),
        blind_since=call.blind_since or since,
        room_look_at=call.now,
    )


async def queue_again(tx: Tx, call: LiveCall, detail: str) -> LiveCall:
    """Nothing was sent of the dial: another agent may dial, until the minute of the call's queue is over."""
    decision = lifecycle.decide(call.status, Fact.UNSENT)
    assert isinstance(decision, Move), call.status
    queued_at = call.queued_at or call.created_at
    ends_at = queued_at + timedelta(seconds=QUEUED_SECONDS)
    tx.wake(f"commands:{call.id}")
    return await _change(
        tx,
        call,
        status=decision.to,
        epoch=call.epoch + 1,
        worker_id=None,
        ready_at=None,
        line_lost_at=None,
        heartbeat_at=None,
        last_report=0,
        dialed_at=None,
        dial_nonce=None,
        dispatch_count=0,
        dispatch_at=call.now + timedelta(seconds=UNSENT_WAIT_SECONDS),
        unsent_detail=detail,
        deadline_at=max(ends_at, call.now),
    )


async def _queue(tx: Tx, call: LiveCall) -> LiveCall:
    tx.wake("claimable")
    moved = await _change(
        tx,
        call,
        status=Status.QUEUED,
        queued_at=call.now,
        next_at=None,
        deadline_at=call.now + timedelta(seconds=QUEUED_SECONDS),
    )
    if call.scheduled_call_id is not None:
        await events.emit_scheduled_call(
            tx, call.workspace_id, call.id, "scheduled_call.dispatched"
        )
    return moved


async def _ready(tx: Tx, call: LiveCall, at: datetime) -> LiveCall:
    """The agent came in time: the rest of the minute is for its intent."""
    if call.ready_at is not None:
        return call
    queued_at = call.queued_at or call.created_at
    return await _change(
        tx, call, ready_at=at, deadline_at=queued_at + timedelta(seconds=QUEUED_SECONDS)
    )


async def _advance(
    tx: Tx, call: LiveCall, fact: Fact, decision: Move, at: datetime, nonce: str | None
) -> LiveCall:
    assert decision.to is not None, "only an end has no status of its own"
    seconds = lifecycle.deadline_seconds(
        decision.to,
        ring_timeout_seconds=call.ring_timeout_seconds,
        max_duration_seconds=call.max_duration_seconds,
    )
    # Reports that a dead server could not take may be old: what follows them is on its way, so it gets a moment.
    deadline_at = max(at + timedelta(seconds=seconds), call.now + timedelta(seconds=GRACE_SECONDS))
    changes: dict[str, object] = {"status": decision.to, "deadline_at": deadline_at}
    match fact:
        case Fact.INTENT:
            assert nonce, "an intent has a nonce"
            changes |= {"dialed_at": at, "dial_nonce": nonce, "ready_at": call.ready_at or at}
        case Fact.RINGING:
            changes["ringing_at"] = at
        case _:
            changes["answered_at"] = at
    if call.last_command > 0 and await queries.is_end_wanted(tx, call.workspace_id, call.id):
        # Someone ended the call while it rang, and it was answered at that moment: the command still stands.
        changes["deadline_at"] = min(deadline_at, call.now + timedelta(seconds=END_SECONDS))
    return await _change(tx, call, **changes)


async def _end(tx: Tx, world: World, call: LiveCall, at: datetime, ending: Ending) -> LiveCall:
    code = lifecycle.code_in(call.status, ending.code)
    assert code is not None, f"{ending.code} can't end a call that is {call.status}"
    rule = HANGUPS[code]
    status = lifecycle.status_for(code, call.direction)
    duration_seconds = _duration_seconds(call, at, ending)
    cost = await _resolve_hold(tx, call, duration_seconds, is_our_fault=rule.fault in OUR_FAULTS)
    parts = await artifact_queries.list_parts(tx, call.workspace_id, call.id)
    part = parts[0] if len(parts) == 1 else None  # several have to be joined first
    is_awaited = len(parts) > 1 or (ending.has_recording and part is None)
    ended = await _change(
        tx,
        call,
        status=status,
        ended_at=at,
        deadline_at=None,
        next_at=call.now + timedelta(seconds=RECORDING_WAIT_SECONDS) if is_awaited else None,
        duration_seconds=duration_seconds,
        hangup_code=code,
        hangup_by=rule.by,
        hangup_fault=rule.fault,
        hangup_retryable=rule.retryable and not ending.is_message_left,
        hangup_detail=ending.detail,
        sip_status=ending.sip_status,
        provider_code=ending.provider_code,
        rescue_due_at=None,
        room_look_at=_closing_at(call, ending),
        usage=encode_json(ending.usage),
        recording_status=_recording_status(part, ending, is_awaited=is_awaited),
        recording_detail=_recording_detail(call, ending, has_parts=bool(parts)),
        recording_path=part.path if part else None,
        recording_bytes=part.size_bytes if part else None,
        cost_micros=cost.amount_micros if cost else None,
        cost_currency=cost.currency if cost else None,
    )
    await _tell_end(tx, world, ended, was_scheduled=call.status is Status.SCHEDULED)
    if parts:
        await heard_queries.ask(tx, call.workspace_id, call.id)
    if part is not None:
        await _emit(tx, world, call, "conversation.recording_ready")
    return ended


def _closing_at(call: LiveCall, ending: Ending) -> datetime | None:
    """Before then nobody closes its room; None: at once."""
    is_left_to_agent = call.is_in_room and ending.is_reported
    return call.now + timedelta(seconds=CLOSING_SECONDS) if is_left_to_agent else None


def _duration_seconds(call: LiveCall, at: datetime, ending: Ending) -> int:
    """By our clock; of a text line the virtual time that it lived through, up to its cap (docs/decisions/0009)."""
    if call.answered_at is None:
        return 0
    if call.line == "text" and ending.virtual_ms is not None:
        return min(max(0, math.ceil(ending.virtual_ms / 1000)), call.max_duration_seconds)
    return math.ceil((at - call.answered_at).total_seconds())


def _recording_status(part: StoredPart | None, ending: Ending, *, is_awaited: bool) -> str:
    if part is not None:
        return "available"
    if is_awaited:
        return "pending"
    return "failed" if ending.is_recording_missing else "none"


def _recording_detail(call: LiveCall, ending: Ending, *, has_parts: bool) -> str | None:
    """Why there is no recording, where somebody might look for one."""
    if call.line == "text":
        return TEXT_DETAIL
    return MISSING_DETAIL if ending.is_recording_missing and not has_parts else None


async def _resolve_hold(
    tx: Tx, call: LiveCall, duration_seconds: int, *, is_our_fault: bool
) -> ledger.Settled | None:
    """What the call cost; None where nothing was ever held for it."""
    if not await ledger.has_open_hold(tx, call.workspace_id, call.id):
        return None
    if call.answered_at is None or is_our_fault:
        await ledger.release(tx, call.workspace_id, call.id)
        return await ledger.settle(tx, call.workspace_id, call.id, billed_seconds=0)
    # The cap is what the hold pays for: the seconds that our own deadline came late are ours.
    billed_seconds = min(duration_seconds, call.max_duration_seconds)
    return await ledger.settle(tx, call.workspace_id, call.id, billed_seconds=billed_seconds)


async def _tell_end(tx: Tx, world: World, call: LiveCall, *, was_scheduled: bool) -> None:
    told = ["conversation.ended"]
    if call.status is Status.COMPLETED:
        told.append("conversation.completed")
    await events.emit_conversation(tx, world, call.workspace_id, call.id, *told)
    if was_scheduled and call.scheduled_call_id is not None:
        is_cancelled = call.status is Status.CANCELLED
        await events.emit_scheduled_call(
            tx,
            call.workspace_id,
            call.id,
            "scheduled_call.cancelled" if is_cancelled else "scheduled_call.failed",
        )
    tx.wake(f"commands:{call.id}")
    tx.wake("conversations_due")  # a place has become free
    tx.wake("rooms")  # and its room has to be closed


async def _emit(tx: Tx, world: World, call: LiveCall, event_type: str) -> None:
    await events.emit_conversation(tx, world, call.workspace_id, call.id, event_type)


async def _locked(tx: Tx, workspace_id: str, conversation_id: str) -> LiveCall:
    call = await queries.lock_call(tx, workspace_id, conversation_id)
    assert call is not None, f"no conversation {conversation_id} in {workspace_id}"
    return call


async def _change(tx: Tx, call: LiveCall, **changes: object) -> LiveCall:
    return await queries.change_call(tx, call.workspace_id, call.id, changes)


def _instant(call: LiveCall, told: datetime) -> datetime:
    """When it happened: never before the fact before it, never in the future."""
    earlier = (call.created_at, call.queued_at, call.dialed_at, call.ringing_at, call.answered_at)
    last = max(instant for instant in earlier if instant is not None)
    return max(min(told, call.now), last)
