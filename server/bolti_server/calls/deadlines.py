"""What ends a conversation that nothing else ends: its deadline, and the loss of its worker.

Rules: each is ended in a transaction of its own, asked again under its lock, so that any number of servers do it side by
side and a poisoned row holds up no other. A call whose user asked for its end gets the user's code. A worker is lost when
its heartbeat was cut CUT_SECONDS ago, or when SILENT_SECONDS brought none at all; before the intent another agent gets
the call, after it the callee of a simulated line is gone with its worker, and a line in a room is taken over (rescuing).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from bolti_server.base.db import Tx
from bolti_server.base.logging import get_logger
from bolti_server.calls import due_queries, lifecycle, moves, recording_ends, rescuing
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.claiming import MOST_DISPATCHES
from bolti_server.calls.lifecycle import CUT_SECONDS, SILENT_SECONDS, Fact, HangupCode
from bolti_server.calls.moves import Ending
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.world import World

BATCH = 100

_OVERDUE_DETAIL = {
    HangupCode.EXPIRED: "It waited longer than it was allowed to.",
    HangupCode.AGENT_UNAVAILABLE: "No agent worker was ready in time. Is one running, with free places?",
    HangupCode.MEDIA_UNAVAILABLE: "The dial could not be sent.",
    HangupCode.OUTCOME_UNKNOWN: "The dial request was sent and nothing was heard of it.",
}
_LOST_DETAIL = "The process of the agent was lost."

log = get_logger("deadlines")


async def end_overdue(world: World) -> int:
    """Ends conversations whose deadline passed, at most a batch; how many it ended."""
    async with world.db.transaction() as tx:
        due = await due_queries.find_overdue_of_any_workspace(tx, BATCH)

    async def end_one(tx: Tx, workspace_id: str, conversation_id: str) -> bool:
        return await _end_overdue(tx, world, workspace_id, conversation_id)

    return await each(world, due, end_one, "overdue_not_ended")


async def end_lost(
    world: World, *, silent_seconds: float | None = SILENT_SECONDS, judges_rescues: bool = True
) -> int:
    """Ends or hands on the calls of lost workers, at most a batch; how many. None: silence alone says nothing now; nor does
    it of agents that should take a call over, unless `judges_rescues`."""
    async with world.db.transaction() as tx:
        lost = await due_queries.find_lost_of_any_workspace(
            tx,
            BATCH,
            cut_seconds=CUT_SECONDS,
            silent_seconds=silent_seconds,
            judges_rescues=judges_rescues,
        )

    async def end_one(tx: Tx, workspace_id: str, conversation_id: str) -> bool:
        call = await queries.lock_call(tx, workspace_id, conversation_id)
        if call is None or not await due_queries.is_agent_lost(
            tx,
            workspace_id,
            conversation_id,
            cut_seconds=CUT_SECONDS,
            silent_seconds=silent_seconds,
            judges_rescues=judges_rescues,
        ):
            return False
        await _end_lost(tx, world, call)
        return True

    return await each(world, lost, end_one, "lost_not_ended")


async def each(
    world: World,
    found: Sequence[tuple[str, str]],
    work: Callable[[Tx, str, str], Awaitable[bool]],
    event: str,
) -> int:
    """Runs `work` for each (workspace_id, conversation_id) in a transaction of its own; how many it changed.

    A failure is logged as `event` and stops no other.
    """
    done = 0
    for workspace_id, conversation_id in found:
        try:
            async with world.db.transaction() as tx:
                done += await work(tx, workspace_id, conversation_id)
        except Exception as error:
            log.error(event, conversation_id=conversation_id, exc_info=error)
    return done


async def _end_overdue(tx: Tx, world: World, workspace_id: str, conversation_id: str) -> bool:
    call = await queries.lock_call(tx, workspace_id, conversation_id)
    if call is None or call.deadline_at is None or call.deadline_at > call.now:
        return False  # somebody else was first
    if call.last_command > 0 and await queries.is_end_wanted(tx, workspace_id, conversation_id):
        code = HangupCode.ENDED_BY_USER
    else:
        code = lifecycle.code_when_overdue(
            call.status,
            is_cap_shortened=call.is_cap_shortened,
            is_waiting=call.next_at is not None,
            is_unsent=call.unsent_detail is not None,
            direction=call.direction,
        )
    # The worker's spool may hold it: it is uploaded when the worker runs again.
    detail = _OVERDUE_DETAIL.get(code)
    if code is HangupCode.MEDIA_UNAVAILABLE:
        detail = call.unsent_detail
    ending = Ending(code, detail, has_recording=await recording_ends.is_expected(tx, call))
    await moves.move(tx, world, call, Fact.ENDED, ending=ending)
    return True


async def _end_lost(tx: Tx, world: World, call: LiveCall) -> None:
    log.warning("agent_lost", conversation_id=call.id, status=call.status, epoch=call.epoch)
    if rescuing.can_be_rescued(call):
        await rescuing.rescue(tx, world, call, since=_last_heard(call))
        return
    code = lifecycle.code_when_agent_lost(call.status, call.direction)
    if code is None and call.dispatch_count < MOST_DISPATCHES:
        await moves.give_back(tx, call)
        return
    ending = Ending(
        code or HangupCode.AGENT_UNAVAILABLE,
        _LOST_DETAIL,
        has_recording=await recording_ends.is_expected(tx, call),
    )
    await moves.move(tx, world, call, Fact.ENDED, ending=ending)


def _last_heard(call: LiveCall) -> datetime:
    heard = [at for at in (call.line_lost_at, call.heartbeat_at) if at is not None]
    return min(heard, default=call.now)
