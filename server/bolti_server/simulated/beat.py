"""When the line's next 20 ms are due: from the monotonic clock, so that nothing drifts and a late wake-up is caught up."""

from __future__ import annotations

from bolti_server.simulated.sound import FRAME_SECONDS

# What was missed for longer than this is skipped: nobody wants a second of sound in one burst.
LONGEST_CATCH_UP_SECONDS = 1.0


class Beat:
    def __init__(self, monotonic: float, wall: float) -> None:
        self._started_monotonic = monotonic
        self._started_wall = wall
        self._done = 0

    def due(self, monotonic: float) -> list[float]:
        """The wall-clock instants (seconds) of the frames that are due by now; each is given once, in order."""
        passed = monotonic - self._started_monotonic
        late = passed - self._done * FRAME_SECONDS
        if late > LONGEST_CATCH_UP_SECONDS:
            skipped = late - FRAME_SECONDS
            self._started_monotonic += skipped
            self._started_wall += skipped
            passed -= skipped
        due: list[float] = []
        while self._done * FRAME_SECONDS <= passed:
            due.append(self._started_wall + self._done * FRAME_SECONDS)
            self._done += 1
        return due

    def rest(self, monotonic: float) -> float:
        """Seconds until the next frame is due; 0 where it is due already."""
        next_at = self._started_monotonic + self._done * FRAME_SECONDS
        return max(0.0, next_at - monotonic)
