"""A voice for a machine without espeak: vowels from formants, a syllable at a time. Nobody understands it; Silero hears it.

Whoever needs the words takes them beside the audio, or off it with the modem; this is only for turn-taking to work.
"""

from __future__ import annotations

import zlib

import numpy as np

from bolti_server.simulated.sound import RATE, Samples, to_pcm

_VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (530, 1840, 2480),
    (570, 840, 2410),
    (300, 870, 2240),
)
_WIDTHS = (90.0, 110.0, 170.0)
_SYLLABLE_SECONDS = 0.2
_LETTERS_PER_SYLLABLE = 2.5
_GAP_SHARE = 0.25
_LEVEL = 0.08  # root mean square, espeak's


class ToneVoice:
    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def speak(self, text: str, voice: str, words_per_minute: int) -> bytes:
        """PCM at the line's rate, the same for the same text: a syllable for every few letters, a pause between words."""
        pitch = 190.0 if "+f" in voice else 110.0
        pace = 165 / words_per_minute
        pieces: list[Samples] = []
        for word in text.split():
            if not any(letter.isalnum() for letter in word):
                continue
            for index in range(max(1, round(len(word) / _LETTERS_PER_SYLLABLE))):
                kind = zlib.crc32(f"{word}{index}".encode())
                pieces.append(_syllable(pitch * (1 + (kind % 7) / 50), kind, pace))
            pieces.append(np.zeros(int(RATE * 0.04 * pace)))
        return to_pcm(np.concatenate(pieces)) if pieces else b""


def _syllable(pitch: float, kind: int, pace: float) -> Samples:
    count = int(RATE * _SYLLABLE_SECONDS * pace)
    time = np.arange(count) / RATE
    glide = pitch * (1.08 - 0.16 * time / time[-1])
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    formants = _VOWELS[kind % len(_VOWELS)]
    sound = np.zeros(count)
    for harmonic in range(1, int(3800 / pitch)):
        frequency = harmonic * pitch
        gain = sum(
            1 / (1 + ((frequency - formant) / width) ** 2)
            for formant, width in zip(formants, _WIDTHS, strict=True)
        )
        sound += gain / harmonic**0.5 * np.sin(harmonic * phase)
    shape = np.minimum(1, np.minimum(time, time[-1] - time) / (_GAP_SHARE * time[-1]))
    sound *= shape
    return np.asarray(sound * (_LEVEL / np.sqrt(np.mean(sound * sound))))
