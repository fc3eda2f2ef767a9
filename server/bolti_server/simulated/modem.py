"""Text as sound that carries its exact words: two tones a byte, at the pace of slow speech.

Each symbol lasts 40 ms, so 12.5 bytes pass in a second. A packet is a long high and a low sync tone, the bytes of the text
in UTF-8, and the high tone again. The first is long because a jitter buffer bends or swallows the beginning of what follows
a silence; where that was the whole tone, the sentence was lost. A byte's first half is one of sixteen tones, its second
half one of sixteen others, so every symbol differs from the one before it: the reader follows the changes and needs no
clock. That is what a network asks for. A receiver's jitter buffer (WebRTC's NetEQ) stretches and shortens sound by 5 to 60
ms wherever it likes when packets come late; a reader that counted 40 ms lost every third sentence through a room on a busy
machine. It waits through silence in the middle of a packet, too: that is a sender without a processor, and nothing is lost
by it.

Everything lies between 350 and 3,030 Hz: a telephone's band. It survives µ-law at 8 kHz, Opus from 12 kbit/s, noise of
20 dB, and speech mixed in at 0.7 of its amplitude. That mix is the point: the tones alone are not speech to Silero, with
the speech the same signal serves turn-taking and exact assertions (tried in November 2026,
`tests/server/simulated/test_modem.py`).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bolti_server.simulated.sound import RATE, Samples, to_pcm, to_samples

SYMBOL = RATE * 40 // 1000
LEAD_SYMBOLS = 4  # of a packet's beginning, before the first letter; its end is one
SYMBOL_SECONDS = SYMBOL / RATE
SPEECH_SHARE = 0.7  # of its own amplitude; at 0.5 Silero misses short words ("Yes.": 18 of 25), at 0.9 rooms lose some
_LEVEL = 0.4
_LOW, _HIGH = 350.0, 3030.0
_TONES = (*(450.0 + 80.0 * index for index in range(32)), _LOW, _HIGH)
_LOW_AT, _HIGH_AT = 32, 33
_WINDOW = RATE * 20 // 1000
_HOP = RATE * 5 // 1000
_SYNC_LEVEL = 0.03  # a sync tone at _LEVEL reads 0.2; speech in one tone's band reads far less
_SYMBOL_LEVEL = 0.02
_QUIET = 0.01
# A tone counts when it is the strongest for so many hops: between two symbols others may shine up for one.
_STEADY_HOPS = 2
# Of a half outside a packet: where the sound stops within the sync, one shines up for two.
_LONE_HOPS = 5
# Without any tone: the packet has broken off. A sender that got no processor for 0.4 s goes on where it stopped, which was
# most of what broke on a busy machine; a listener takes a turn for over after 0.6 s (callee_ear.END_OF_TURN_MS).
_BROKEN_HOPS = 90
_NOTHING = -1
_NO_LEVELS: Samples = np.zeros(len(_TONES))


def _waves(samples: int) -> Samples:
    """A column of cosine for each tone, then a column of sine for each."""
    angles = 2 * np.pi * np.outer(np.arange(samples) / RATE, np.array(_TONES))
    shape = np.hanning(samples + 2)[1:-1, None] ** 0.5
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(shape / shape.mean() * waves / samples)


_WINDOW_WAVES = _waves(_WINDOW)


def encode(text: str, speech: bytes = b"") -> bytes:
    """PCM of RATE that carries `text`, with `speech` (PCM of RATE, repeated to the length) mixed in."""
    symbols = [_HIGH_AT] * (LEAD_SYMBOLS - 1) + [_LOW_AT]
    for byte in text.encode():
        symbols += [byte >> 4, 16 + (byte & 15)]
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
        self._halves: list[int] = []  # what was read of the packet that is arriving, a tone each
        self._kind = _NOTHING  # of the tones that are strongest now: one of _KINDS
        self._hops = 0  # for how long
        self._sums: Samples = np.zeros(len(_TONES))  # of the levels meanwhile
        self._last = _NOTHING  # the last kind that was steady

    @property
    def partial(self) -> str:
        """What has been read of the packet that is arriving; empty between packets."""
        return _text(self._halves) if self._is_in_packet else ""

    def push(self, pcm: bytes) -> list[str]:
        """Takes PCM of RATE; returns the texts of the packets that ended in it. One that broke off ends where it did."""
        self._samples = np.concatenate([self._samples, to_samples(pcm)])
        hops = (len(self._samples) - _WINDOW) // _HOP + 1
        if hops <= 0:
            return []
        samples = self._samples[: (hops - 1) * _HOP + _WINDOW]
        self._samples = self._samples[hops * _HOP :]
        if np.max(np.abs(samples)) < _QUIET:
            heard = [(_NOTHING, _NO_LEVELS)] * hops
        else:
            heard = _kinds(sliding_window_view(samples, _WINDOW)[::_HOP])
        return [text for kind, levels in heard if (text := self._take(kind, levels)) is not None]

    def _take(self, kind: int, levels: Samples) -> str | None:
        """Goes on by a hop; returns the text of a packet that ends with it."""
        if kind == self._kind:
            self._hops += 1
            self._sums = self._sums + levels
        else:
            self._kind, self._hops, self._sums = kind, 1, levels
        if kind == _NOTHING:
            if self._hops != _BROKEN_HOPS:
                return None
            self._last = _NOTHING
            return self._end() if self._is_in_packet else None
        is_lone = not self._is_in_packet and kind < _LOW_AT
        if self._hops < (_LONE_HOPS if is_lone else _STEADY_HOPS):
            return None
        before, self._last = self._last, kind
        if kind == _HIGH_AT:
            return self._end() if self._is_in_packet else None
        if kind == _LOW_AT:
            if before == _HIGH_AT and not self._is_in_packet:
                self._is_in_packet, self._halves = True, []
        elif self._is_in_packet:
            first = 16 * kind
            tone = first + int(np.argmax(self._sums[first : first + 16]))
            if before == kind:
                self._halves[-1] = tone  # the longer it sounds, the surer
            else:
                self._halves.append(tone)
        return None

    def _end(self) -> str:
        self._is_in_packet = False
        return _text(self._halves)


def _kinds(windows: Samples) -> list[tuple[int, Samples]]:
    """What is strongest in each window: a first half (0), a second half (1), a sync tone, or nothing; and all levels. A sync
    tone counts where it stands alone, as it does not in speech."""
    parts = windows @ _WINDOW_WAVES
    levels = np.hypot(parts[:, : len(_TONES)], parts[:, len(_TONES) :])
    tones = np.argmax(levels, axis=1)
    strengths = np.max(levels, axis=1)
    others = np.max(levels[:, :_LOW_AT], axis=1)
    is_sync = tones >= _LOW_AT
    is_clear = np.where(
        is_sync, (strengths > _SYNC_LEVEL) & (others < strengths / 2), strengths > _SYMBOL_LEVEL
    )
    kinds = np.where(is_clear, np.where(is_sync, tones, tones // 16), _NOTHING)
    return list(zip(kinds.tolist(), levels, strict=True))


def _text(halves: list[int]) -> str:
    """A broken-off packet may end within a byte or a character: that one is left out. So is a half whose other is lost."""
    read = bytearray()
    first: int | None = None
    for tone in halves:
        if tone < 16:
            first = tone
        elif first is not None:
            read.append(first << 4 | tone - 16)
            first = None
    return read.decode("utf-8", "ignore")
