"""The two ends of a room's sound: what the callee says from the answer on, and which of the agent's words were played.

Rules: what is in the track before the answer (silence, a ringing tone) is neither heard nor recorded. A turn that was
interrupted keeps the words whose sound had left this process to its end: what is on its way when the callee begins to
speak is still heard there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from livekit import rtc
from livekit.agents import utils
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT
from livekit.agents.voice import io

from bolti_server.lines.counted_words import CountedWords

_SILENCE_MS = 20
_Words = list[tuple[float, str]]  # of one segment, each with the second at which it ends


class AnsweredInput(io.AudioInput):
    """The sound of the other side, once it has answered."""

    def __init__(self, source: io.AudioInput) -> None:
        super().__init__(label="RoomLine", source=source)
        self._is_open = False
        self.has_sound = asyncio.Event()  # a frame has come since the answer

    def open(self) -> None:
        """The other side has answered."""
        self._is_open = True

    async def __anext__(self) -> rtc.AudioFrame:
        while True:
            frame = await super().__anext__()
            if self._is_open:
                self.has_sound.set()
                return frame


async def has_packets(track: rtc.Track) -> bool:
    """Whether anything has come by it."""
    return any(
        stats.HasField("inbound_rtp") and stats.inbound_rtp.received.packets_received > 0
        for stats in await track.get_stats()
    )


async def keep_awake(source: rtc.AudioSource) -> None:
    """Sends silence until it is cancelled, before the agent's first words. Without it the first packets of the track are the
    greeting's, and the other side's jitter buffer swallows or bends its first syllables (seen on a real livekit-server)."""
    samples = source.sample_rate * _SILENCE_MS // 1000
    silence = rtc.AudioFrame(bytes(2 * samples), source.sample_rate, 1, samples)
    while True:
        if source.queued_duration < _SILENCE_MS / 1000:
            await source.capture_frame(silence)
        await asyncio.sleep(_SILENCE_MS / 1000)


class PlayedWords(CountedWords):
    """Where the voice times its words, a room's line counts them by how much of their sound was played."""

    def __init__(
        self, synchronized: io.AudioOutput, sample_rate: int, on_first_frame: Callable[[], None]
    ) -> None:
        super().__init__("PlayedWords", synchronized, sample_rate)
        self._segments: deque[_Words] = deque()
        self._capturing: _Words | None = None
        self._on_first_frame = on_first_frame
        self._has_begun = False

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._on_first_frame()
        if self._capturing is None:
            self._capturing = []
            self._segments.append(self._capturing)
        for word in frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, ()):
            if utils.is_given(word.end_time):
                self._capturing.append((word.end_time, str(word)))
        await super().capture_frame(frame)

    def flush(self) -> None:
        super().flush()
        self._capturing = None

    def counted(self, playback_position: float, *, is_interrupted: bool) -> str | None:
        words = self._segments.popleft() if self._segments else []
        if not is_interrupted or not words:
            return None
        return "".join(word for ends_at, word in words if ends_at <= playback_position)
