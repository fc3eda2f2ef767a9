"""The events about calls, logged in the transaction that makes them true.

Rule: `data.object` is what the contract's `webhooks` section says, as it is in the transaction at that moment. Events
of a conversation count their `sequence` under its id, events of a scheduled call under the scheduled call's.
"""

from __future__ import annotations

from typing import Literal

from bolti_server.base.db import Tx
from bolti_server.base.events import Event, emit
from bolti_server.calls import queries, records
from bolti_server.contract import structs
from bolti_server.world import World

ScheduledCallEventType = Literal[
    "scheduled_call.created",
    "scheduled_call.dispatched",
    "scheduled_call.failed",
    "scheduled_call.cancelled",
]


async def emit_conversation(
    tx: Tx, world: World, workspace_id: str, conversation_id: str, *event_types: str
) -> None:
    """Logs that the conversation has come to `event_types` (`conversation.started`, `conversation.ended` …), in order."""
    record = await records.summary(tx, world, workspace_id, conversation_id)
    data = structs.ConversationEventData(object=record)
    for event_type in event_types:
        emit(tx, Event(workspace_id, event_type, conversation_id, data, record.simulated))


async def emit_scheduled_call(
    tx: Tx, workspace_id: str, conversation_id: str, event_type: ScheduledCallEventType
) -> None:
    """Logs that the scheduled call of this conversation has come to `event_type`."""
    stored = await queries.find_conversation(tx, workspace_id, conversation_id)
    assert stored is not None, f"no conversation {conversation_id} in {workspace_id}"
    call = records.scheduled_call_of(stored)
    data = structs.ScheduledCallEventData(object=call)
    emit(tx, Event(workspace_id, event_type, call.id, data, stored.simulated))


def emit_turn(
    tx: Tx, workspace_id: str, conversation_id: str, simulated: bool, turn: structs.Turn
) -> None:
    """Logs a turn that was spoken; in the log and its live views only."""
    data = structs.TurnEventData(
        object=structs.TurnEventObject(conversation_id=conversation_id, turn=turn)
    )
    emit(tx, Event(workspace_id, "conversation.turn", conversation_id, data, simulated))


def emit_tool_call(
    tx: Tx,
    workspace_id: str,
    conversation_id: str,
    simulated: bool,
    tool_call: structs.TurnToolCall,
) -> None:
    """Logs a tool that the agent used; in the log and its live views only."""
    data = structs.ToolCallEventData(
        object=structs.ToolCallEventObject(conversation_id=conversation_id, tool_call=tool_call)
    )
    emit(tx, Event(workspace_id, "conversation.tool_call", conversation_id, data, simulated))
