"""Whom a call that comes in is for: which number of the trunk was called, and who answers it now."""

from __future__ import annotations

import attrs

from bolti_server.base.db import Tx
from bolti_server.numbers import queries, trunk_queries
from bolti_server.numbers.phone_numbers import e164_of, named_by
from bolti_server.numbers.queries import StoredNumber
from bolti_server.numbers.syncing import MOST_NUMBERS
from bolti_server.numbers.trunk_queries import StoredTrunk


@attrs.frozen
class CalledNumber:
    """A number that was called. `agent_id` and `agent_phone_number_id` are None where no agent answers it."""

    phone_number: str
    country: str
    agent_id: str | None
    agent_phone_number_id: str | None


async def trunk_of_any_workspace(tx: Tx, trunk_id: str) -> StoredTrunk | None:
    """The trunk by which a call comes in: it says whose it is. None where it is deleted."""
    return await trunk_queries.find_trunk_of_any_workspace(tx, trunk_id)


async def called_number(tx: Tx, trunk: StoredTrunk, called: str) -> CalledNumber | None:
    """The number of `trunk` that is `called`, as providers write it: E.164, with or without the +, or as in its own country.
    None where the trunk has none such."""
    number = await _on_trunk(tx, trunk, e164_of(called))
    if number is None:
        carried = await trunk_queries.phone_numbers(
            tx, trunk.workspace_id, trunk.id, limit=MOST_NUMBERS
        )
        number = await _on_trunk(tx, trunk, named_by(called, carried))
    if number is None:
        return None
    answers = number.direction in ("inbound", "both")
    return CalledNumber(
        phone_number=number.phone_number,
        country=number.country,
        agent_id=number.agent_id if answers else None,
        agent_phone_number_id=number.agent_phone_number_id if answers else None,
    )


async def _on_trunk(tx: Tx, trunk: StoredTrunk, phone_number: str | None) -> StoredNumber | None:
    if phone_number is None:
        return None
    found = await queries.find_number_by_phone_number(tx, trunk.workspace_id, phone_number)
    return found if found is not None and found.trunk_id == trunk.id else None
