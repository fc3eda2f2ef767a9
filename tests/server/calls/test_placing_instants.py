"""Instants as callers write them, across daylight saving."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolti_server.calls.instants import instant_of_local, parse_instant, zone_of


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-25T04:00:00Z", "2026-11-25T04:00:00+00:00"),
        ("2026-11-25t04:00:00z", "2026-11-25T04:00:00+00:00"),
        ("2026-11-25 09:30:00+05:30", "2026-11-25T04:00:00+00:00"),
        ("2026-11-24T22:00-06:00", "2026-11-25T04:00:00+00:00"),
        ("2026-11-25T04:00:00.123456789Z", "2026-11-25T04:00:00.123456+00:00"),
    ],
)
def test_any_offset_is_understood(text: str, instant: str) -> None:
    parsed = parse_instant(text)
    assert parsed.tzinfo is UTC
    assert parsed == datetime.fromisoformat(instant)


def test_a_time_without_offset_stays_naive() -> None:
    assert parse_instant("2026-11-25T09:30:00") == datetime(2026, 11, 25, 9, 30)  # noqa: DTZ001


@pytest.mark.parametrize(
    "text",
    [
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-25T24:30:00Z",
        "2026-11-25T23:59:60Z",
        "2026-11-25T09:30:00+99:99",
        "0001-01-01T00:00:00+05:30",
        "9999-12-31T23:59:59-05:30",
        "tomorrow",
    ],
)
def test_what_is_no_instant_is_refused_with_words(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_instant(text)


@pytest.mark.parametrize(
    "name", ["Asia", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "x" * 64]
)
def test_what_is_no_zone_is_refused_with_words(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        zone_of(name)


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        ("Asia/Kolkata", "2026-11-25T09:30:00", "2026-11-25T04:00:00+00:00"),
        # The clocks go from 02:00 to 03:00: nothing between exists, 03:00 is the first instant after it.
        ("Europe/Berlin", "2027-03-28T02:00:00", "2027-03-28T01:00:00+00:00"),
        ("Europe/Berlin", "2027-03-28T02:30:00", "2027-03-28T01:00:00+00:00"),
        ("Europe/Berlin", "2027-03-28T02:59:59.5", "2027-03-28T01:00:00+00:00"),
        ("Europe/Berlin", "2027-03-28T03:00:00", "2027-03-28T01:00:00+00:00"),
        ("America/New_York", "2027-03-14T02:15:00", "2027-03-14T07:00:00+00:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:10:00", "2026-10-03T15:30:00+00:00"),
        # A whole day that was left out.
        ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00+00:00"),
        # 02:30 comes twice: the first one.
        ("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00+00:00"),
        ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00+00:00"),
    ],
)
def test_a_local_time_means_one_instant(zone: str, local: str, instant: str) -> None:
    found = instant_of_local(datetime.fromisoformat(local), zone_of(zone))
    assert found == datetime.fromisoformat(instant)


ZONES = [
    "Asia/Kolkata",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
]


@given(
    zone=st.sampled_from(ZONES),
    local=st.datetimes(datetime(2020, 1, 1), datetime(2036, 1, 1)),  # noqa: DTZ001
)
def test_the_instant_shows_that_local_time_or_lies_right_after_a_gap(
    zone: str, local: datetime
) -> None:
    place = zone_of(zone)
    found = instant_of_local(local, place)
    shown = found.astimezone(place).replace(tzinfo=None)
    if shown == local:
        earlier = found - timedelta(hours=1)
        assert earlier.astimezone(place).replace(tzinfo=None) != local, "the first of the two"
    else:
        before = (found - timedelta(seconds=1)).astimezone(place).replace(tzinfo=None)
        assert before < local < shown, "nothing between them exists"


def test_a_local_time_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="calendar"):
        instant_of_local(datetime(1, 1, 1), zone_of("Asia/Kolkata"))  # noqa: DTZ001
