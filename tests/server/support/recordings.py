"""Recordings made by hand: who sounds when is known to the sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE = 48_000

Side = Sequence[tuple[int, int]]


def voice(milliseconds: int, *, pitch_hz: float = 140, level: float = 0.3) -> np.ndarray:
    """Something like a vowel with syllables; it begins and ends at full loudness."""
    at = np.arange(milliseconds * RATE // 1000) / RATE
    tone = sum(np.sin(2 * np.pi * pitch_hz * n * at) / n for n in range(1, 12))
    syllables = 0.65 + 0.35 * np.cos(2 * np.pi * 4 * at)
    return (level * tone / 2 * syllables).astype(np.float32)


def side(total_ms: int, spoken: Side, *, level: float = 0.3) -> np.ndarray:
    """One channel: a voice in each (start_ms, end_ms), else silence."""
    samples = np.zeros(total_ms * RATE // 1000, dtype=np.float32)
    for start, end in spoken:
        samples[start * RATE // 1000 : end * RATE // 1000] = voice(end - start, level=level)
    return samples


def noise(total_ms: int, decibels: float, *, seed: int = 1) -> np.ndarray:
    """White noise of so many dB of full scale."""
    generator = np.random.default_rng(seed)
    loudness = 10 ** (decibels / 20)
    return (loudness * generator.standard_normal(total_ms * RATE // 1000)).astype(np.float32)


def write_ogg(file: Path, left: np.ndarray, right: np.ndarray) -> Path:
    """As a worker writes it: Ogg, Opus, stereo."""
    both = np.clip(np.stack([left, right]), -1, 1)
    with av.open(str(file), mode="w", format="ogg") as container:
        stream: Any = container.add_stream("libopus", rate=RATE, layout="stereo")
        for at in range(0, both.shape[1], RATE):
            block = np.ascontiguousarray(both[:, at : at + RATE])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate = RATE
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return file
