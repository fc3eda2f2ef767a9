"""Giving a number to an agent and taking it away.

Rule: a number answers as exactly one agent at a time. Assigning it elsewhere moves it; calls in progress keep the agent
with which they began, because they hold their own agent version and never look here again.
"""

from __future__ import annotations

from bolti_server.agents.reading import hold_agent
from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal, combine, not_found
from bolti_server.base.ids import new_id
from bolti_server.numbers import queries
from bolti_server.numbers.queries import StoredBinding, StoredNumber


async def assign_number(
    tx: Tx, workspace_id: str, agent_id: str, number_id: str, direction: str
) -> StoredBinding:
    """The binding of the number to this agent. Repeating it gives the same binding; another direction changes it.

    Raises Refusal 404 for an unknown agent or number, 400 for a direction that its trunk can't carry.
    """
    number = await queries.lock_number(tx, workspace_id, number_id)
    refusals: list[Refusal] = []
    if not await hold_agent(tx, workspace_id, agent_id):
        refusals.append(not_found("agent"))
    if number is None:
        refusals.append(_unknown_number(number_id))
    else:
        refusals.extend(_direction_refusals(number, direction))
    if number is None or refusals:
        raise combine(refusals)
    binding_id = await _bind(tx, workspace_id, agent_id, number, direction)
    binding = await queries.find_binding(tx, workspace_id, binding_id)
    assert binding is not None, "bound a line above, under the number's lock"
    return binding


async def unassign_number(
    tx: Tx, workspace_id: str, agent_id: str, agent_phone_number_id: str
) -> None:
    """Raises Refusal 404 where the agent has no such binding (any more)."""
    if not await queries.end_binding(tx, workspace_id, agent_id, agent_phone_number_id):
        raise not_found("agent phone number")


async def _bind(
    tx: Tx, workspace_id: str, agent_id: str, number: StoredNumber, direction: str
) -> str:
    if number.agent_phone_number_id is not None and number.agent_id is not None:
        if number.agent_id == agent_id:
            if number.direction != direction:
                await queries.change_direction(
                    tx, workspace_id, number.agent_phone_number_id, direction
                )
            return number.agent_phone_number_id
        await queries.end_binding(tx, workspace_id, number.agent_id, number.agent_phone_number_id)
    binding_id = new_id("apn")
    await queries.insert_binding(
        tx,
        workspace_id,
        binding_id,
        agent_id=agent_id,
        number_id=number.id,
        direction=direction,
    )
    return binding_id


def _unknown_number(number_id: str) -> Refusal:
    detail = (
        f"There is no number {number_id[:60]!r} in this workspace. "
        "List them: GET /workspaces/{workspace_id}/numbers."
    )
    return Refusal(404, "not_found", detail, faults=[Fault("not_found", detail, "/number_id")])


def _direction_refusals(number: StoredNumber, direction: str) -> list[Refusal]:
    missing = [
        way
        for way, can in (("inbound", number.can_inbound), ("outbound", number.can_outbound))
        if direction in (way, "both") and not can
    ]
    if not missing:
        return []
    detail = f"The trunk of {number.phone_number} can't carry {' or '.join(missing)} calls."
    fault = Fault("not_supported", detail, "/direction")
    return [Refusal(400, "validation_failed", detail, faults=[fault])]
