"""Questions about trunks, numbers and their bindings to agents, one function each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from bolti_server.base.db import Tx
from bolti_server.numbers.tables import TrunkRow
from bolti_server.web.paging import NEWEST_FIRST, Order


@attrs.frozen
class StoredBinding:
    """A number bound to an agent, with what a dial needs to know of number and trunk."""

    id: str
    agent_id: str
    number_id: str
    phone_number: str
    direction: str
    trunk_id: str
    trunk_kind: str
    can_inbound: bool
    can_outbound: bool
    created_at: datetime

    @property
    def is_simulated(self) -> bool:
        return self.trunk_kind == "simulated"


@attrs.frozen
class StoredNumber:
    """A number with its trunk and, where it is assigned, its binding."""

    id: str
    phone_number: str
    country: str
    created_at: datetime
    trunk_id: str
    trunk_name: str
    trunk_kind: str
    can_inbound: bool
    can_outbound: bool
    agent_phone_number_id: str | None
    agent_id: str | None
    direction: str | None
    monthly_cost_micros: int | None
    currency: str | None

    @property
    def is_simulated(self) -> bool:
        return self.trunk_kind == "simulated"


_NUMBER = """
    select n.id, n.phone_number, n.country, n.created_at, t.id as trunk_id, t.name as trunk_name,
           t.kind as trunk_kind, t.can_inbound, t.can_outbound,
           b.id as agent_phone_number_id, b.agent_id, b.direction, n.monthly_cost_micros, n.currency
    from numbers n join trunks t on t.id = n.trunk_id
    left join agent_phone_numbers b on b.number_id = n.id and b.unassigned_at is null
    where n.workspace_id = $1 and n.released_at is null"""

_BINDING = """
    select b.id, b.agent_id, b.number_id, n.phone_number, b.direction, t.id as trunk_id, t.kind as trunk_kind,
           t.can_inbound, t.can_outbound, b.created_at
    from agent_phone_numbers b
    join numbers n on n.id = b.number_id join trunks t on t.id = n.trunk_id
    where b.workspace_id = $1 and b.unassigned_at is null"""


async def find_number(tx: Tx, workspace_id: str, number_id: str) -> StoredNumber | None:
    row = await tx.fetchrow(f"{_NUMBER} and n.id = $2", workspace_id, number_id)
    return None if row is None else _number(row)


async def lock_number(tx: Tx, workspace_id: str, number_id: str) -> StoredNumber | None:
    """The number, held until the transaction ends: who assigns it comes one after the other."""
    is_there = await tx.fetchval(
        """select true from numbers
           where workspace_id = $1 and id = $2 and released_at is null for update""",
        workspace_id,
        number_id,
    )
    # A second statement, so that it sees what the one who held the row before has committed.
    return await find_number(tx, workspace_id, number_id) if is_there else None


@attrs.frozen
class NumberFilter:
    """What a list of numbers is narrowed to; None: everything."""

    is_assigned: bool | None = None
    agent_id: str | None = None
    country: str | None = None
    phone_number: str | None = None
    simulated: bool | None = None
    trunk_id: str | None = None


async def list_numbers(
    tx: Tx,
    workspace_id: str,
    wanted: NumberFilter,
    *,
    limit: int,
    before_id: str | None,
    order: Order = NEWEST_FIRST,
) -> list[StoredNumber]:
    """`before_id` is the last id of the page before."""
    rows = await tx.fetch(
        f"""{_NUMBER} and ($2::text is null or n.id {order.past} $2)
            and ($4::boolean is null or (b.id is not null) = $4)
            and ($5::text is null or b.agent_id = $5)
            and ($6::text is null or n.country = $6)
            and ($7::text is null or n.phone_number = $7)
            and ($8::boolean is null or (t.kind = 'simulated') = $8)
            and ($9::text is null or n.trunk_id = $9)
            order by n.id {order.sql} limit $3""",
        workspace_id,
        before_id,
        limit,
        wanted.is_assigned,
        wanted.agent_id,
        wanted.country,
        wanted.phone_number,
        wanted.simulated,
        wanted.trunk_id,
    )
    return [_number(row) for row in rows]


async def find_number_by_phone_number(
    tx: Tx, workspace_id: str, phone_number: str
) -> StoredNumber | None:
    row = await tx.fetchrow(f"{_NUMBER} and n.phone_number = $2", workspace_id, phone_number)
    return None if row is None else _number(row)


async def insert_number(
    tx: Tx,
    workspace_id: str,
    number_id: str,
    *,
    trunk_id: str,
    phone_number: str,
    country: str,
    monthly_cost_micros: int | None = None,
    currency: str | None = None,
) -> bool:
    """False where the workspace has this phone number already."""
    done = await tx.fetchval(
        """insert into numbers (
               id, workspace_id, trunk_id, phone_number, country, monthly_cost_micros, currency)
           values ($1, $2, $3, $4, $5, $6, $7)
           on conflict (workspace_id, phone_number) where released_at is null do nothing
           returning id""",
        number_id,
        workspace_id,
        trunk_id,
        phone_number,
        country,
        monthly_cost_micros,
        currency,
    )
    return done is not None


async def mark_released(tx: Tx, workspace_id: str, number_id: str) -> None:
    await tx.execute(
        """update numbers set released_at = bolti_now()
           where workspace_id = $1 and id = $2 and released_at is null""",
        workspace_id,
        number_id,
    )


async def owned_phone_numbers(tx: Tx, workspace_id: str, among: Sequence[str]) -> frozenset[str]:
    """Which of these the workspace has."""
    rows = await tx.fetch(
        """select phone_number from numbers
           where workspace_id = $1 and phone_number = any($2::text[]) and released_at is null""",
        workspace_id,
        list(among),
    )
    return frozenset(row["phone_number"] for row in rows)


async def hold_workspace(tx: Tx, workspace_id: str) -> None:
    """Who makes the workspace's trunk comes one after the other (rows that refer to it are not held up)."""
    await tx.execute("select from workspaces where id = $1 for no key update", workspace_id)


async def find_simulated_trunk_id(tx: Tx, workspace_id: str) -> str | None:
    rows = (
        await TrunkRow.select(TrunkRow.id)
        .where(TrunkRow.workspace_id == workspace_id, TrunkRow.kind == "simulated")
        .order_by(TrunkRow.id)
        .limit(1)
    )
    return rows[0]["id"] if rows else None


async def insert_trunk(
    tx: Tx,
    workspace_id: str,
    trunk_id: str,
    *,
    name: str,
    kind: str,
    can_inbound: bool,
    can_outbound: bool,
) -> None:
    await tx.execute(
        """insert into trunks (id, workspace_id, name, kind, can_inbound, can_outbound)
           values ($1, $2, $3, $4, $5, $6)""",
        trunk_id,
        workspace_id,
        name,
        kind,
        can_inbound,
        can_outbound,
    )


async def find_binding(
    tx: Tx, workspace_id: str, agent_phone_number_id: str
) -> StoredBinding | None:
    row = await tx.fetchrow(f"{_BINDING} and b.id = $2", workspace_id, agent_phone_number_id)
    return None if row is None else _binding(row)


async def list_bindings(
    tx: Tx, workspace_id: str, agent_id: str, *, limit: int, before_id: str | None
) -> list[StoredBinding]:
    """An agent's numbers, newest binding first; `before_id` is the last id of the page before."""
    rows = await tx.fetch(
        f"{_BINDING} and b.agent_id = $2 and ($3::text is null or b.id < $3) order by b.id desc limit $4",
        workspace_id,
        agent_id,
        before_id,
        limit,
    )
    return [_binding(row) for row in rows]


async def outbound_bindings(
    tx: Tx, workspace_id: str, agent_id: str, *, limit: int
) -> list[StoredBinding]:
    """The agent's numbers that may be dialed from."""
    rows = await tx.fetch(
        f"""{_BINDING} and b.agent_id = $2 and b.direction in ('outbound', 'both') and t.can_outbound
            order by b.id limit $3""",
        workspace_id,
        agent_id,
        limit,
    )
    return [_binding(row) for row in rows]


async def insert_binding(
    tx: Tx, workspace_id: str, binding_id: str, *, agent_id: str, number_id: str, direction: str
) -> None:
    await tx.execute(
        """insert into agent_phone_numbers (id, workspace_id, agent_id, number_id, direction)
           values ($1, $2, $3, $4, $5)""",
        binding_id,
        workspace_id,
        agent_id,
        number_id,
        direction,
    )


async def change_direction(tx: Tx, workspace_id: str, binding_id: str, direction: str) -> None:
    await tx.execute(
        """update agent_phone_numbers set direction = $3
           where workspace_id = $1 and id = $2 and unassigned_at is null""",
        workspace_id,
        binding_id,
        direction,
    )


async def end_binding(tx: Tx, workspace_id: str, agent_id: str, binding_id: str) -> bool:
    """Whether there was such a binding of this agent."""
    done = await tx.fetchval(
        """update agent_phone_numbers set unassigned_at = bolti_now()
           where workspace_id = $1 and agent_id = $2 and id = $3 and unassigned_at is null
           returning id""",
        workspace_id,
        agent_id,
        binding_id,
    )
    return done is not None


async def end_bindings_of_agent(tx: Tx, workspace_id: str, agent_id: str) -> None:
    await tx.execute(
        """update agent_phone_numbers set unassigned_at = bolti_now()
           where workspace_id = $1 and agent_id = $2 and unassigned_at is null""",
        workspace_id,
        agent_id,
    )


def _number(row: Mapping[str, Any]) -> StoredNumber:
    return StoredNumber(**dict(row))


def _binding(row: Mapping[str, Any]) -> StoredBinding:
    return StoredBinding(**dict(row))
