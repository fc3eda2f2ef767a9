"""Calls whose time comes after they were accepted: scheduled ones at their instant, waiting ones at a free place.

Rules: each is queued once or ends with the reason; any number of dispatchers has the effect of one (a row lock that others
skip); one poisoned row is put off and holds up nobody. What may have changed since the request is checked again: the
agent, its number, the callee and its wish not to be called, the places, the balance. Order of locks as in placing.
"""

from __future__ import annotations

import attrs

from bolti_server.agents import reading as agents
from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal
from bolti_server.base.logging import get_logger
from bolti_server.billing import ledger
from bolti_server.calls import do_not_call, moves, placing_queries
from bolti_server.calls.lifecycle import QUEUED_SECONDS, HangupCode, Status
from bolti_server.calls.limits import DEFAULT_QUEUE_TIMEOUT_SECONDS
from bolti_server.calls.placing import ledger_of
from bolti_server.calls.placing_queries import DueCall
from bolti_server.numbers.reading import destination_refusal, outbound_binding
from bolti_server.world import World

_BATCH = 50
_POSTPONE_SECONDS = 5  # a call that we could not look at; its deadline stays

log = get_logger("scheduling")


@attrs.frozen
class _Reason:
    """Why a call is not placed after all."""

    code: HangupCode
    detail: str


async def dispatch_due(world: World) -> int:
    """Places scheduled calls whose instant has come, at most a batch; how many were queued or ended."""
    async with world.db.transaction() as tx:
        due = await placing_queries.find_due_scheduled_of_any_workspace(tx, _BATCH)
    return await _each(world, due, Status.SCHEDULED)


async def let_in_waiting(world: World) -> int:
    """Gives free places to calls that wait for one, the oldest first; how many were let in or ended."""
    async with world.db.transaction() as tx:
        waiting = await placing_queries.find_admissible_of_any_workspace(tx, _BATCH)
    return await _each(world, waiting, Status.QUEUED)


async def _each(world: World, due: list[tuple[str, str]], status: Status) -> int:
    done = 0
    for workspace_id, conversation_id in due:
        try:
            async with world.db.transaction() as tx:
                done += await _start(tx, world, workspace_id, conversation_id, status)
        except Exception as error:
            log.error("due_call_failed", conversation_id=conversation_id, exc_info=error)
            async with world.db.transaction() as tx:
                await placing_queries.postpone(
                    tx, workspace_id, conversation_id, delay_seconds=_POSTPONE_SECONDS
                )
    return done


async def _start(
    tx: Tx, world: World, workspace_id: str, conversation_id: str, status: Status
) -> bool:
    """Whether something was done with it: queued, let in, made to wait, or ended."""
    limit = await placing_queries.lock_places(tx, workspace_id)
    call = await placing_queries.lock_due_call(tx, workspace_id, conversation_id)
    if call is None or call.status != status:
        return False
    places = await placing_queries.find_places(
        tx, workspace_id, call.to_number, but_for=conversation_id
    )
    is_full = places.live >= limit
    if is_full and status is Status.QUEUED:
        return False  # somebody else got the place
    reason = await _reason_against(tx, call)
    if reason is None and places.conversation_id_of_callee and not call.allows_concurrent_to_callee:
        detail = f"Another call to this number is live: {places.conversation_id_of_callee}."
        reason = _Reason(HangupCode.CONCURRENCY_LIMIT, detail)
    if reason is None and is_full and not call.queues_when_limited:
        detail = f"The workspace has {places.live} calls and may have {limit}."
        reason = _Reason(HangupCode.CONCURRENCY_LIMIT, detail)
    if reason is None and not is_full:
        reason = await _hold(tx, call)
    if reason is not None:
        await moves.end(tx, world, workspace_id, call.id, reason.code, detail=reason.detail)
        return True
    if status is Status.SCHEDULED:
        await moves.queue(tx, world, workspace_id, call.id)
        if is_full:
            timeout = call.queue_timeout_seconds or DEFAULT_QUEUE_TIMEOUT_SECONDS
            await placing_queries.let_wait(tx, workspace_id, call.id, deadline_seconds=timeout)
    else:
        await placing_queries.let_in(tx, workspace_id, call.id, deadline_seconds=QUEUED_SECONDS)
        tx.wake("claimable")
    return True


async def _reason_against(tx: Tx, call: DueCall) -> _Reason | None:
    """What has changed since the call was accepted; None: nothing that matters."""
    if call.is_late:
        return _Reason(HangupCode.EXPIRED, "Its time was over before it could be placed.")
    agent = await agents.for_call(tx, call.workspace_id, call.agent_id)
    if agent is None or not agent.is_active:
        what = "deleted" if agent is None else "inactive"
        return _Reason(HangupCode.AGENT_INACTIVE, f"The agent is {what}.")
    binding = await outbound_binding(
        tx, call.workspace_id, call.agent_id, call.agent_phone_number_id
    )
    if isinstance(binding, Refusal):
        return _Reason(HangupCode.DESTINATION_NOT_ALLOWED, binding.detail)
    refusal = destination_refusal(binding.phone_number, call.to_number, simulated=binding.simulated)
    if refusal is not None:
        return _Reason(HangupCode.DESTINATION_NOT_ALLOWED, refusal.detail)
    unwanted = await do_not_call.refusal(tx, call.workspace_id, call.to_number)
    return None if unwanted is None else _Reason(HangupCode.DO_NOT_CALL, unwanted.detail)


async def _hold(tx: Tx, call: DueCall) -> _Reason | None:
    held = await ledger.hold(
        tx,
        organization_id=call.organization_id,
        workspace_id=call.workspace_id,
        ledger=ledger_of(call.simulated),
        reference=call.id,
        wanted_seconds=call.max_duration_seconds,
    )
    if isinstance(held, Refusal):
        return _Reason(HangupCode.INSUFFICIENT_CREDITS, held.detail)
    if held.is_shortened:
        await placing_queries.shorten_cap(tx, call.workspace_id, call.id, held.covered_seconds)
    return None
