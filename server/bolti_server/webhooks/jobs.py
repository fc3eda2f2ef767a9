"""The slice's background work."""

from __future__ import annotations

from functools import partial

from bolti_server.base.due import DueJob
from bolti_server.webhooks import delivery_queries
from bolti_server.webhooks.delivering import deliver_due
from bolti_server.webhooks.fanning_out import fan_out
from bolti_server.world import World

KEEP_DEAD_DAYS = 30
MOST_FORGOTTEN = 500


async def forget_dead(world: World) -> int:
    """Dead deliveries are kept for 30 days; how many were deleted."""
    async with world.db.transaction() as tx:
        return await delivery_queries.delete_expired_of_any_workspace(
            tx, days=KEEP_DEAD_DAYS, limit=MOST_FORGOTTEN
        )


def due_jobs(world: World) -> list[DueJob]:
    """What every server process runs, side by side with others."""
    return [
        DueJob("fan out events", "fan_out", partial(fan_out, world)),
        DueJob("deliver webhooks", "deliveries", partial(deliver_due, world)),
        DueJob(
            "forget dead deliveries", "hourly", partial(forget_dead, world), interval_seconds=3600
        ),
    ]
