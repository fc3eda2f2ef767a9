"""When a request is sent again, and after how long. Pure: no clock, no network.

| request | no connection | no answer, or half of one | 408, 5xx | 429 | 409 idempotency_in_progress |
|---|---|---|---|---|---|
| GET | again | again | again | again | - |
| PATCH, DELETE | again | again | again | again | - |
| POST with an Idempotency-Key | again | again | again | again | again |
| POST without one | again | **not** | **not** | again | - |

Reasons: a PATCH sets values and a DELETE removes, so a second one ends where the first did. A POST with a key has its
effect once, however often it is sent. A POST without a key is repeated only where the first certainly did nothing: the
connection was never made, or the limit refused it before any work. 501 and 505 will not become better.

Waits double from 0.25 s to 8 s and are drawn between half and whole of that, so that many clients don't come back
together. `Retry-After` is never undercut; where it reaches beyond the time that is left, the refusal is raised at once.
A `concurrency_limit_reached` is not repeated although it is a 429: calls last minutes, and the caller did not say
`when_limited="queue"`.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 8.0
HOPELESS = frozenset({501, 505})


class Repeat(Enum):
    """What may be sent again."""

    ALWAYS = "the effect of two is that of one"
    IF_NOTHING_HAPPENED = "only where the first certainly had no effect"


def is_worth_repeating(repeat: Repeat, status: int, code: str | None) -> bool:
    """Whether this refusal may become an answer, and asking again can do no harm."""
    if status == 429:
        return code != "concurrency_limit_reached"
    if repeat is not Repeat.ALWAYS:
        return False
    if status == 409:
        return code == "idempotency_in_progress"
    return status == 408 or (status >= 500 and status not in HOPELESS)


def wait_seconds(try_number: int, retry_after_seconds: float | None = None) -> float:
    """How long to wait after the given failed try (1, 2, …)."""
    longest: float = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(try_number - 1, 16))
    wait = longest * random.uniform(0.5, 1.0)
    if retry_after_seconds is not None and retry_after_seconds > wait:
        return retry_after_seconds + random.uniform(0.0, 0.1)
    return wait


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """`Retry-After` (RFC 9110, 10.2.3: seconds or a date) in seconds; None where it is absent or nonsense."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text), 86_400)) if len(text) < 10 else 86_400.0
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())
