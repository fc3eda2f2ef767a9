"""What the API and the events tell about a conversation: its rows as the contract's `Conversation`.

Rule: a record says nothing that is not in the rows of this transaction, and links to a recording only if there is one.
"""

from __future__ import annotations

import msgspec

from bolti_server.base.clock import rfc3339
from bolti_server.base.db import Tx, decode_json
from bolti_server.calls import queries, simulations
from bolti_server.calls.queries import ConversationFilter, StoredConversation
from bolti_server.contract import structs
from bolti_server.web.recording_links import recording_url
from bolti_server.world import World


async def conversation(
    tx: Tx, world: World, workspace_id: str, conversation_id: str
) -> structs.Conversation | None:
    """The whole record, transcript and usage included; None where the workspace has no such conversation."""
    stored = await queries.find_conversation(tx, workspace_id, conversation_id)
    spoken = await queries.find_transcript(tx, workspace_id, conversation_id)
    if stored is None or spoken is None:
        return None
    summary = summary_of(world, stored)
    turns = msgspec.json.decode(spoken.turns, type=list[structs.Turn])
    return structs.Conversation(
        **{name: getattr(summary, name) for name in summary.__struct_fields__},
        simulation=simulations.result_of(stored, turns, spoken.script),
        transcript=turns,
        usage=msgspec.json.decode(spoken.usage, type=list[structs.UsageItem]),
    )


async def summary(
    tx: Tx, world: World, workspace_id: str, conversation_id: str
) -> structs.ConversationSummary:
    """The record without transcript and usage. The conversation must exist."""
    stored = await queries.find_conversation(tx, workspace_id, conversation_id)
    assert stored is not None, f"no conversation {conversation_id} in {workspace_id}"
    return summary_of(world, stored)


async def summaries(
    tx: Tx,
    world: World,
    workspace_id: str,
    wanted: ConversationFilter,
    *,
    limit: int,
    before_id: str | None,
) -> list[structs.ConversationSummary]:
    """A page; `before_id` is the last id of the page before."""
    found = await queries.list_conversations(
        tx, workspace_id, wanted, limit=limit, before_id=before_id
    )
    return [summary_of(world, stored) for stored in found]


async def transcript(tx: Tx, workspace_id: str, conversation_id: str) -> structs.Transcript | None:
    """The turns so far; None where the workspace has no such conversation."""
    spoken = await queries.find_transcript(tx, workspace_id, conversation_id)
    if spoken is None:
        return None
    return structs.Transcript(
        conversation_id=conversation_id,
        status=spoken.status,
        turns=msgspec.json.decode(spoken.turns, type=list[structs.Turn]),
    )


async def scheduled_call(tx: Tx, workspace_id: str, conversation_id: str) -> structs.ScheduledCall:
    """The scheduled call that the conversation was made for. There must be one."""
    stored = await queries.find_conversation(tx, workspace_id, conversation_id)
    assert stored is not None, f"no conversation {conversation_id} in {workspace_id}"
    return scheduled_call_of(stored)


def summary_of(world: World, stored: StoredConversation) -> structs.ConversationSummary:
    is_recorded = stored.recording_status == "available"
    return structs.ConversationSummary(
        id=stored.id,
        workspace_id=stored.workspace_id,
        direction=stored.direction,
        status=stored.status,
        simulated=stored.simulated,
        line=stored.line,
        agent=_agent(stored),
        agent_phone_number_id=stored.agent_phone_number_id,
        from_number=stored.from_number,
        to_number=stored.to_number,
        variable_values=decode_json(stored.variable_values),
        scheduled_call_id=stored.scheduled_call_id,
        scheduled_at=None if stored.scheduled_at is None else rfc3339(stored.scheduled_at),
        created_at=rfc3339(stored.created_at),
        dialed_at=None if stored.dialed_at is None else rfc3339(stored.dialed_at),
        ringing_at=None if stored.ringing_at is None else rfc3339(stored.ringing_at),
        answered_at=None if stored.answered_at is None else rfc3339(stored.answered_at),
        ended_at=None if stored.ended_at is None else rfc3339(stored.ended_at),
        duration_seconds=stored.duration_seconds,
        max_duration_seconds=stored.max_duration_seconds,
        hangup=_hangup(stored),
        latency=_latency(stored),
        cost=_cost(stored),
        recording_status=stored.recording_status,
        recording_detail=stored.recording_detail,
        recording_url=recording_url(world, stored.workspace_id, stored.id) if is_recorded else None,
        analysis_status=stored.analysis_status,
    )


def scheduled_call_of(stored: StoredConversation) -> structs.ScheduledCall:
    """Its state follows from the conversation's: a scheduled call has no life of its own."""
    assert stored.scheduled_call_id is not None, f"{stored.id} was not scheduled"
    assert stored.scheduled_at is not None, f"{stored.id} was not scheduled"
    assert stored.to_number is not None, f"{stored.id} calls nobody"
    assert stored.agent_id is not None, f"{stored.id} is of no agent"
    status = _scheduled_status(stored)
    return structs.ScheduledCall(
        id=stored.scheduled_call_id,
        workspace_id=stored.workspace_id,
        conversation_id=stored.id,
        agent_id=stored.agent_id,
        to_number=stored.to_number,
        status=status,
        scheduled_at=rfc3339(stored.scheduled_at),
        created_at=rfc3339(stored.created_at),
        failure_code=stored.hangup_code if status == "failed" else None,
        failure_detail=stored.hangup_detail if status == "failed" else None,
    )


def _scheduled_status(stored: StoredConversation) -> str:
    if stored.queued_at is not None:
        return "dispatched"  # whatever has become of the call since
    if stored.ended_at is None:
        return "pending"
    return "cancelled" if stored.status == "cancelled" else "failed"


def _agent(stored: StoredConversation) -> structs.AgentReference | None:
    if stored.agent_id is None:
        return None
    assert stored.agent_version is not None, f"{stored.id} has an agent of no version"
    return structs.AgentReference(
        id=stored.agent_id, name=stored.agent_name, version=stored.agent_version
    )


def _hangup(stored: StoredConversation) -> structs.Hangup | None:
    if stored.hangup_code is None:
        return None
    return structs.Hangup(
        code=stored.hangup_code,
        by=stored.hangup_by or "platform",
        fault=stored.hangup_fault or "none",
        retryable=bool(stored.hangup_retryable),
        detail=stored.hangup_detail,
        sip_status=stored.sip_status,
        provider_code=stored.provider_code,
    )


def _latency(stored: StoredConversation) -> structs.ConversationLatency | None:
    if stored.agent_turns == 0:
        return None
    return structs.ConversationLatency(
        turns=stored.measured_turns,
        end_to_end_p50_ms=stored.end_to_end_p50_ms,
        end_to_end_p95_ms=stored.end_to_end_p95_ms,
        first_audio_ms=stored.first_audio_ms,
        heard_p50_ms=stored.heard_p50_ms,
        heard_p95_ms=stored.heard_p95_ms,
    )


def _cost(stored: StoredConversation) -> structs.Cost | None:
    if stored.cost_micros is None:
        return None
    assert stored.cost_currency is not None, f"{stored.id} has a cost in no currency"
    return structs.Cost(
        amount_micros=stored.cost_micros,
        currency=stored.cost_currency,
        ledger="test" if stored.simulated else "live",
        components=[structs.CostComponent(component="call", amount_micros=stored.cost_micros)],
    )
