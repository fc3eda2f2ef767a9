"""What the calls slice does by itself: the due jobs of every server process.

Rule: silence says that a worker is lost only to somebody who could have heard it. A server that has just started, that
slept, or whose database was away has missed the heartbeats of living workers, so it listens for SILENT_SECONDS first.
"""

from __future__ import annotations

from bolti_server.base.clock import Clock
from bolti_server.base.due import DueJob
from bolti_server.calls import (
    deadlines,
    dispatching,
    heard,
    recordings,
    rescuing,
    scheduling,
    sweeping,
)
from bolti_server.calls.lifecycle import RESCUE_SECONDS, SILENT_SECONDS
from bolti_server.world import World

_LONGEST_GAP_SECONDS = 3.0  # between two looks of somebody who listens all the time


def due_jobs(world: World) -> list[DueJob]:
    """To be run side by side with any number of the same in other processes."""
    ears = Ears(world.clock)

    async def end_lost() -> int:
        return await deadlines.end_lost(
            world,
            silent_seconds=ears.silent_seconds(),
            judges_rescues=ears.heard_seconds() >= RESCUE_SECONDS,
        )

    async def end_overdue() -> int:
        return await deadlines.end_overdue(world)

    async def dispatch_due() -> int:
        return await scheduling.dispatch_due(world)

    async def let_in_waiting() -> int:
        return await scheduling.let_in_waiting(world)

    async def fail_recordings() -> int:
        return await recordings.fail_overdue(world)

    async def hear_recordings() -> int:
        return await heard.hear_due(world)

    return [
        *([] if world.media is None else _jobs_of_rooms(world)),
        DueJob("deadlines", "deadlines", end_overdue),
        # An agent in a room is replaced while somebody listens: each tenth of a second counts.
        DueJob("lost workers", "suspects", end_lost, interval_seconds=0.2),
        DueJob("scheduled calls", "conversations_due", dispatch_due),
        DueJob("waiting calls", "conversations_due", let_in_waiting),
        DueJob("overdue recordings", "recordings_due", fail_recordings, interval_seconds=5.0),
        DueJob("recordings heard", "recordings_heard", hear_recordings, interval_seconds=2.0),
    ]


def _jobs_of_rooms(world: World) -> list[DueJob]:
    async def dispatch_agents() -> int:
        return await dispatching.dispatch_agents(world)

    async def look_into_rooms() -> int:
        return await rescuing.look_into_rooms(world)

    async def close_ended() -> int:
        return await sweeping.close_ended(world)

    async def sweep() -> int:
        return await sweeping.sweep(world)

    return [
        DueJob("agents for rooms", "claimable", dispatch_agents),
        DueJob("looks into rooms", "rooms", look_into_rooms),
        DueJob("rooms of ended calls", "rooms", close_ended),
        DueJob("rooms of nobody", "sweep", sweep, interval_seconds=5.0),
    ]


class Ears:
    """Since when this process hears heartbeats without a gap."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = self._last = clock.monotonic()

    def silent_seconds(self) -> float | None:
        """Asked at every look: how long a silence has to be; None while this process has not listened for so long."""
        now = self._clock.monotonic()
        if now - self._last > _LONGEST_GAP_SECONDS:
            self._since = now
        self._last = now
        return SILENT_SECONDS if self.heard_seconds() >= SILENT_SECONDS else None

    def heard_seconds(self) -> float:
        """For how long, at the last look."""
        return self._last - self._since
