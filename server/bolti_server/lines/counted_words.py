"""Before the synchronizer: where the words that were heard are counted, the count replaces its estimate.

The synchronizer paces words by syllables and lets one out as it begins; interrupted, it may be a word ahead. `counted` is
what the line knows better.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod

from livekit import rtc
from livekit.agents.voice import io


class CountedWords(io.AudioOutput):
    """Passes everything on to `synchronized`. Of a turn that was interrupted it tells the words that `counted` gives."""

    def __init__(self, label: str, synchronized: io.AudioOutput, sample_rate: int | None) -> None:
        super().__init__(
            label=label,
            next_in_chain=synchronized,
            sample_rate=sample_rate,
            capabilities=io.AudioOutputCapabilities(pause=True),
        )
        # Not `synchronized` itself: LiveKit puts a proxy before a sink that stands alone.
        assert self.next_in_chain is not None, "given a line above"
        self._synchronized = self.next_in_chain

    @abstractmethod
    def counted(self, playback_position: float, *, is_interrupted: bool) -> str | None:
        """Called once for each segment, when it is over: its words as they were heard up to there (seconds of its sound);
        None where their times are not known, or where all of it was heard."""
        ...

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Lets everything else have its turn after each piece. The synchronizer measures the speech of all that it was given
        in one go, 4 ms for each 100 ms of sound: a greeting of 18 s, which comes at once, held up the process for 0.3 s and
        broke off after its first word for most of that."""
        await self._synchronized.capture_frame(frame)
        await super().capture_frame(frame)
        await asyncio.sleep(0)

    def flush(self) -> None:
        super().flush()
        self._synchronized.flush()

    def clear_buffer(self) -> None:
        self._synchronized.clear_buffer()

    def on_playback_finished(
        self,
        *,
        playback_position: float,
        interrupted: bool,
        synchronized_transcript: str | None = None,
    ) -> None:
        counted = self.counted(playback_position, is_interrupted=interrupted)
        super().on_playback_finished(
            playback_position=playback_position,
            interrupted=interrupted,
            synchronized_transcript=synchronized_transcript if counted is None else counted,
        )
