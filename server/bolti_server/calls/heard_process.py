"""The helper process that listens to one recording: `python -m bolti_server.calls.heard_process`.

A process of its own, because decoding is work for the CPU and not for the event loop, because a decoder written in C may
crash or hang on a file that nobody has seen yet, and because the web process loads neither av nor numpy. It gets one
request on stdin, answers on stdout, and ends. It touches the files that it is told and nothing else.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import msgspec
import numpy as np

from bolti_server.calls.heard_messages import (
    HeardAnswer,
    HeardRequest,
    HeardTurn,
    Peaks,
)
from bolti_server.calls.heard_sound import Part, Sound, Unreadable, join, listen
from bolti_server.calls.heard_voice import STEP_MS, Levels, heard_ms

MOST_PEAKS = 4000  # of one side: more than a screen has pixels
_INTERVALS_MS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_FULL_SCALE = 255
_MOST_MEMORY_BYTES = 4 << 30


def answer(request: HeardRequest) -> HeardAnswer:
    """What there is to be heard in it."""
    try:
        file = Path(request.parts[0].file)
        if request.joined_file is not None:
            file = Path(request.joined_file)
            join([Part(Path(part.file), part.start_ms) for part in request.parts], file)
        sound = listen(file)
    except Unreadable as error:
        return HeardAnswer(problem=str(error)[:500] or "It can't be decoded.")
    heard = [
        HeardTurn(index=turn.index, heard_ms=heard_ms(*sound.levels, turn))
        for turn in request.turns
    ]
    return HeardAnswer(duration_ms=sound.duration_ms, turns=heard, peaks=peaks_of(sound))


def peaks_of(sound: Sound) -> Peaks:
    """The highest sample of each interval, as few intervals as MOST_PEAKS allows."""
    interval_ms = next(
        (each for each in _INTERVALS_MS if sound.duration_ms <= each * MOST_PEAKS),
        _INTERVALS_MS[-1],
    )
    caller, agent = (_highest(side, interval_ms // STEP_MS) for side in sound.peaks)
    return Peaks(interval_ms=interval_ms, caller=caller, agent=agent)


def _highest(peaks: Levels, steps: int) -> bytes:
    padded = np.pad(peaks, (0, -len(peaks) % steps))
    highest = padded.reshape(-1, steps).max(axis=1)
    scaled = np.minimum(np.ceil(highest * _FULL_SCALE), _FULL_SCALE)
    return bytes(scaled.astype(np.uint8))


def main() -> None:
    os.nice(10)  # calls and requests come first
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=HeardRequest)
    # It ends by itself if the server that started it was killed.
    resource.setrlimit(resource.RLIMIT_CPU, (request.cpu_seconds, request.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    sys.stdout.buffer.write(msgspec.json.encode(answer(request)))


if __name__ == "__main__":
    main()
