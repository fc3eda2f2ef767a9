"""Placing a call: checks, conversation, hold, event and deadline in the caller's one transaction.

Rules: everything that is wrong is told at once, across kinds, and then nothing is made; what is accepted holds a place
and the money for its cap from the first moment, or says in its status that it waits (`scheduled`, or `queued` with
`next_at`). Order of locks: the workspace's row, the conversation, the ledger.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import attrs

from bolti_server.agents import reading as agents
from bolti_server.agents.reading import AgentForCall
from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal, combine, not_found
from bolti_server.base.ids import new_id
from bolti_server.billing import ledger
from bolti_server.calls import checking, do_not_call, events, placing_queries
from bolti_server.calls.lifecycle import QUEUED_SECONDS, SCHEDULED_LATE_SECONDS, Status
from bolti_server.calls.limits import (
    DEFAULT_QUEUE_TIMEOUT_SECONDS,
    RETRY_LIMITED_SECONDS,
)
from bolti_server.calls.placing_queries import Draft, Places
from bolti_server.calls.requests import Wanted
from bolti_server.contract.structs import OutboundCall, Simulation, WhenLimited
from bolti_server.numbers.reading import OutboundBinding, outbound_binding

_ATTEMPTS = 3  # at a place whose taker is gone when we look who it was


@attrs.frozen
class Asking:
    """Who asks for a call by which agent. `has_rooms`: whether this server has a media server."""

    workspace_id: str
    organization_id: str
    agent_id: str
    has_rooms: bool
    idempotency_key: str | None = None


async def place_outbound_call(tx: Tx, asking: Asking, wanted: Wanted | Refusal) -> OutboundCall:
    """The call, accepted in this transaction. `wanted` is a Refusal where nothing could be read of the body.

    Raises Refusal with all that is wrong; the caller rolls back, so that nothing is made.
    """
    agent = await agents.for_call(tx, asking.workspace_id, asking.agent_id)
    if agent is None:
        raise combine([not_found("agent"), *_complaints(wanted)])
    if isinstance(wanted, Refusal):
        refusals = [wanted]
        if not agent.is_active:
            refusals.append(checking.inactive())
        raise combine(refusals)
    now = (
        None
        if wanted.request.scheduled_at is None
        else await placing_queries.now_of_any_workspace(tx)
    )
    wanted, refusals = checking.with_checked_number(wanted)
    refusals += [
        *checking.request_refusals(wanted, now),
        *checking.agent_refusals(wanted, agent),
        *await do_not_call.refusals(tx, asking.workspace_id, wanted),
    ]
    binding: OutboundBinding | None = None
    if wanted.has("agent_phone_number_id"):
        found = await outbound_binding(
            tx, asking.workspace_id, agent.id, wanted.request.agent_phone_number_id
        )
        if isinstance(found, Refusal):
            refusals.append(found)
        else:
            binding = found
            refusals.extend(checking.binding_refusals(wanted, found, has_rooms=asking.has_rooms))
    if refusals or binding is None:
        refusals.extend(await _refusals_of_state(tx, asking, wanted, agent, binding))
        raise combine(refusals)
    scheduled_at = checking.scheduled_instant(wanted, now)
    assert not isinstance(scheduled_at, Refusal), "it was refused above"
    draft = _draft(asking, wanted, agent, binding, scheduled_at)
    if scheduled_at is not None:
        return await _schedule(tx, asking, draft)
    return await _queue(tx, asking, draft)


async def _queue(tx: Tx, asking: Asking, draft: Draft) -> OutboundCall:
    limit = await placing_queries.lock_places(tx, asking.workspace_id)
    for _ in range(_ATTEMPTS):
        if await placing_queries.insert_queued(
            tx,
            asking.workspace_id,
            draft,
            max_concurrent_calls=limit,
            deadline_seconds=QUEUED_SECONDS,
        ):
            await _hold_for(tx, asking, draft)
            tx.wake("claimable")
            return _accepted(draft, Status.QUEUED)
        places = await placing_queries.find_places(tx, asking.workspace_id, draft.to_number)
        refusals = place_refusals(
            places, limit, draft.allows_concurrent_to_callee, draft.queues_when_limited
        )
        if refusals:
            refusals.extend(
                await _credit_refusals(tx, asking, draft.simulated, draft.max_duration_seconds)
            )
            raise combine(refusals)
        if places.live >= limit and await _wait(tx, asking, draft):
            return _accepted(draft, Status.QUEUED)
    raise callee_in_call(None)


async def _hold_for(tx: Tx, asking: Asking, draft: Draft) -> None:
    held = await ledger.hold(
        tx,
        organization_id=asking.organization_id,
        workspace_id=asking.workspace_id,
        ledger=ledger_of(draft.simulated),
        reference=draft.id,
        wanted_seconds=draft.max_duration_seconds,
    )
    if isinstance(held, Refusal):
        raise held
    if held.is_shortened:
        await placing_queries.shorten_cap(tx, asking.workspace_id, draft.id, held.covered_seconds)


async def _wait(tx: Tx, asking: Asking, draft: Draft) -> bool:
    """Makes it wait for a place, without money: that is held when it is let in."""
    timeout = draft.queue_timeout_seconds or DEFAULT_QUEUE_TIMEOUT_SECONDS
    is_made = await placing_queries.insert_waiting(
        tx, asking.workspace_id, draft, deadline_seconds=timeout
    )
    if is_made:
        await _refuse_without_credit(tx, asking, draft)
        tx.wake("conversations_due")
    return is_made


async def _schedule(tx: Tx, asking: Asking, draft: Draft) -> OutboundCall:
    await placing_queries.insert_scheduled(
        tx, asking.workspace_id, draft, grace_seconds=SCHEDULED_LATE_SECONDS
    )
    await _refuse_without_credit(tx, asking, draft)
    await events.emit_scheduled_call(tx, asking.workspace_id, draft.id, "scheduled_call.created")
    return _accepted(draft, Status.SCHEDULED)


async def _refuse_without_credit(tx: Tx, asking: Asking, draft: Draft) -> None:
    refusals = await _credit_refusals(tx, asking, draft.simulated, draft.max_duration_seconds)
    if refusals:
        raise refusals[0]


async def _refusals_of_state(
    tx: Tx,
    asking: Asking,
    wanted: Wanted,
    agent: AgentForCall,
    binding: OutboundBinding | None,
) -> list[Refusal]:
    """What credit and the calls of this moment have against a request that is refused anyway: a look, without locks."""
    found: list[Refusal] = []
    request = wanted.request
    if wanted.has("to_number", "scheduled_at") and request.scheduled_at is None:
        limit = await placing_queries.find_limit(tx, asking.workspace_id)
        places = await placing_queries.find_places(tx, asking.workspace_id, request.to_number)
        is_queueing = not wanted.has("when_limited") or request.when_limited is WhenLimited.queue
        is_allowing = (
            not wanted.has("allow_concurrent_to_callee") or request.allow_concurrent_to_callee
        )
        found.extend(place_refusals(places, limit, is_allowing, is_queueing))
    if binding is not None and wanted.has("max_duration_seconds"):
        seconds = request.max_duration_seconds or agent.configuration.limits.max_duration_seconds
        found.extend(await _credit_refusals(tx, asking, binding.simulated, seconds))
    return found


async def _credit_refusals(
    tx: Tx, asking: Asking, simulated: bool, wanted_seconds: int
) -> list[Refusal]:
    refusal = await ledger.credit_refusal(
        tx, asking.workspace_id, ledger_of(simulated), wanted_seconds=wanted_seconds
    )
    return [] if refusal is None else [refusal]


def place_refusals(
    places: Places, limit: int, is_callee_shared: bool, is_queueing: bool
) -> list[Refusal]:
    """Why there is no place now: the callee is in a call (409), the workspace has all its calls (429)."""
    found: list[Refusal] = []
    if places.conversation_id_of_callee is not None and not is_callee_shared:
        found.append(callee_in_call(places.conversation_id_of_callee))
    if places.live >= limit and not is_queueing:
        detail = (
            f"The workspace has {places.live} calls and may have {limit}. "
            "Wait, or send when_limited: queue."
        )
        found.append(
            Refusal(
                429,
                "concurrency_limit_reached",
                detail,
                headers={"Retry-After": str(RETRY_LIMITED_SECONDS)},
            )
        )
    return found


def callee_in_call(conversation_id: str | None) -> Refusal:
    """409; None where the other call was over again before it could be named."""
    return Refusal(
        409,
        "callee_already_in_call",
        "Another call of this workspace to this number is live. "
        "Wait for its end, or set allow_concurrent_to_callee.",
        extras={} if conversation_id is None else {"conversation_id": conversation_id},
    )


def ledger_of(simulated: bool) -> Literal["live", "test"]:
    """Simulated calls are priced on the test ledger, whatever the key."""
    return "test" if simulated else "live"


def _draft(
    asking: Asking,
    wanted: Wanted,
    agent: AgentForCall,
    binding: OutboundBinding,
    scheduled_at: datetime | None,
) -> Draft:
    request, limits = wanted.request, agent.configuration.limits
    line = checking.line_of(request.simulation, binding)
    return Draft(
        id=new_id("conv"),
        organization_id=asking.organization_id,
        agent_id=agent.id,
        agent_version=agent.version,
        agent_phone_number_id=binding.agent_phone_number_id,
        simulated=binding.simulated,
        from_number=binding.phone_number,
        to_number=request.to_number,
        variable_values=request.variable_values,
        scenario=_scenario(request.simulation),
        script=None if request.simulation is None else request.simulation.script,
        line=line,
        trunk_id=binding.trunk_id if line == "room" else None,
        idempotency_key=asking.idempotency_key,
        allows_concurrent_to_callee=request.allow_concurrent_to_callee,
        queues_when_limited=request.when_limited is WhenLimited.queue,
        queue_timeout_seconds=request.queue_timeout_seconds,
        max_duration_seconds=request.max_duration_seconds or limits.max_duration_seconds,
        ring_timeout_seconds=limits.ring_timeout_seconds,
        scheduled_call_id=None if scheduled_at is None else new_id("sched"),
        scheduled_at=scheduled_at,
    )


def _scenario(simulation: Simulation | None) -> str | None:
    if simulation is None or simulation.scenario is None:
        return None
    return simulation.scenario.value


def _accepted(draft: Draft, status: Status) -> OutboundCall:
    return OutboundCall(
        conversation_id=draft.id,
        scheduled_call_id=draft.scheduled_call_id,
        status=status.value,
        simulated=draft.simulated,
    )


def _complaints(wanted: Wanted | Refusal) -> list[Refusal]:
    if isinstance(wanted, Refusal):
        return [wanted]
    return [] if wanted.complaint is None else [wanted.complaint]
