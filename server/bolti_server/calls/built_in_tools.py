"""What the server does for the built-in tools: it schedules callbacks, and says whom a call may be handed to.

Rules: a callback is a scheduled call like any other, through the same gate; its booking and the tool's result commit
together, so a repeated tool call books nothing twice; a call books at most MOST_CALLBACKS. A model chooses a transfer
target by name and never sees a number; which number that is, and whether it may be dialed, is decided here.
Somebody is called into a call for a warm transfer by the call's own number and its trunk (`transfer_intent`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bolti_server.agents.reading import AgentForCall
from bolti_server.base.db import Tx, decode_json
from bolti_server.base.errors import Refusal
from bolti_server.calls import artifact_queries, call_trunks, do_not_call, placing_queries
from bolti_server.calls import do_not_call_queries as queries
from bolti_server.calls.checking import scheduled_instant
from bolti_server.calls.placing import Asking, place_outbound_call
from bolti_server.calls.requests import wanted_of
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.contract.structs import (
    OutboundCallRequest,
    Simulation,
    SimulationLine,
    TransferMode,
)
from bolti_server.numbers.reading import destination_refusal
from bolti_server.worker_api.messages import ToolCallReport

SCHEDULE_CALLBACK = "schedule_callback"
TRANSFER_CALL = "transfer_call"
NAMES = frozenset({SCHEDULE_CALLBACK, TRANSFER_CALL})
MOST_REASON_CHARACTERS = 500
MOST_CALLBACKS = 3  # that one call books: a change of mind or two, and no model that loops


def is_built_in(agent: AgentForCall, name: str) -> bool:
    """Whether the agent has it, and the server does it."""
    return name in NAMES and name in agent.configuration.built_in_tools


async def answer(
    tx: Tx, call: LiveCall, agent: AgentForCall, name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The tool's result. Raises Refusal, whose words are for the model; then the transaction is rolled back."""
    if name == SCHEDULE_CALLBACK:
        return await _schedule_callback(tx, call, agent, arguments)
    return await _transfer_call(tx, call, agent, arguments)


async def _schedule_callback(
    tx: Tx, call: LiveCall, agent: AgentForCall, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    number, at = do_not_call.callee_of(call), arguments.get("at")
    if number is None or not isinstance(at, str):
        raise Refusal(400, "validation_failed", "at: Is a date and a time, as 2026-11-26T10:00.")
    # Two tool calls at once are counted one after the other: whoever places takes this lock first.
    await placing_queries.lock_places(tx, call.workspace_id)
    count = artifact_queries.count_done_tool_calls
    if await count(tx, call.workspace_id, call.id, SCHEDULE_CALLBACK) >= MOST_CALLBACKS:
        raise Refusal(
            409,
            "too_many_callbacks",
            f"This call has booked {MOST_CALLBACKS} callbacks, and may not book more. They stand.",
        )
    zone = agent.configuration.timezone
    variables: dict[str, Any] = decode_json(call.variable_values)
    reason = arguments.get("reason")
    if isinstance(reason, str) and reason.strip():
        variables["callback_reason"] = reason.strip()[:MOST_REASON_CHARACTERS]
    wanted = wanted_of(
        OutboundCallRequest(
            to_number=number,
            agent_phone_number_id=await queries.find_number_of_call(tx, call.workspace_id, call.id),
            variable_values=variables,
            scheduled_at=at.strip(),
            timezone=zone,
            simulation=_simulation(call),
        )
    )
    instant = scheduled_instant(wanted, call.now)
    if isinstance(instant, Refusal):
        words = instant.detail.removeprefix("scheduled_at: ")
        raise Refusal(instant.status, instant.code, f"at: {words}")
    asking = Asking(
        call.workspace_id, call.organization_id, call.agent_id, has_rooms=call.line == "room"
    )
    placed = await place_outbound_call(tx, asking, wanted)
    assert isinstance(instant, datetime), "a wanted call with an instant is scheduled or refused"
    return {
        "scheduled_for": _in_words(instant, zone),
        "scheduled_call_id": placed.scheduled_call_id,
        "conversation_id": placed.conversation_id,
    }


async def _transfer_call(
    tx: Tx, call: LiveCall, agent: AgentForCall, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    targets = {each.name: each for each in agent.configuration.transfer_targets}
    target = targets.get(str(arguments.get("target")))
    if target is None:
        known = ", ".join(targets)
        raise Refusal(
            400, "validation_failed", f"There is no such target. The targets are: {known}."
        )
    number = target.phone_number
    if call.line == "browser":
        raise Refusal(400, "validation_failed", "Only a telephone call can be handed over.")
    if number == do_not_call.callee_of(call):
        raise Refusal(400, "validation_failed", "That is the person you are talking to.")
    if target.mode == TransferMode.warm and not await call_trunks.can_dial(tx, call):
        raise Refusal(409, "transfer_refused", call_trunks.GONE)
    for refusal in (
        # By the call's own number, whoever has it by now: a call in progress keeps its agent and its trunk.
        destination_refusal(call.our_number, number, simulated=call.simulated),
        await do_not_call.refusal(tx, call.workspace_id, number),
    ):
        if refusal is not None:
            raise refusal
    return {"to_number": number, "mode": str(target.mode)}


def is_warm(result: object) -> bool:
    """Of what `transfer_call` was answered."""
    return isinstance(result, dict) and result.get("mode") == TransferMode.warm


def is_handed_over(report: ToolCallReport) -> bool:
    """Whether that tool call of an agent has brought the callee together with somebody who is in the call now."""
    return report.name == TRANSFER_CALL and not report.is_error and is_warm(report.result)


def _simulation(call: LiveCall) -> Simulation | None:
    """A simulated call is called back on the line that it has."""
    is_kept = call.simulated and call.line in ("text", "room")
    return Simulation(line=SimulationLine(call.line)) if is_kept else None


def _in_words(instant: datetime, zone: str) -> str:
    """As it can be read aloud: Thursday, 26 November 2026 at 10:00 (Asia/Kolkata)."""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{local:%A}, {local.day} {local:%B %Y} at {local:%H:%M} ({zone})"
