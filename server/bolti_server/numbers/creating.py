"""Numbers that come into a workspace. Today the simulated ones: a trunk that reaches no real phone, and numbers on it."""

from __future__ import annotations

import attrs

from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal
from bolti_server.base.ids import new_id
from bolti_server.numbers import queries, sync_queries
from bolti_server.numbers.queries import StoredNumber
from bolti_server.numbers.simulated_network import COUNTRY, is_simulated_number

SIMULATED_TRUNK_NAME = "Simulated network"


@attrs.frozen
class MonthlyCost:
    """What a month of a bought number costs."""

    amount_micros: int
    currency: str


async def create_simulated_number(tx: Tx, workspace_id: str, phone_number: str) -> StoredNumber:
    """The workspace's number `phone_number` on its simulated trunk; makes either where it is missing.

    Safe to repeat. Refuses a number that the simulated network does not own.
    """
    if not is_simulated_number(phone_number):
        detail = f"{phone_number!r} is not of the simulated network (+12025550100 to +12025550199)."
        fault = Fault("invalid_phone_number", detail, "/phone_number")
        raise Refusal(400, "invalid_phone_number", detail, faults=[fault])
    await queries.hold_workspace(tx, workspace_id)
    return await add_simulated_number(tx, workspace_id, new_id("num"), phone_number)


async def add_simulated_number(
    tx: Tx,
    workspace_id: str,
    number_id: str,
    phone_number: str,
    cost: MonthlyCost | None = None,
) -> StoredNumber:
    """The workspace's number `phone_number`: a new one with this id and cost where it has none. The caller holds the
    workspace (`queries.hold_workspace`)."""
    trunk_id = await queries.find_simulated_trunk_id(tx, workspace_id)
    if trunk_id is None:
        trunk_id = new_id("trunk")
        await queries.insert_trunk(
            tx,
            workspace_id,
            trunk_id,
            name=SIMULATED_TRUNK_NAME,
            kind="simulated",
            can_inbound=True,
            can_outbound=True,
        )
    is_new = await queries.insert_number(
        tx,
        workspace_id,
        number_id,
        trunk_id=trunk_id,
        phone_number=phone_number,
        country=COUNTRY,
        monthly_cost_micros=None if cost is None else cost.amount_micros,
        currency=None if cost is None else cost.currency,
    )
    if is_new:
        await sync_queries.request_sync(tx, workspace_id, trunk_id)
    number = await queries.find_number_by_phone_number(tx, workspace_id, phone_number)
    assert number is not None, "inserted or found a line above"
    return number
