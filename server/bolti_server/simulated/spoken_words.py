"""The two ends of the output chain that keep the agent honest about which of its words were spoken."""

from __future__ import annotations

from livekit import rtc
from livekit.agents.voice import io

from bolti_server.simulated.callee_ear import Ear
from bolti_server.simulated.line_output import LineOutput


class SpokenWords(io.AudioOutput):
    """Before the synchronizer: where the line counted the words to the sample, its count replaces the estimate.

    The synchronizer paces words by syllables and lets one out as it begins; interrupted, it may be a word ahead.
    """

    def __init__(self, synchronized: io.AudioOutput, line_output: LineOutput) -> None:
        super().__init__(
            label="SpokenWords",
            next_in_chain=synchronized,
            sample_rate=line_output.sample_rate,
            capabilities=io.AudioOutputCapabilities(pause=True),
        )
        self._synchronized = synchronized
        self._line_output = line_output

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await self._synchronized.capture_frame(frame)
        await super().capture_frame(frame)

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
        counted = self._line_output.heard_last if interrupted else None
        super().on_playback_finished(
            playback_position=playback_position,
            interrupted=interrupted,
            synchronized_transcript=synchronized_transcript if counted is None else counted,
        )


class WordsBeside(io.TextOutput):
    """After the synchronizer: what it lets out in step with the sound, for voices that do not time their words."""

    def __init__(self, ear: Ear, line_output: LineOutput) -> None:
        super().__init__(label="SimulatedLine", next_in_chain=None)
        self._ear = ear
        self._line_output = line_output

    async def capture_text(self, text: str) -> None:
        if not self._line_output.has_timed_words:
            self._ear.hear_words(text)

    def flush(self) -> None:
        self._ear.hear_words(" ")  # a turn ends where the callee hears it end
