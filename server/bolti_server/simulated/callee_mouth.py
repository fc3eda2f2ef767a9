"""What comes from the callee's side, frame by frame: its words, each in the frame in which its sound ends, other sounds, and
the noise around it.
"""

from __future__ import annotations

import asyncio
from collections import deque

import attrs
import numpy as np
from livekit import rtc

from bolti_server.simulated.sound import (
    FRAME_BYTES,
    FRAME_MS,
    FRAME_SAMPLES,
    RATE,
    SILENCE,
    WORDS,
    Samples,
    frame_of,
    to_pcm,
    to_samples,
)

_NOISE_SECONDS = 5  # then it repeats


@attrs.define(eq=False)
class _Utterance:
    frames: deque[tuple[bytes, list[str] | None]]  # with the words that end in each; None: no voice
    ended: asyncio.Future[None]


class Mouth:
    """`said` are the texts of what was begun; one that broke off holds the words that were said."""

    def __init__(self) -> None:
        self._waiting: deque[_Utterance] = deque()
        self._speaking: _Utterance | None = None
        self._words: list[str] = []
        self._said: list[str] = []
        self._noise_level = 0.0
        self._noise_frames_left: int | None = 0  # None: until the end
        self._noise_at = 0

    @property
    def is_speaking(self) -> bool:
        return self._speaking is not None

    @property
    def said(self) -> list[str]:
        return [*self._said, " ".join(self._words)] if self._words else list(self._said)

    def say(self, text: str, pcm: bytes) -> asyncio.Future[None]:
        """Says it after what is still to be said; the future is done when the last frame went out or speech stopped."""
        return self._enqueue(_frames(text, pcm))

    def sound(self, pcm: bytes) -> asyncio.Future[None]:
        """As `say`, of a sound that is no voice."""
        return self._enqueue([(piece, None) for piece in _pieces(pcm)])

    def make_noise(self, level: float, ms: int | None) -> None:
        """Noise of this root mean square behind all that comes, for `ms` (None: until the end)."""
        self._noise_level = level
        self._noise_frames_left = None if ms is None else -(-ms // FRAME_MS)

    def stop(self) -> None:
        """Falls silent at once. Safe to repeat."""
        for utterance in [self._speaking, *self._waiting]:
            if utterance is not None and not utterance.ended.done():
                utterance.ended.set_result(None)
        self._waiting.clear()
        self._speaking = None
        self._close_words()

    def next_frame(self) -> rtc.AudioFrame:
        """The callee's next 20 ms."""
        frame = self._next_frame()
        if self._noise_level == 0 or self._noise_frames_left == 0:
            return frame
        if self._noise_frames_left is not None:
            self._noise_frames_left -= 1
        noise = _NOISE[self._noise_at : self._noise_at + FRAME_SAMPLES]
        self._noise_at = (self._noise_at + FRAME_SAMPLES) % len(_NOISE)
        pcm = to_pcm(to_samples(bytes(frame.data)) + self._noise_level * noise)
        return frame_of(pcm, frame.userdata.get(WORDS))

    def _enqueue(self, frames: list[tuple[bytes, list[str] | None]]) -> asyncio.Future[None]:
        utterance = _Utterance(deque(frames), asyncio.get_running_loop().create_future())
        self._waiting.append(utterance)
        return utterance.ended

    def _next_frame(self) -> rtc.AudioFrame:
        if self._speaking is None and self._waiting:
            self._speaking = self._waiting.popleft()
        utterance = self._speaking
        if utterance is None or not utterance.frames:
            return frame_of(SILENCE)
        pcm, words = utterance.frames.popleft()
        self._words += words or []
        if not utterance.frames:
            self._speaking = None
            self._close_words()
            if not utterance.ended.done():
                utterance.ended.set_result(None)
        return frame_of(pcm, words)

    def _close_words(self) -> None:
        if self._words:
            self._said.append(" ".join(self._words))
            self._words = []


def _frames(text: str, pcm: bytes) -> list[tuple[bytes, list[str] | None]]:
    """Words are spread over the sound by their letters: a synthesized voice speaks evenly enough for that."""
    pieces = _pieces(pcm or SILENCE)
    words: list[list[str]] = [[] for _ in pieces]
    all_words = text.split()
    letters = sum(len(word) + 1 for word in all_words)
    passed = 0
    for word in all_words:
        passed += len(word) + 1
        words[min(len(pieces) - 1, passed * len(pieces) // letters)].append(word)
    return [(piece, riding) for piece, riding in zip(pieces, words, strict=True)]


def _pieces(pcm: bytes) -> list[bytes]:
    return [
        pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        for at in range(0, len(pcm), FRAME_BYTES)
    ]


def _make_noise() -> Samples:
    """Like a street heard through a telephone: more low than high, the same each time, root mean square 1."""
    count = _NOISE_SECONDS * RATE
    spectrum = np.fft.rfft(np.random.default_rng(14).standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    spectrum *= ((hertz > 150) & (hertz < 3_400)) / np.sqrt(np.maximum(hertz, 150))
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / np.sqrt(np.mean(noise * noise)))


_NOISE = _make_noise()
