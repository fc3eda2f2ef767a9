"""The line's clock: no frame is lost, none comes twice, nothing drifts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolti_server.simulated.beat import LONGEST_CATCH_UP_SECONDS, Beat
from bolti_server.simulated.sound import FRAME_SECONDS


@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=50))
def test_frames_are_as_many_as_time_has_passed_for_whatever_wake_ups_there_were(
    sleeps: list[float],
) -> None:
    beat, now, frames = Beat(100.0, 5_000.0), 100.0, list[float]()
    for sleep in [0.0, *sleeps]:
        now += sleep
        frames += beat.due(now)
    expected = int((now - 100.0) / FRAME_SECONDS) + 1
    assert abs(len(frames) - expected) <= 1
    assert frames[0] == 5_000.0
    steps = [later - earlier for earlier, later in itertools.pairwise(frames)]
    assert steps == pytest.approx([FRAME_SECONDS] * len(steps))


def test_a_hundred_milliseconds_without_the_event_loop_are_caught_up() -> None:
    beat = Beat(0.0, 0.0)
    assert len(beat.due(0.0)) == 1
    assert len(beat.due(0.101)) == 5
    assert beat.rest(0.101) == pytest.approx(0.019)


def test_what_was_missed_for_longer_than_a_second_is_skipped() -> None:
    beat = Beat(0.0, 1_000.0)
    beat.due(0.0)
    late = beat.due(LONGEST_CATCH_UP_SECONDS + 3.0)
    assert len(late) <= 2
    assert late[-1] == pytest.approx(1_004.0, abs=2 * FRAME_SECONDS)
    assert len(beat.due(LONGEST_CATCH_UP_SECONDS + 3.11)) == 5
