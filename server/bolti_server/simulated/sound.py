"""The simulated line's sound: 16 kHz, mono, 16 bit, in frames of 20 ms.

16 kHz because Silero and the text modem both work at it: with one rate from end to end nothing between the models and
the line resamples, so a frame that leaves the line is the very object that the speech recognition gets.
"""

from __future__ import annotations

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

RATE = 16_000
FRAME_MS = 20
FRAME_SECONDS = FRAME_MS / 1000
FRAME_SAMPLES = RATE * FRAME_MS // 1000
FRAME_BYTES = 2 * FRAME_SAMPLES
SILENCE = bytes(FRAME_BYTES)

Samples = NDArray[np.float64]


def to_pcm(samples: Samples) -> bytes:
    """16-bit PCM of samples between -1 and 1; what is louder is clipped."""
    return (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def to_samples(pcm: bytes) -> Samples:
    """Samples between -1 and 1 of 16-bit PCM."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768


def loudness(pcm: bytes) -> float:
    """Root mean square between 0 and 1; 0 for no samples."""
    samples = to_samples(pcm)
    return float(np.sqrt(np.mean(samples * samples))) if len(samples) else 0.0


def at_line_rate(pcm: bytes, rate: int) -> bytes:
    """Mono 16-bit PCM of `rate` Hz as PCM of RATE."""
    if rate == RATE or not pcm:
        return pcm
    resampler = rtc.AudioResampler(rate, RATE, num_channels=1)
    frames = resampler.push(rtc.AudioFrame(pcm, rate, 1, len(pcm) // 2)) + resampler.flush()
    return b"".join(bytes(frame.data) for frame in frames)


def seconds_of(pcm: bytes) -> float:
    """How long it sounds, in seconds."""
    return len(pcm) / (2 * RATE)


def frame_of(pcm: bytes, words: list[str] | None = None) -> rtc.AudioFrame:
    """A frame of PCM, 20 ms on the line; `words` is what the speaker finishes saying in it, None where nobody speaks."""
    return rtc.AudioFrame(
        pcm, RATE, 1, len(pcm) // 2, userdata={} if words is None else {WORDS: words}
    )


# The member of an audio frame's userdata that carries words beside the audio.
WORDS = "bolti.words"
