"""What the agent says, played to the callee at real time: 20 ms with every tick of the line's clock.

Rule: each segment (from the first captured frame to `flush` or `clear_buffer`) is reported started at most once, when
its first sample plays, and finished exactly once, with the seconds that really played. This is LiveKit's contract for an
`AudioOutput`; a session waits for ever on a segment that was not reported, and drops one that was reported twice.

A voice that times its words (`TimedString`s beside its frames: the simulated one, Cartesia) has them counted to the
sample: a word was heard when its sound was played to the end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import attrs
from livekit import rtc
from livekit.agents import utils
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT
from livekit.agents.voice import io

from bolti_server.simulated.sound import FRAME_BYTES, RATE, SILENCE

# As much as a room's output holds back. What is buffered here can still be taken back when the callee interrupts.
BUFFERED_BYTES = 2 * RATE


@attrs.define(eq=False)
class _Segment:
    waiting: bytearray = attrs.Factory(bytearray)
    is_flushed: bool = False
    has_started: bool = False
    played_samples: int = 0
    run_since: float | None = None  # wall clock of the stretch that plays now, and where it began
    run_offset: int = 0
    words: deque[tuple[int, str]] = attrs.Factory(
        deque
    )  # not heard yet, with the sample they end at
    heard: str = ""
    has_timed_words: bool = False


class LineOutput(io.AudioOutput):
    """`tick` is called by the line's clock alone; all else by the session."""

    def __init__(self, on_words: Callable[[str], None]) -> None:
        super().__init__(
            label="SimulatedLine",
            sample_rate=RATE,
            capabilities=io.AudioOutputCapabilities(pause=True),
        )
        self._segments: deque[_Segment] = deque()
        self._capturing: _Segment | None = None
        self._has_room = asyncio.Event()
        self._is_paused = False
        self._is_closed = False
        self._on_words = on_words
        self._has_timed_words = False
        self._heard_last: str | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Takes a frame of RATE; returns when at most a second is waiting to be played, or none of it will be."""
        await super().capture_frame(frame)
        segment = self._capturing
        if segment is None:
            segment = self._capturing = _Segment()
            self._segments.append(segment)
        if not self._will_be_heard(segment):
            return
        segment.waiting += bytes(frame.data)
        self._take_words(segment, frame)
        while self._is_full() and self._will_be_heard(segment):
            self._has_room.clear()
            await self._has_room.wait()

    def flush(self) -> None:
        super().flush()
        if self._capturing is not None:
            self._capturing.is_flushed = True
            self._capturing = None
        if self._is_closed:
            self._finish_all()

    def clear_buffer(self) -> None:
        self._finish_all()

    def pause(self) -> None:
        super().pause()
        self._is_paused = True

    def resume(self) -> None:
        super().resume()
        self._is_paused = False

    @property
    def has_timed_words(self) -> bool:
        """Whether the segment that plays, or the last one, had the times of its words beside it."""
        return self._has_timed_words

    @property
    def heard_last(self) -> str | None:
        """The words that were heard of the segment that finished last; None where their times are not known."""
        return self._heard_last

    def close(self) -> None:
        """Nobody listens any more: whatever is open, and whatever comes, ends as interrupted. Safe to repeat."""
        self._is_closed = True
        self._finish_all()

    def tick(self, now: float) -> bytes:
        """The 20 ms that the callee hears from `now` (wall clock, seconds); silence where nothing is to be said."""
        while self._segments and self._segments[0].is_flushed and not self._segments[0].waiting:
            self._finish(self._segments.popleft(), is_interrupted=False)
        segment = self._segments[0] if self._segments else None
        if segment is None or self._is_paused or not _has_a_frame(segment):
            self._end_run()
            return SILENCE
        chunk = bytes(segment.waiting[:FRAME_BYTES])
        del segment.waiting[:FRAME_BYTES]
        if segment.run_since is None:
            segment.run_since, segment.run_offset = now, segment.played_samples
        segment.played_samples += len(chunk) // 2
        if not segment.has_started:
            segment.has_started = True
            self.on_playback_started(created_at=now)
        self._let_words_out(segment)
        if not self._is_full():
            self._has_room.set()
        return chunk.ljust(FRAME_BYTES, b"\0")

    def _will_be_heard(self, segment: _Segment) -> bool:
        """False once it was cleared, though the session still captures it, or where nobody listens any more."""
        return segment in self._segments and not self._is_closed

    def _is_full(self) -> bool:
        return sum(len(segment.waiting) for segment in self._segments) > BUFFERED_BYTES

    def _finish_all(self) -> None:
        segments, self._segments = self._segments, deque()
        self._has_room.set()
        for segment in segments:
            self._finish(segment, is_interrupted=True)

    def _take_words(self, segment: _Segment, frame: rtc.AudioFrame) -> None:
        for word in frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, ()):
            if utils.is_given(word.end_time):
                segment.words.append((int(word.end_time * RATE), str(word)))
                segment.has_timed_words = True

    def _let_words_out(self, segment: _Segment) -> None:
        self._has_timed_words = segment.has_timed_words
        while segment.words and segment.words[0][0] <= segment.played_samples:
            _, word = segment.words.popleft()
            segment.heard += word
            self._on_words(word)

    def _finish(self, segment: _Segment, *, is_interrupted: bool) -> None:
        self._report_run(segment)
        if not is_interrupted:  # rounding may leave the last word a few samples behind the sound
            segment.words = deque((0, word) for _, word in segment.words)
            self._let_words_out(segment)
        self._heard_last = segment.heard if segment.has_timed_words else None
        if segment.heard:
            self._on_words(" ")
        self.on_playback_finished(
            playback_position=segment.played_samples / RATE, interrupted=is_interrupted
        )

    def _end_run(self) -> None:
        if self._segments:
            self._report_run(self._segments[0])

    def _report_run(self, segment: _Segment) -> None:
        """Tells the recorder where the stretch that just ended stood, so that pauses stay pauses in the recording."""
        if segment.run_since is None:
            return
        since, segment.run_since = segment.run_since, None
        self.on_playback_progressed(
            started_at=since,
            offset=segment.run_offset / RATE,
            duration=(segment.played_samples - segment.run_offset) / RATE,
        )


def _has_a_frame(segment: _Segment) -> bool:
    """Whether 20 ms can be played; of the end of a segment, what there is."""
    return len(segment.waiting) >= FRAME_BYTES or (segment.is_flushed and bool(segment.waiting))
