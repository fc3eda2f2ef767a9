"""Instants as callers write them: RFC 3339 with any offset, or a naive time beside an IANA zone.

Rules: a local time that does not exist (the clocks go forward over it) means the first instant after the gap; one that
exists twice (they go back) means the first of the two. Pure: the zone rules come from the machine's tz database.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


def parse_instant(text: str) -> datetime:
    """`text` as a datetime, naive where it has no offset. Raises ValueError with words for the caller.

    RFC 3339, also with a blank for the T; seconds may be left out, more than six decimals are cut.
    """
    try:
        parsed = datetime.fromisoformat(text.strip().upper())
        return parsed if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            "Is not an instant. Write it as RFC 3339, e.g. 2026-11-25T09:30:00+05:30."
        ) from None


def zone_of(name: str) -> ZoneInfo:
    """The IANA zone called `name`. Raises ValueError with words for the caller."""
    try:
        return ZoneInfo(name)
    except (
        KeyError,
        ValueError,
        OSError,
    ):  # OSError: the name of a folder of the database, such as Asia
        raise ValueError("Is not a time zone of the IANA database, such as Asia/Kolkata.") from None


def instant_of_local(local: datetime, zone: ZoneInfo) -> datetime:
    """When it is `local` (naive) in `zone`, in UTC. Raises ValueError where that is beyond the calendar."""
    assert local.tzinfo is None, local
    try:
        first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if first.astimezone(zone).replace(tzinfo=None) == local:
            return first
        # In a gap the first reading uses the offset before it and so lies behind it; the second the other way round.
        before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
        return _transition(before, first, zone)
    except OverflowError:
        raise ValueError("Is beyond the calendar.") from None


def _transition(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second in (before, after] that has the offset of `after`, by halving."""
    wanted = after.astimezone(zone).utcoffset()
    low, high = before.replace(microsecond=0), after.replace(microsecond=0)
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == wanted:
            high = middle
        else:
            low = middle
    return high
