"""Hears the beep of a mailbox in what comes from the callee: one steady tone.

What a beep is: at least MIN_BEEP_MS of sound with nearly all of its energy at one frequency of a telephone's band that does
not move. A voice has harmonics and moves; a key of a telephone is two tones; ringing is two tones in most countries. Tones
that a human's surroundings make (an oven, a lorry in reverse) sound the same: a beep alone proves no machine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from livekit import rtc
from livekit.agents.voice import io

MIN_BEEP_MS = 180
_PIECE_SECONDS = 0.02
_LOUD = 0.015  # root mean square
_LOWEST_HZ, _HIGHEST_HZ = 350.0, 2_600.0
_WIDTH_HZ = 90.0  # what a piece of 20 ms smears a pure tone to
_PURE = 0.85  # of the energy, within that width
_STEADY_HZ = 30.0


class BeepDetector:
    """Takes mono 16-bit sound of any rate, in pieces of any length."""

    def __init__(self) -> None:
        self._rest = np.zeros(0)
        self._rate = 0
        self._hertz = 0.0
        self._ms = 0.0

    def push(self, pcm: bytes, rate: int) -> bool:
        """True where a beep ended in this piece."""
        if rate != self._rate:
            self._rate, self._rest = rate, np.zeros(0)
        samples = np.concatenate(
            [self._rest, np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768]
        )
        length = int(rate * _PIECE_SECONDS)
        has_ended = False
        while len(samples) >= length:
            has_ended |= self._hear(samples[:length])
            samples = samples[length:]
        self._rest = samples
        return has_ended

    def _hear(self, piece: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
        hertz = self._tone_of(piece)
        if hertz is not None and (self._ms == 0 or abs(hertz - self._hertz) <= _STEADY_HZ):
            self._hertz = hertz
            self._ms += 1000 * _PIECE_SECONDS
            return False
        was_beep = self._ms >= MIN_BEEP_MS
        self._hertz, self._ms = (0.0, 0.0) if hertz is None else (hertz, 1000 * _PIECE_SECONDS)
        return was_beep

    def _tone_of(self, piece: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float | None:
        if np.sqrt(np.mean(piece * piece)) < _LOUD:
            return None
        # Padded: the peak's place is read finer than the piece's own 50 Hz.
        power = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 4 * len(piece))) ** 2
        hertz = np.fft.rfftfreq(4 * len(piece), 1 / self._rate)
        peak = float(hertz[int(np.argmax(power))])
        if not _LOWEST_HZ <= peak <= _HIGHEST_HZ:
            return None
        near = float(np.sum(power[np.abs(hertz - peak) <= _WIDTH_HZ]))
        return peak if near >= _PURE * float(np.sum(power)) else None


class BeepTap(io.AudioInput):
    """Passes the callee's sound on, and calls `on_beep` where a beep ended. `stop()` ends the listening."""

    def __init__(self, source: io.AudioInput, on_beep: Callable[[], None]) -> None:
        super().__init__(label="BeepTap", source=source)
        self._detector: BeepDetector | None = BeepDetector()
        self._on_beep = on_beep

    def stop(self) -> None:
        self._detector = None

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await super().__anext__()
        if self._detector is not None and self._detector.push(bytes(frame.data), frame.sample_rate):
            self._on_beep()
        return frame
