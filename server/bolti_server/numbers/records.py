"""Numbers and their bindings to agents as the API shows them."""

from __future__ import annotations

from bolti_server.base.clock import rfc3339
from bolti_server.contract import structs
from bolti_server.numbers.queries import StoredBinding, StoredNumber


def number_record(number: StoredNumber) -> structs.Number:
    assignment = None
    if number.agent_phone_number_id is not None:
        assert number.agent_id is not None, "a binding has an agent"
        assert number.direction is not None, "a binding has a direction"
        assignment = structs.NumberAssignment(
            agent_phone_number_id=number.agent_phone_number_id,
            agent_id=number.agent_id,
            direction=number.direction,
        )
    return structs.Number(
        id=number.id,
        phone_number=number.phone_number,
        country=number.country,
        trunk=structs.TrunkReference(
            id=number.trunk_id,
            name=number.trunk_name,
            kind=number.trunk_kind,
            can_inbound=number.can_inbound,
            can_outbound=number.can_outbound,
        ),
        simulated=number.is_simulated,
        assignment=assignment,
        monthly_cost_micros=number.monthly_cost_micros,
        currency=number.currency,
        created_at=rfc3339(number.created_at),
    )


def binding_record(binding: StoredBinding) -> structs.AgentPhoneNumber:
    return structs.AgentPhoneNumber(
        id=binding.id,
        agent_id=binding.agent_id,
        number_id=binding.number_id,
        phone_number=binding.phone_number,
        direction=binding.direction,
        simulated=binding.is_simulated,
        created_at=rfc3339(binding.created_at),
    )
