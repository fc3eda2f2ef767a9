"""What a recording holds, read off its sound."""

from __future__ import annotations

import io

import av
import numpy as np

from bolti_server.simulated.modem import Decoder
from bolti_server.simulated.sound import RATE


def words_of(recording: bytes) -> tuple[list[str], list[str]]:
    """The sentences on the left (the other side) and on the right (the agent), by their modem."""
    parts = []
    with av.open(io.BytesIO(recording)) as container:
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=RATE)
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray() for part in resampler.resample(frame)]
    samples = np.concatenate([part.reshape(-1) for part in parts]).reshape(-1, 2)
    return _decoded(samples[:, 0]), _decoded(samples[:, 1])


def _decoded(samples: np.ndarray) -> list[str]:
    return Decoder().push(samples.astype("<i2").tobytes() + bytes(2 * RATE))
