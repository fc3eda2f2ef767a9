"""The figures of placing that are no part of the conversation's life (those are in lifecycle). Units in the names."""

from __future__ import annotations

DEFAULT_QUEUE_TIMEOUT_SECONDS = 3600  # contract: `queue_timeout_seconds`, null
FURTHEST_SCHEDULE_DAYS = 366  # beyond a year a date is a mistake more often than a plan
RETRY_LIMITED_SECONDS = (
    5  # Retry-After of concurrency_limit_reached: calls last longer than a second
)
