"""What the callee's ear gets from a room: the sound of everybody else in it, in frames of 20 ms.

Rule: what the network brought is heard as it came. Nothing is cut or stretched to fit the callee's clock, because in the
voice "modem" 20 ms more or less break a word: when less has come than the clock says, the ear waits a little; when more,
it hears all of it.
"""

from __future__ import annotations

import asyncio
from collections import deque

import numpy as np
from livekit import rtc

from bolti_server.simulated.sound import FRAME_BYTES, FRAME_MS, RATE, SILENCE

# After this much of nothing it is silent: nobody sends any sound.
_SILENT_AFTER_FRAMES = 10
_WAITED_FOR_FRAMES = 10
_KEPT_FRAMES = 500  # more than anybody leaves waiting


class _Source:
    """One track of somebody else."""

    def __init__(self, track: rtc.Track) -> None:
        self.frames: deque[bytes] = deque(maxlen=_KEPT_FRAMES)
        self._stream = rtc.AudioStream(
            track, sample_rate=RATE, num_channels=1, frame_size_ms=FRAME_MS
        )
        self._task = asyncio.create_task(self._read(), name="phone_hearing")

    async def _read(self) -> None:
        async for event in self._stream:
            self.frames.append(bytes(event.frame.data))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stream.aclose()


class Hearing:
    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._missed = _SILENT_AFTER_FRAMES
        self.is_open = asyncio.Event()  # somebody's sound has been subscribed to

    def add(self, track: rtc.Track) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO and track.sid not in self._sources:
            self._sources[track.sid] = _Source(track)
            self.is_open.set()

    def remove(self, track: rtc.Track) -> None:
        source = self._sources.pop(track.sid, None)
        if source is not None:
            task = asyncio.create_task(source.stop(), name="phone_hearing_stops")
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def take(self) -> list[bytes]:
        """What is heard in a beat of the callee's clock: usually one frame, none or several when the network hesitated."""
        heard: list[bytes] = []
        while self._is_due():
            pieces = [each.frames.popleft() for each in self._sources.values() if each.frames]
            heard.append(pieces[0] if len(pieces) == 1 else _mixed(pieces))
        if heard:
            self._missed = 0
            return heard
        self._missed += 1
        return [SILENCE] if self._missed > _SILENT_AFTER_FRAMES else []

    def _is_due(self) -> bool:
        """Whether there is a frame of everybody, to be heard at once; who falls behind is waited for a little, or what two
        send side by side would be heard one after the other."""
        waiting = [len(each.frames) for each in self._sources.values()]
        return any(waiting) and (min(waiting) > 0 or max(waiting) > _WAITED_FOR_FRAMES)

    async def stop(self) -> None:
        """Safe to repeat."""
        sources, self._sources = list(self._sources.values()), {}
        await asyncio.gather(*(source.stop() for source in sources), *self._stopping)


def _mixed(pieces: list[bytes]) -> bytes:
    total = np.zeros(FRAME_BYTES // 2, dtype=np.int32)
    for piece in pieces:
        samples = np.frombuffer(piece, dtype="<i2")
        total[: len(samples)] += samples
    return np.clip(total, -32768, 32767).astype("<i2").tobytes()
