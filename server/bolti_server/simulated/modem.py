"""Text as sound that carries its exact words: 16 tones, two symbols a byte, at the pace of slow speech.

Each symbol lasts 40 ms, so 12.5 bytes pass in a second. A packet is a high and a low sync tone, the bytes of the text
in UTF-8, and the high tone again. Everything lies between 400 and 2,500 Hz: a telephone's band. It survives µ-law at
8 kHz, Opus from 12 kbit/s, noise of 20 dB, and speech mixed in at half its amplitude. That mix is the point: the tones
alone are not speech to Silero, with the speech the same signal serves turn-taking and exact assertions
(tried in November 2026, `tests/server/simulated/test_modem.py`).
"""

from __future__ import annotations

import numpy as np

from bolti_server.simulated.sound import RATE, Samples, to_pcm, to_samples

SYMBOL = RATE * 40 // 1000
SYNC_SECONDS = 2 * SYMBOL / RATE  # of a packet's beginning; its end is half as long
SPEECH_SHARE = 0.5  # of its own amplitude; Silero wants 0.3 at least
_LEVEL = 0.4
_LOW, _HIGH = 400.0, 2500.0
_TONES = (*(500.0 + 120.0 * index for index in range(16)), _LOW, _HIGH)
_LOW_AT, _HIGH_AT = 16, 17
_SYNC_LEVEL = 0.03  # a sync tone at _LEVEL reads 0.2; speech in one tone's band reads far less
_SYMBOL_LEVEL = 0.01
_SEARCH_STEP = SYMBOL // 8
_EDGE = SYMBOL // 6  # left out on both sides of a symbol, where its neighbour may reach in


def _waves(samples: int) -> Samples:
    """A row of cosine for each tone, then a row of sine for each."""
    angles = 2 * np.pi * np.outer(np.array(_TONES), np.arange(samples) / RATE)
    return np.concatenate([np.cos(angles), np.sin(angles)]) / samples


def _levels(waves: Samples, samples: Samples) -> Samples:
    """How strong each tone is: half its amplitude."""
    parts = waves @ samples
    return np.hypot(parts[: len(_TONES)], parts[len(_TONES) :])


_SYMBOL_WAVES = _waves(SYMBOL)
_MIDDLE_WAVES = _waves(SYMBOL - 2 * _EDGE)


def encode(text: str, speech: bytes = b"") -> bytes:
    """PCM of RATE that carries `text`, with `speech` (PCM of RATE, repeated to the length) mixed in."""
    symbols = [_HIGH_AT, _LOW_AT]
    for byte in text.encode():
        symbols += [byte >> 4, byte & 15]
    symbols.append(_HIGH_AT)
    time = np.arange(SYMBOL) / RATE
    shape = _LEVEL * np.hanning(SYMBOL) ** 0.25
    samples = np.concatenate([shape * np.sin(2 * np.pi * _TONES[each] * time) for each in symbols])
    if speech:
        samples += SPEECH_SHARE * np.resize(to_samples(speech), len(samples))
    return to_pcm(samples)


class Decoder:
    """Reads packets off a stream of PCM, whatever its pieces and wherever a packet begins."""

    def __init__(self) -> None:
        self._samples: Samples = np.zeros(0)
        self._is_in_packet = False
        self._nibbles: list[int] = []

    @property
    def partial(self) -> str:
        """What has been read of the packet that is arriving; empty between packets."""
        return _text(self._nibbles) if self._is_in_packet else ""

    def push(self, pcm: bytes) -> list[str]:
        """Takes PCM of RATE; returns the texts of the packets that ended in it. One that broke off ends where it did."""
        self._samples = np.concatenate([self._samples, to_samples(pcm)])
        texts: list[str] = []
        while True:
            if self._is_in_packet:
                if len(self._samples) < SYMBOL:
                    return texts
                if self._read_symbol():
                    texts.append(_text(self._nibbles))
                    self._is_in_packet = False
            elif not self._find_sync():
                return texts

    def _read_symbol(self) -> bool:
        """Reads one symbol; True where it ends the packet."""
        levels = _levels(_MIDDLE_WAVES, self._samples[_EDGE : SYMBOL - _EDGE])
        best = int(np.argmax(levels[:16]))
        if levels[_HIGH_AT] > levels[best] or levels[best] < _SYMBOL_LEVEL:
            return True
        self._nibbles.append(best)
        self._samples = self._samples[SYMBOL:]
        return False

    def _find_sync(self) -> bool:
        """Drops what holds no packet; True when one begins, with the samples at its first symbol."""
        at = 0
        while at + 3 * SYMBOL < len(self._samples):
            if self._is_sync(at):
                start = max(range(at, at + SYMBOL, _SEARCH_STEP // 2), key=self._sync_level)
                self._samples = self._samples[start + 2 * SYMBOL :]
                self._is_in_packet, self._nibbles = True, []
                return True
            at += _SEARCH_STEP
        self._samples = self._samples[at:]
        return False

    def _is_sync(self, at: int) -> bool:
        first = self._samples[at : at + SYMBOL]
        if np.max(np.abs(first)) < _SYNC_LEVEL:
            return False
        levels = _levels(_SYMBOL_WAVES, first)
        high = levels[_HIGH_AT]
        if high <= _SYNC_LEVEL or np.max(levels[:16]) >= high / 2:
            return False
        second = self._samples[at + SYMBOL : at + 2 * SYMBOL]
        return bool(_levels(_SYMBOL_WAVES, second)[_LOW_AT] > _SYNC_LEVEL)

    def _sync_level(self, at: int) -> float:
        first = self._samples[at : at + SYMBOL]
        second = self._samples[at + SYMBOL : at + 2 * SYMBOL]
        return float(
            _levels(_SYMBOL_WAVES, first)[_HIGH_AT] + _levels(_SYMBOL_WAVES, second)[_LOW_AT]
        )


def _text(nibbles: list[int]) -> str:
    """A broken-off packet may end within a byte or a character: that one is left out."""
    pairs = zip(nibbles[::2], nibbles[1::2], strict=False)
    return bytes(high << 4 | low for high, low in pairs).decode("utf-8", "ignore")
