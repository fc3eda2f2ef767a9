"""Where there is a voice on one side of a recording, and how long the other side was waited for. Pure.

Rules: a voice is what stands out from the noise around it: the threshold is found anew for each place that is asked
about, MARGIN_DB over the noise floor there and never more than RANGE_DB under the loudest voice there. What is shorter
than SHORTEST_MS is a click. Where voice and noise are less than LEAST_CONTRAST_DB apart nothing is measured: no figure is
better than a wrong one. Levels come one per STEP_MS, in dB of full scale.

The noise floor is minimum statistics (R. Martin, 2001) in its simplest form: the quietest tenth of the levels smoothed
over 50 ms, which pauses between words make true also while somebody talks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bolti_server.calls.heard_messages import AskedTurn

STEP_MS = 5
SHORTEST_MS = 40
MARGIN_DB = 9.0
RANGE_DB = 30.0
LEAST_CONTRAST_DB = 12.0
QUIETEST_VOICE_DB = -58.0  # under this it is the line's own hiss, or nothing
SILENCE_DB = -100.0
_BRIDGED_MS = 20  # a voice's pitch may leave so short a hole between two levels
_SMOOTHED_STEPS = 10

Levels = npt.NDArray[np.float32]


_EARLIER_MS = 300  # the session's instants and the recording's differ by a frame or two
_LATER_MS = 500
_AROUND_MS = 1500  # where the noise is listened to
# A recognizer hears a word late, never before it is said.
_CALLER_EARLIER_MS = 1000


def heard_ms(caller: Levels, agent: Levels, turn: AskedTurn) -> int | None:
    """From the end of the caller's voice to the start of the agent's; 0 where the caller was still talking.

    None where one of the two can't be told from the noise.
    """
    start = onset(agent, turn.agent_start_ms - _EARLIER_MS, turn.agent_end_ms + _LATER_MS)
    if start is None:
        return None
    end = last_end(caller, turn.caller_start_ms - _CALLER_EARLIER_MS, start)
    return None if end is None else start - end


def onset(levels: Levels, from_ms: int, until_ms: int) -> int | None:
    """Where the first voice begins in this stretch (a voice that goes on from before it is another); ms, or None."""
    for start, _ in _voices(levels, from_ms, until_ms):
        if start > max(0, from_ms):
            return start
    return None


def last_end(levels: Levels, from_ms: int, until_ms: int) -> int | None:
    """Where the last voice of this stretch ends, `until_ms` if it goes on there; None where there is none."""
    voices = _voices(levels, from_ms, until_ms)
    return voices[-1][1] if voices else None


def _voices(levels: Levels, from_ms: int, until_ms: int) -> list[tuple[int, int]]:
    first, last = max(0, from_ms) // STEP_MS, min(len(levels), -(-until_ms // STEP_MS))
    stretch = levels[first:last]
    threshold = _threshold(levels, first, last)
    if threshold is None:
        return []
    runs = _bridged(_runs(stretch >= threshold))
    least = SHORTEST_MS // STEP_MS
    return [
        ((first + start) * STEP_MS, (first + end) * STEP_MS)
        for start, end in runs
        if end - start >= least or end == len(stretch)
    ]


def _threshold(levels: Levels, first: int, last: int) -> float | None:
    """None: there is no voice here, or it can't be told from the noise."""
    stretch = levels[first:last]
    if len(stretch) < SHORTEST_MS // STEP_MS:
        return None
    around = levels[max(0, first - _AROUND_MS // STEP_MS) : last + _AROUND_MS // STEP_MS]
    floor = float(np.percentile(_smoothed(around), 10))
    loudest = float(np.percentile(stretch, 95))
    # A short word in a long stretch is less than its twentieth part.
    loudest = max(loudest, float(np.sort(stretch)[-min(len(stretch), 16) :].min()))
    if loudest < max(QUIETEST_VOICE_DB, floor + LEAST_CONTRAST_DB):
        return None
    return max(floor + MARGIN_DB, loudest - RANGE_DB, QUIETEST_VOICE_DB)


def _smoothed(levels: Levels) -> npt.NDArray[np.float64]:
    power = np.power(10.0, levels.astype(np.float64) / 10)
    if len(power) >= _SMOOTHED_STEPS:
        power = np.convolve(power, np.full(_SMOOTHED_STEPS, 1 / _SMOOTHED_STEPS), mode="valid")
    return np.asarray(10 * np.log10(np.maximum(power, 1e-10)))


def _runs(is_loud: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], is_loud.astype(np.int8), [0]))))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _bridged(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and (start - joined[-1][1]) * STEP_MS <= _BRIDGED_MS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
