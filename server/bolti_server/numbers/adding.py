"""Numbers that a trunk of the workspace's own carries: they are not bought here and cost nothing here."""

from __future__ import annotations

from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal, combine
from bolti_server.base.ids import new_id
from bolti_server.numbers import queries, sync_queries, trunk_queries
from bolti_server.numbers.phone_numbers import complaint_about, country_of
from bolti_server.numbers.queries import StoredNumber
from bolti_server.numbers.saving_trunks import lock_own_trunk
from bolti_server.numbers.simulated_network import is_simulated_number
from bolti_server.numbers.syncing import MOST_NUMBERS


async def add_number(tx: Tx, workspace_id: str, trunk_id: str, phone_number: str) -> StoredNumber:
    """The number, of no agent yet.

    Raises Refusal 404, 400 invalid_phone_number, 409 number_taken, trunk_full or trunk_not_changeable.
    """
    await lock_own_trunk(tx, workspace_id, trunk_id)
    why = _complaint(phone_number)
    if why is not None:
        detail = f"phone_number: {why}"
        fault = Fault("invalid_phone_number", why, "/phone_number")
        raise Refusal(400, "invalid_phone_number", detail, faults=[fault])
    refusals: list[Refusal] = []
    number_id = new_id("num")
    if not await queries.insert_number(
        tx,
        workspace_id,
        number_id,
        trunk_id=trunk_id,
        phone_number=phone_number,
        country=country_of(phone_number),
    ):
        refusals.append(_taken(phone_number))
    if await trunk_queries.count_numbers(tx, workspace_id, trunk_id) > MOST_NUMBERS:
        detail = f"A trunk carries at most {MOST_NUMBERS} numbers. Make another trunk for more."
        refusals.append(Refusal(409, "trunk_full", detail))
    if refusals:
        raise combine(refusals)
    await sync_queries.request_sync(tx, workspace_id, trunk_id)
    number = await queries.find_number(tx, workspace_id, number_id)
    assert number is not None, "inserted above, in this transaction"
    return number


def _complaint(phone_number: str) -> str | None:
    if is_simulated_number(phone_number):
        return (
            "+12025550100 to +12025550199 are the simulated network's, and no other trunk carries them. Buy one: "
            "POST /workspaces/{workspace_id}/numbers."
        )
    why = complaint_about(phone_number)
    return None if why is None else f"{why} Expected e.g. +919876543210."


def _taken(phone_number: str) -> Refusal:
    detail = (
        f"This workspace has {phone_number} already. Release it first, or use it where it is: "
        "GET /workspaces/{workspace_id}/numbers."
    )
    fault = Fault("number_taken", detail, "/phone_number")
    return Refusal(409, "number_taken", detail, faults=[fault])
