"""How long a delivery waits for its next try, and when an endpoint has failed for too long.

Rule: the waits of product.md §9, each ±20 %, so that the retries of one outage don't come back as one wave. After the
last there is no more: the delivery is dead.
"""

from __future__ import annotations

_MINUTE = 60
_HOUR = 60 * _MINUTE
# Before the first try, the second, …
WAITS_SECONDS = (
    0,
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
    24 * _HOUR,
)
JITTER = 0.2
MOST_TRIES = len(WAITS_SECONDS)
DISABLED_AFTER_SECONDS = 5 * 24 * _HOUR  # of nothing but failures


def wait_seconds(tries: int, luck: float) -> float | None:
    """Seconds until the next try, when `tries` have been made since the start or the replay; None: that was the last.

    `luck` in 0…1 chooses within ±20 %.
    """
    assert tries >= 0, tries
    assert 0.0 <= luck <= 1.0, luck
    if tries >= MOST_TRIES:
        return None
    return WAITS_SECONDS[tries] * (1 - JITTER + 2 * JITTER * luck)
