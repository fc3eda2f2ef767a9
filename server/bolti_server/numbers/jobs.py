"""What the numbers slice does by itself: the due jobs of every server process."""

from __future__ import annotations

from bolti_server.base.due import DueJob
from bolti_server.numbers import syncing
from bolti_server.world import World


def due_jobs(world: World) -> list[DueJob]:
    """To be run side by side with any number of the same in other processes."""
    is_first_look = True

    async def sync_trunks() -> int:
        nonlocal is_first_look
        if is_first_look:
            await syncing.tell_all_again(world)
            is_first_look = False
        return await syncing.sync_due(world)

    return [DueJob("trunks", "trunks_due", sync_trunks, interval_seconds=2.0)]
