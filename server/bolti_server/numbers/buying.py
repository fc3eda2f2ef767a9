"""Numbers that can be bought, buying one, and giving one back.

Rule: a number and the payment of its first month are one transaction; its purchase bears the number's id, so that it is paid
once. A simulated number is paid from the test ledger. Later months are not charged yet (docs/decisions/0011).
"""

from __future__ import annotations

from collections.abc import Sequence

from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal, combine, not_found
from bolti_server.base.ids import new_id
from bolti_server.billing import ledger
from bolti_server.billing.queries import number_cost_per_month
from bolti_server.numbers import queries, sync_queries, trunk_queries
from bolti_server.numbers.creating import MonthlyCost, add_simulated_number
from bolti_server.numbers.queries import StoredNumber
from bolti_server.numbers.simulated_network import COUNTRY, OFFERED


async def offers(
    tx: Tx, workspace_id: str, *, country: str | None, contains: str | None
) -> Sequence[str]:
    """Phone numbers that the workspace can buy now, in ascending order."""
    if country not in (None, COUNTRY):
        return ()
    owned = await queries.owned_phone_numbers(tx, workspace_id, OFFERED)
    return [each for each in OFFERED if each not in owned and (contains or "") in each]


async def monthly_cost(tx: Tx, workspace_id: str) -> MonthlyCost:
    """Of a number that is bought today."""
    return MonthlyCost(*await number_cost_per_month(tx, workspace_id))


async def buy_number(
    tx: Tx, *, organization_id: str, workspace_id: str, phone_number: str
) -> StoredNumber:
    """The number, paid for a month.

    Raises Refusal 409 number_not_available (taken, or not offered), 402 payment_required; both where both are so.
    """
    await queries.hold_workspace(tx, workspace_id)
    refusals: list[Refusal] = []
    if await queries.find_number_by_phone_number(tx, workspace_id, phone_number) is not None:
        refusals.append(_not_available(phone_number, "is taken"))
    elif phone_number not in OFFERED:
        refusals.append(_not_available(phone_number, "is not offered"))
    number_id, cost = new_id("num"), await monthly_cost(tx, workspace_id)
    too_dear = await ledger.purchase(
        tx,
        organization_id=organization_id,
        workspace_id=workspace_id,
        ledger="test",
        reference=number_id,
        amount_micros=cost.amount_micros,
        description=f"{phone_number}, first month",
    )
    if too_dear is not None:
        refusals.append(too_dear)
    if refusals:
        raise combine(refusals)  # and what was paid is paid back: the transaction is
    return await add_simulated_number(tx, workspace_id, number_id, phone_number, cost)


async def release_number(tx: Tx, workspace_id: str, number_id: str) -> None:
    """Takes the number from its agent and from the workspace; calls in progress keep it until they end. What is paid
    stays paid. Raises Refusal 404."""
    found = await queries.find_number(tx, workspace_id, number_id)
    if found is None:
        raise not_found("number")
    # The trunk before the number, as where one is added: two that want the same would wait for each other.
    await trunk_queries.lock_trunk(tx, workspace_id, found.trunk_id)
    number = await queries.lock_number(tx, workspace_id, number_id)
    if number is None:
        raise not_found("number")
    if number.agent_id is not None and number.agent_phone_number_id is not None:
        await queries.end_binding(tx, workspace_id, number.agent_id, number.agent_phone_number_id)
    await queries.mark_released(tx, workspace_id, number_id)
    await sync_queries.request_sync(tx, workspace_id, number.trunk_id)


def _not_available(phone_number: str, why: str) -> Refusal:
    detail = (
        f"{phone_number} {why}. Search those that can be bought: "
        "GET /workspaces/{workspace_id}/available-numbers."
    )
    fault = Fault("number_not_available", detail, "/phone_number")
    return Refusal(409, "number_not_available", detail, faults=[fault])
