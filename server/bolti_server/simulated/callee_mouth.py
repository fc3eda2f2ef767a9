"""What the callee says, frame by frame, with each word in the frame in which its sound ends."""

from __future__ import annotations

import asyncio
from collections import deque

import attrs
from livekit import rtc

from bolti_server.simulated.sound import FRAME_BYTES, SILENCE, frame_of


@attrs.define(eq=False)
class _Utterance:
    text: str
    frames: deque[tuple[bytes, list[str]]]
    ended: asyncio.Future[None]


class Mouth:
    """`said` are the texts of what was begun; one that broke off holds the words that were said."""

    def __init__(self) -> None:
        self._waiting: deque[_Utterance] = deque()
        self._speaking: _Utterance | None = None
        self._words: list[str] = []
        self._said: list[str] = []

    @property
    def is_speaking(self) -> bool:
        return self._speaking is not None

    @property
    def said(self) -> list[str]:
        return [*self._said, " ".join(self._words)] if self._words else list(self._said)

    def say(self, text: str, pcm: bytes) -> asyncio.Future[None]:
        """Says it after what is still to be said; the future is done when the last frame went out or speech stopped."""
        utterance = _Utterance(
            text, deque(_frames(text, pcm)), asyncio.get_running_loop().create_future()
        )
        self._waiting.append(utterance)
        return utterance.ended

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
        if self._speaking is None and self._waiting:
            self._speaking = self._waiting.popleft()
        utterance = self._speaking
        if utterance is None or not utterance.frames:
            return frame_of(SILENCE)
        pcm, words = utterance.frames.popleft()
        self._words += words
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


def _frames(text: str, pcm: bytes) -> list[tuple[bytes, list[str]]]:
    """Words are spread over the sound by their letters: a synthesized voice speaks evenly enough for that."""
    pcm = pcm or SILENCE
    pieces = [
        pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        for at in range(0, len(pcm), FRAME_BYTES)
    ]
    words: list[list[str]] = [[] for _ in pieces]
    all_words = text.split()
    letters = sum(len(word) + 1 for word in all_words)
    passed = 0
    for word in all_words:
        passed += len(word) + 1
        words[min(len(pieces) - 1, passed * len(pieces) // letters)].append(word)
    return list(zip(pieces, words, strict=True))
