"""A call comes in: number → agent → place → money → conversation, in one transaction, before anybody answers it.

Rules: the leg that the SIP service names (`sip_call_id`) makes at most one conversation, however often it is asked for: a
repeat gets the first answer. A call that nobody of ours can answer is never answered, and its record says why; where not
even its workspace is known, a log line does. The do-not-call list does not apply: they called us. A number without an
agent, or with an inactive one, is `agent_inactive`. Order of locks: the workspace's row, the conversation, the ledger.
"""

from __future__ import annotations

import attrs

from bolti_server.agents import reading as agents
from bolti_server.agents.reading import AgentForCall
from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal
from bolti_server.base.ids import new_id
from bolti_server.base.logging import get_logger
from bolti_server.billing import ledger
from bolti_server.calls import answering_queries as queries
from bolti_server.calls import events, leases, placing_queries
from bolti_server.calls.answering_queries import Arrival, Arrived, Refused
from bolti_server.calls.hangups import HANGUPS, HangupCode, status_for
from bolti_server.calls.lifecycle import GRACE_SECONDS
from bolti_server.calls.placing import ledger_of
from bolti_server.numbers.called import CalledNumber, called_number, trunk_of_any_workspace
from bolti_server.numbers.phone_numbers import caller_of
from bolti_server.numbers.trunk_queries import StoredTrunk
from bolti_server.rooms.media import INBOUND_RINGING_SECONDS
from bolti_server.worker_api.messages import Claimed, InboundAnswer, InboundCall
from bolti_server.workspaces.queries import StoredWorkspace, find_workspace
from bolti_server.world import World

_FIRST_EPOCH = 1

log = get_logger("answering")


@attrs.frozen
class _No:
    """Why nobody of ours answers."""

    code: HangupCode
    detail: str


class _NoCredit(Exception):
    """The balance does not cover a minute; the conversation is taken back."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


async def answer_inbound(world: World, call: InboundCall) -> InboundAnswer:
    """Who answers the call, or that it is to be refused. Safe to repeat, also at the same time."""
    async with world.db.transaction() as tx:
        arrived = await queries.find_arrived_of_any_workspace(tx, call.sip_call_id)
        if arrived is None:
            answer = await _let_in(tx, world, call)
            if answer is not None:
                return answer
            # Somebody asked for the same leg a moment ago.
            arrived = await queries.find_arrived_of_any_workspace(tx, call.sip_call_id)
            assert arrived is not None, "what the insert met is committed"
    return _repeated(world, call, arrived)


async def _let_in(tx: Tx, world: World, call: InboundCall) -> InboundAnswer | None:
    """None where the leg has a conversation already."""
    trunk = await trunk_of_any_workspace(tx, call.trunk_id)
    if trunk is None:
        return _unknown(call, f"There is no trunk {call.trunk_id} (any more).")
    limit = await placing_queries.lock_places(tx, trunk.workspace_id)
    number = await called_number(tx, trunk, call.to_number)
    if number is None:
        return _unknown(call, f"The trunk {trunk.id} has no such number.")
    workspace = await find_workspace(tx, trunk.workspace_id)
    assert workspace is not None, "a trunk has a workspace"
    agent = None
    if number.agent_id is not None:
        agent = await agents.for_call(tx, workspace.id, number.agent_id)
    arrival = _arrival(call, trunk, workspace, number, agent)
    no = _no_agent(trunk, number, agent)
    if no is None:
        places = await placing_queries.find_places(tx, workspace.id, arrival.to_number)
        if places.live >= limit:
            detail = f"The workspace has {places.live} calls and may have {limit}."
            no = _No(HangupCode.CONCURRENCY_LIMIT, detail)
    if no is None:
        try:
            async with tx.savepoint():  # a conversation without its money is taken back
                return await _ring(tx, world, workspace.id, arrival)
        except _NoCredit as none:
            no = _No(HangupCode.INSUFFICIENT_CREDITS, none.detail)
    return await _refuse(tx, world, workspace.id, arrival, no)


async def _ring(tx: Tx, world: World, workspace_id: str, arrival: Arrival) -> InboundAnswer | None:
    deadline_seconds = arrival.ring_timeout_seconds + GRACE_SECONDS
    if not await queries.insert_ringing(
        tx, workspace_id, arrival, deadline_seconds=deadline_seconds
    ):
        return None
    held = await ledger.hold(
        tx,
        organization_id=arrival.organization_id,
        workspace_id=workspace_id,
        ledger=ledger_of(arrival.simulated),
        reference=arrival.id,
        wanted_seconds=arrival.max_duration_seconds,
    )
    if isinstance(held, Refusal):
        raise _NoCredit(held.detail)
    if held.is_shortened:
        await placing_queries.shorten_cap(tx, workspace_id, arrival.id, held.covered_seconds)
    await events.emit_conversation(tx, world, workspace_id, arrival.id, "conversation.ringing")
    return _claimed(world, arrival.id)


async def _refuse(
    tx: Tx, world: World, workspace_id: str, arrival: Arrival, no: _No
) -> InboundAnswer | None:
    rule = HANGUPS[no.code]
    refused = Refused(
        status=status_for(no.code, "inbound"),
        code=no.code,
        by=rule.by,
        fault=rule.fault,
        is_retryable=rule.retryable,
        detail=no.detail,
    )
    if not await queries.insert_refused(tx, workspace_id, arrival, refused):
        return None
    await events.emit_conversation(tx, world, workspace_id, arrival.id, "conversation.ended")
    return InboundAnswer(claimed=None, code=no.code, detail=no.detail)


def _no_agent(trunk: StoredTrunk, number: CalledNumber, agent: AgentForCall | None) -> _No | None:
    if not trunk.can_inbound:
        return _No(HangupCode.DESTINATION_NOT_ALLOWED, f"The trunk {trunk.name} takes no calls.")
    if agent is None:
        detail = (
            f"No agent answers {number.phone_number}. Give it to one, for inbound or both: "
            "POST /workspaces/{workspace_id}/agents/{agent_id}/phone-numbers."
        )
        return _No(HangupCode.AGENT_INACTIVE, detail)
    if not agent.is_active:
        detail = f"The agent {agent.name} is inactive. Set is_active to true to take calls with it."
        return _No(HangupCode.AGENT_INACTIVE, detail)
    return None


def _arrival(
    call: InboundCall,
    trunk: StoredTrunk,
    workspace: StoredWorkspace,
    number: CalledNumber,
    agent: AgentForCall | None,
) -> Arrival:
    return Arrival(
        id=new_id("conv"),
        organization_id=workspace.organization_id,
        agent_id=None if agent is None else agent.id,
        agent_version=None if agent is None else agent.version,
        agent_phone_number_id=None if agent is None else number.agent_phone_number_id,
        simulated=trunk.is_simulated,
        from_number=caller_of(call.from_number, number.country),
        to_number=number.phone_number,
        trunk_id=trunk.id,
        room=call.room,
        sip_call_id=call.sip_call_id,
        max_duration_seconds=(
            0 if agent is None else agent.configuration.limits.max_duration_seconds
        ),
        ring_timeout_seconds=INBOUND_RINGING_SECONDS,
        worker_id=call.worker_id,
    )


def _repeated(world: World, call: InboundCall, arrived: Arrived) -> InboundAnswer:
    """The answer that the first who asked for this leg got. One who has lost the call since finds out by its epoch."""
    if arrived.trunk_id != call.trunk_id:
        return _unknown(call, "The leg came in by another trunk.")
    if arrived.hangup_code is not None:
        return InboundAnswer(claimed=None, code=arrived.hangup_code, detail=arrived.hangup_detail)
    return _claimed(world, arrived.id)


def _claimed(world: World, conversation_id: str) -> InboundAnswer:
    token = leases.mint(world.vault, conversation_id, _FIRST_EPOCH)
    return InboundAnswer(
        claimed=Claimed(conversation_id=conversation_id, epoch=_FIRST_EPOCH, token=token)
    )


def _unknown(call: InboundCall, detail: str) -> InboundAnswer:
    """Nobody's: there is no workspace that could have a record of it."""
    log.warning(
        "inbound_call_of_nobody",
        trunk_id=call.trunk_id,
        sip_call_id=call.sip_call_id,
        pii_to_number=call.to_number,
        detail=detail,
    )
    return InboundAnswer(claimed=None, code=HangupCode.INVALID_NUMBER, detail=detail)
