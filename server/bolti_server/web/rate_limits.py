"""How many requests a key may make: a token bucket per key and process, so that no caller can starve the others.

The words are those of draft-ietf-httpapi-ratelimit-headers-10: a policy `"default";q=<burst>;w=<seconds to refill>` and
what is left of it, `"default";r=<requests>;t=<seconds until it is full again>`.
"""

from __future__ import annotations

import math

import attrs

from bolti_server.base.clock import Clock
from bolti_server.base.errors import Refusal

MOST_BUCKETS = 10_000


@attrs.frozen
class RatePolicy:
    """`burst` requests at once, refilled evenly in `window_seconds`."""

    burst: int = 200
    window_seconds: int = 2

    @property
    def header(self) -> str:
        return f'"default";q={self.burst};w={self.window_seconds}'


class RateLimiter:
    """Of one app. Not shared between event loops."""

    def __init__(self, policy: RatePolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._per_second = policy.burst / policy.window_seconds
        self._buckets: dict[str, tuple[float, float]] = {}  # key → (tokens left, when that was)
        self.policy_header = policy.header.encode()

    def take(self, key: str) -> tuple[bytes, Refusal | None]:
        """Takes a token: (the value of the `RateLimit` header, the 429 where there was none)."""
        now = self._clock.monotonic()
        left, since = self._buckets.get(key, (float(self._policy.burst), now))
        left = min(float(self._policy.burst), left + (now - since) * self._per_second)
        if left < 1:
            self._buckets[key] = (left, now)
            return self._header(left), self._refusal(left)
        if key not in self._buckets and len(self._buckets) >= MOST_BUCKETS:
            self._buckets.clear()  # whoever was at the limit gets one more burst
        self._buckets[key] = (left - 1, now)
        return self._header(left - 1), None

    def _header(self, left: float) -> bytes:
        seconds = math.ceil((self._policy.burst - left) / self._per_second)
        return b'"default";r=%d;t=%d' % (int(left), seconds)

    def _refusal(self, left: float) -> Refusal:
        seconds = max(1, math.ceil((1 - left) / self._per_second))
        again = "in a second" if seconds == 1 else f"in {seconds} seconds"
        return Refusal(
            429,
            "rate_limited",
            f"This key is over its limit of requests. Try again {again}.",
            headers={"Retry-After": str(seconds)},
        )
