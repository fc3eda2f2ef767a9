"""Reading and joining Ogg/Opus recordings: levels, peaks, one file of several. Only the helper process loads this.

Rule: a recording is never in memory as a whole; of four hours what is kept is 46 MB of levels and peaks. One that was cut
off by a killed worker is read up to where it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import av
import numpy as np
import numpy.typing as npt

from bolti_server.calls.heard_voice import SILENCE_DB, STEP_MS, Levels

RATE = 48_000  # what Opus decodes to
STEP = RATE * STEP_MS // 1000
CHANNELS = 2
_FRAME = 960  # 20 ms: what Opus encodes at one time

Samples = npt.NDArray[np.float32]  # (2, n)


class Unreadable(Exception):
    """It is no recording that can be decoded."""


@attrs.frozen
class Sound:
    """Both sides (0 the caller, 1 the agent), one value per STEP_MS: level in dB of full scale, highest peak 0 to 1."""

    levels: tuple[Levels, Levels]
    peaks: tuple[Levels, Levels]

    @property
    def duration_ms(self) -> int:
        return len(self.levels[0]) * STEP_MS


@attrs.frozen
class Part:
    """`start_ms`: where it belongs in the whole."""

    file: Path
    start_ms: int


def listen(file: Path) -> Sound:
    """Raises Unreadable."""
    levels: list[Samples] = []
    peaks: list[Samples] = []
    rest: Samples = np.zeros((CHANNELS, 0), dtype=np.float32)
    for block in _blocks(file):
        rest = np.concatenate((rest, block), axis=1)
        count = rest.shape[1] // STEP
        if count == 0:
            continue
        steps = rest[:, : count * STEP].reshape(CHANNELS, count, STEP)
        rest = rest[:, count * STEP :]
        # Without its mean: a line's direct current is no voice.
        varied = steps - steps.mean(axis=2, keepdims=True)
        power = np.square(varied, dtype=np.float64).mean(axis=2)
        loudness = 10 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10)))
        levels.append(loudness.astype(np.float32))
        peaks.append(np.abs(steps).max(axis=2))
    if not levels:
        raise Unreadable("There is no sound in it.")
    left_levels, right_levels = np.concatenate(levels, axis=1)
    left_peaks, right_peaks = np.concatenate(peaks, axis=1)
    return Sound((left_levels, right_levels), (left_peaks, right_peaks))


def join(parts: Sequence[Part], to: Path) -> None:
    """One file of all that can be read, each where it belongs, silence between; none is cut: one that begins before the
    one before it ends follows it at once. Raises Unreadable where nothing can be read."""
    written = 0
    with av.open(str(to), mode="w", format="ogg") as container:
        stream: Any = container.add_stream("libopus", rate=RATE, layout="stereo")
        for block in _laid_out(parts):
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate = RATE
            frame.pts = written
            written += block.shape[1]
            for packet in stream.encode(frame):
                container.mux(packet)
        if written:
            for packet in stream.encode(None):
                container.mux(packet)
    if not written:
        raise Unreadable("None of its parts can be read.")


def _laid_out(parts: Sequence[Part]) -> Iterator[Samples]:
    position = 0
    for part in sorted(parts, key=lambda part: part.start_ms):
        try:
            for block in _blocks(part.file):
                for silence in _silence(part.start_ms * RATE // 1000 - position):
                    yield silence
                    position += silence.shape[1]
                yield block
                position += block.shape[1]
        except Unreadable:
            continue


def _silence(samples: int) -> Iterator[Samples]:
    while samples > 0:
        length = min(samples, RATE)
        yield np.zeros((CHANNELS, length), dtype=np.float32)
        samples -= length


def _blocks(file: Path) -> Iterator[Samples]:
    """What can be decoded, in pieces. Raises Unreadable if that is nothing."""
    is_begun = False
    try:
        with av.open(str(file), mode="r", format="ogg") as container:
            resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
            for frame in container.decode(audio=0):
                for resampled in resampler.resample(frame):
                    is_begun = True
                    yield resampled.to_ndarray().astype(np.float32, copy=False)
    except (av.FFmpegError, IndexError, ValueError) as error:
        if not is_begun:
            raise Unreadable(str(error)) from error
