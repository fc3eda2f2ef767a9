"""What is heard on a recording: scripted delays are found again, on a clean line and on bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.server.support.recordings import RATE, noise, side, voice, write_ogg

from bolti_server.calls.heard_messages import AskedTurn, HeardRequest, RecordingPart
from bolti_server.calls.heard_process import MOST_PEAKS, answer
from bolti_server.calls.heard_sound import Part, join, listen

EXACT_MS = 20
GAPS_MS = (60, 140, 333, 480, 655, 900, 1487, 2600)


def turns_of(gaps_ms: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(caller's, agent's) voices: a caller of 1.1 s, the gap, an agent of 0.9 s, a pause."""
    caller, agent, at = [], [], 700
    for gap in gaps_ms:
        caller.append((at, at + 1100))
        agent.append((at + 1100 + gap, at + 2000 + gap))
        at += 3100 + gap
    return caller, agent


def heard(
    file: Path, caller: list[tuple[int, int]], agent: list[tuple[int, int]]
) -> list[int | None]:
    """The session's instants are told 90 ms wrong: they only say where to look."""
    asked = [
        AskedTurn(
            index=n,
            caller_start_ms=spoken[0] + 90,
            agent_start_ms=replied[0] - 90,
            agent_end_ms=replied[1] + 90,
        )
        for n, (spoken, replied) in enumerate(zip(caller, agent, strict=True))
    ]
    request = HeardRequest(parts=[RecordingPart(file=str(file))], turns=asked, cpu_seconds=60)
    found = answer(request)
    assert found.problem is None
    return [turn.heard_ms for turn in found.turns]


def hum(total_ms: int) -> np.ndarray:
    at = np.arange(total_ms * RATE // 1000) / RATE
    return (0.02 * np.sin(2 * np.pi * 50 * at) + 0.01).astype(np.float32)


LINES = {
    "clean": lambda total: np.zeros(total * RATE // 1000, dtype=np.float32),
    "hiss": lambda total: noise(total, -50),
    "noisy": lambda total: noise(total, -32),
    "hum and direct current": hum,
    "noise that grows": lambda total: (
        noise(total, -30) * np.linspace(0.02, 1, total * RATE // 1000)
    ),
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("level", [0.3, 0.7])
def test_scripted_delays_are_found_within_20_ms(tmp_path: Path, line: str, level: float) -> None:
    caller, agent = turns_of(GAPS_MS)
    total = agent[-1][1] + 1500
    left = side(total, caller, level=level) + LINES[line](total)
    file = write_ogg(tmp_path / "call.ogg", left.astype(np.float32), side(total, agent))

    found = heard(file, caller, agent)

    wrong = [
        (wanted, got)
        for wanted, got in zip(GAPS_MS, found, strict=True)
        if got is None or abs(got - wanted) > EXACT_MS
    ]
    assert not wrong, found


def test_a_click_between_the_two_is_no_voice(tmp_path: Path) -> None:
    caller, agent = turns_of((800,))
    total = agent[-1][1] + 500
    left = side(total, caller)
    click = (caller[0][1] + 400) * RATE // 1000
    left[click : click + RATE // 300] = 0.5
    file = write_ogg(tmp_path / "call.ogg", left, side(total, agent))

    (found,) = heard(file, caller, agent)

    assert found is not None
    assert abs(found - 800) <= EXACT_MS


def test_a_caller_who_still_talks_when_the_agent_begins_waited_for_nothing(tmp_path: Path) -> None:
    file = write_ogg(tmp_path / "call.ogg", side(5000, [(500, 4000)]), side(5000, [(2500, 3500)]))
    assert heard(file, [(500, 4000)], [(2500, 3500)]) == [0]


def test_what_can_not_be_told_from_the_noise_is_not_measured(tmp_path: Path) -> None:
    caller, agent = turns_of((700,))
    total = agent[-1][1] + 500
    left = side(total, caller, level=0.03) + noise(total, -30)
    file = write_ogg(tmp_path / "call.ogg", left, side(total, agent))
    assert heard(file, caller, agent) == [None]


def test_who_said_nothing_was_not_answered(tmp_path: Path) -> None:
    caller, agent = turns_of((700,))
    total = agent[-1][1] + 500
    silent = np.zeros(total * RATE // 1000, dtype=np.float32)
    left_silent = write_ogg(tmp_path / "left.ogg", silent, side(total, agent))
    right_silent = write_ogg(tmp_path / "right.ogg", side(total, caller), silent)
    assert heard(left_silent, caller, agent) == [None]
    assert heard(right_silent, caller, agent) == [None]


def test_peaks_show_who_sounded_when_and_fit_a_screen(tmp_path: Path) -> None:
    left, right = side(60_000, [(1000, 2000)]), side(60_000, [(30_000, 59_000)], level=0.6)
    file = write_ogg(tmp_path / "call.ogg", left, right)
    found = answer(HeardRequest(parts=[RecordingPart(file=str(file))], turns=[], cpu_seconds=60))

    assert found.peaks is not None
    assert abs(found.duration_ms - 60_000) <= 40
    caller, agent = found.peaks.caller, found.peaks.agent
    assert found.peaks.interval_ms == 20
    assert len(caller) == len(agent) <= MOST_PEAKS
    assert min(caller[52:98]) > 20
    assert max(caller[110:]) <= 2
    assert max(agent[:1490]) <= 2
    assert min(agent[1505:2940]) > max(caller) / 2


def test_parts_are_joined_where_they_belong(tmp_path: Path) -> None:
    first = write_ogg(tmp_path / "1.ogg", side(2000, [(500, 1500)]), side(2000, []))
    second = write_ogg(tmp_path / "2.ogg", side(2000, []), side(2000, [(300, 1700)]))
    parts = [Part(second, 5000), Part(first, 0)]

    join(parts, tmp_path / "whole.ogg")

    caller, agent = listen(tmp_path / "whole.ogg").levels
    assert abs(len(caller) * 5 - 7000) <= 60
    assert _loud(caller) == pytest.approx((500, 1500), abs=EXACT_MS)
    assert _loud(agent) == pytest.approx((5300, 6700), abs=EXACT_MS)


def test_a_part_that_can_not_be_read_leaves_the_others(tmp_path: Path) -> None:
    good = write_ogg(tmp_path / "2.ogg", side(2000, [(500, 1500)]), side(2000, []))
    (tmp_path / "1.ogg").write_bytes(b"OggS and no more")
    join([Part(tmp_path / "1.ogg", 0), Part(good, 1000)], tmp_path / "whole.ogg")
    assert _loud(listen(tmp_path / "whole.ogg").levels[0]) == pytest.approx((1500, 2500), abs=20)


def test_a_part_that_overlaps_the_one_before_follows_it(tmp_path: Path) -> None:
    one = write_ogg(tmp_path / "1.ogg", side(2000, [(500, 1500)]), side(2000, []))
    join([Part(one, 0), Part(one, 1000)], tmp_path / "whole.ogg")
    assert abs(listen(tmp_path / "whole.ogg").duration_ms - 4000) <= 60


def test_a_recording_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    left = side(20_000, [(500, 19_000)]) + noise(20_000, -30)
    whole = write_ogg(tmp_path / "whole.ogg", left, left)
    content = whole.read_bytes()
    (tmp_path / "half.ogg").write_bytes(content[: len(content) // 2])
    assert 5000 < listen(tmp_path / "half.ogg").duration_ms < 15_000


@pytest.mark.parametrize("content", [b"OggS", b"OggS" + bytes(range(256)) * 40, b"\0" * 5000])
def test_what_is_no_recording_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "poison.ogg"
    file.write_bytes(content)
    found = answer(HeardRequest(parts=[RecordingPart(file=str(file))], turns=[], cpu_seconds=60))
    assert found.problem


def _loud(levels: np.ndarray) -> tuple[int, int]:
    loud = np.flatnonzero(levels > -35)
    return int(loud[0]) * 5, int(loud[-1] + 1) * 5


def test_the_voice_of_the_tests_begins_and_ends_where_it_says() -> None:
    assert np.abs(voice(1000)[:240]).max() > 0.05
    assert np.abs(voice(1000)[-480:]).max() > 0.05
