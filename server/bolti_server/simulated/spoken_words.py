"""The two ends of the output chain that keep the agent honest about which of its words were spoken."""

from __future__ import annotations

from livekit.agents.voice import io

from bolti_server.lines.counted_words import CountedWords
from bolti_server.simulated.callee_ear import Ear
from bolti_server.simulated.line_output import LineOutput


class SpokenWords(CountedWords):
    """The simulated line counts the words to the sample."""

    def __init__(self, synchronized: io.AudioOutput, line_output: LineOutput) -> None:
        super().__init__("SpokenWords", synchronized, line_output.sample_rate)
        self._line_output = line_output

    def counted(self, playback_position: float, *, is_interrupted: bool) -> str | None:
        return self._line_output.heard_last if is_interrupted else None


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
