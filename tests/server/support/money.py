"""What tests of money ask the database."""

from __future__ import annotations

from typing import Any

from bolti_server.base.db import decode_json
from bolti_server.world import World


async def balances(world: World, organization_id: str, ledger: str = "test") -> dict[str, int]:
    """Account kind → balance in micros."""
    rows = await world.db.fetch(
        "select kind, balance_micros from ledger_accounts where organization_id = $1 and ledger = $2",
        organization_id,
        ledger,
    )
    return {row["kind"]: row["balance_micros"] for row in rows}


async def set_rate(world: World, organization_id: str, **columns: int) -> None:
    """Changes the organization's rate card."""
    assignments = ", ".join(f"{name} = ${n}" for n, name in enumerate(columns, 2))
    async with world.db.transaction() as tx:
        await tx.execute(
            f"update rate_cards set {assignments} where organization_id = $1",
            organization_id,
            *columns.values(),
        )


async def logged(world: World, workspace_id: str, event_type: str) -> list[dict[str, Any]]:
    """`data.object` of every event of this type, in log order."""
    rows = await world.db.fetch(
        "select data::text as data from events where workspace_id = $1 and type = $2 order by position",
        workspace_id,
        event_type,
    )
    return [decode_json(row["data"])["object"] for row in rows]
