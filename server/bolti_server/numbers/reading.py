"""Which of an agent's numbers a call is dialed from.

Rule: only a number that is assigned to this agent for outbound calls now. `simulated` of a call is decided here, by the
trunk of the from-number alone.
"""

from __future__ import annotations

import attrs

from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal
from bolti_server.numbers import queries
from bolti_server.numbers.queries import StoredBinding
from bolti_server.numbers.simulated_network import is_simulated_number

_POINTER = "/agent_phone_number_id"


@attrs.frozen
class OutboundBinding:
    """The number to dial from."""

    agent_phone_number_id: str
    number_id: str
    phone_number: str
    trunk_id: str
    trunk_kind: str
    simulated: bool


async def outbound_binding(
    tx: Tx, workspace_id: str, agent_id: str, agent_phone_number_id: str | None
) -> OutboundBinding | Refusal:
    """The binding to dial from, or the Refusal that says why there is none (returned, so that a caller can list it
    with other refusals): 403 number_not_assigned, 400 where several fit and none is named."""
    if agent_phone_number_id is not None:
        binding = await queries.find_binding(tx, workspace_id, agent_phone_number_id)
        refusal = _refusal_of_named(binding, agent_id)
        if refusal is not None:
            return refusal
        assert binding is not None, "a missing binding was refused"
        return _outbound(binding)
    bindings = await queries.outbound_bindings(tx, workspace_id, agent_id, limit=20)
    if len(bindings) == 1:
        return _outbound(bindings[0])
    if not bindings:
        return _not_assigned(
            "This agent has no number for outbound calls. Assign one: "
            "POST /workspaces/{workspace_id}/agents/{agent_id}/phone-numbers.",
            pointer="",
        )
    known = ", ".join(f"{each.id} ({each.phone_number})" for each in bindings)
    detail = f"This agent has several numbers for outbound calls. Name one of them: {known}."
    fault = Fault("required", detail, _POINTER)
    return Refusal(400, "validation_failed", detail, faults=[fault])


def destination_refusal(
    from_number: str | None, to_number: str, *, simulated: bool
) -> Refusal | None:
    """403 where the simulated and the real network would meet. `simulated`: which of them `from_number` belongs to."""
    if simulated == is_simulated_number(to_number):
        return None
    if simulated:
        detail = (
            f"{from_number} is a simulated number and reaches only the simulated network: "
            "+12025550100 to +12025550199."
        )
    else:
        detail = "+12025550100 to +12025550199 are simulated: call them from a simulated number."
    fault = Fault("destination_not_allowed", detail, "/to_number")
    return Refusal(403, "destination_not_allowed", detail, faults=[fault])


def _refusal_of_named(binding: StoredBinding | None, agent_id: str) -> Refusal | None:
    if binding is None or binding.agent_id != agent_id:
        return _not_assigned("This agent_phone_number_id is not one of this agent's numbers.")
    if binding.direction not in ("outbound", "both"):
        return _not_assigned(
            f"{binding.phone_number} is assigned to this agent for inbound calls only."
        )
    if not binding.can_outbound:
        return _not_assigned(f"The trunk of {binding.phone_number} can't carry outbound calls.")
    return None


def _not_assigned(detail: str, pointer: str = _POINTER) -> Refusal:
    fault = Fault("number_not_assigned", detail, pointer)
    return Refusal(403, "number_not_assigned", detail, faults=[fault])


def _outbound(binding: StoredBinding) -> OutboundBinding:
    return OutboundBinding(
        agent_phone_number_id=binding.id,
        number_id=binding.number_id,
        phone_number=binding.phone_number,
        trunk_id=binding.trunk_id,
        trunk_kind=binding.trunk_kind,
        simulated=binding.is_simulated,
    )
