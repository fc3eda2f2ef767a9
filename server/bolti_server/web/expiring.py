"""Idempotency records whose time is over are deleted, a batch at a time."""

from __future__ import annotations

from bolti_server.base.due import DueJob
from bolti_server.web import queries
from bolti_server.world import World

BATCH = 1000
INTERVAL_SECONDS = 300.0


def expiry_job(world: World) -> DueJob:
    async def run_batch() -> int:
        async with world.db.transaction() as tx:
            return await queries.delete_expired_of_any_workspace(tx, limit=BATCH)

    return DueJob("idempotency_expiry", "idempotency_expiry", run_batch, INTERVAL_SECONDS)
