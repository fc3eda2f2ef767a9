"""What the callee hears: whether the agent speaks, since when it is silent, and its words.

Rule: the callee judges by what was played to it and by nothing that the agent's process knows besides. In the voice "speech"
the words come beside the audio, as the transcript's synchronizer lets them out in step with it; in "modem" they are read
off the audio.
"""

from __future__ import annotations

from bolti_server.simulated.modem import Decoder
from bolti_server.simulated.sound import FRAME_MS, loudness

LOUD = 0.01  # root mean square; espeak's speech has 0.08, its pauses 0
# Between two sentences of one turn a synthesized voice pauses 300-350 ms; a turn is over after this.
END_OF_TURN_MS = 600


class Ear:
    def __init__(self, *, reads_modem: bool) -> None:
        self._decoder = Decoder() if reads_modem else None
        self._turns: list[str] = []
        self._words: list[str] = []
        self._is_turn_open = False
        self._is_gone = False
        self.voiced_ms = 0  # of the agent's voice in its turn that goes on, or the last one
        self.quiet_ms = 0  # since the agent's voice was last heard, or since the answer

    @property
    def heard(self) -> list[str]:
        """A text for each turn of the agent, as far as it was played."""
        return [text for text in (*self._turns, self._going_on()) if text]

    @property
    def turns(self) -> list[str]:
        """The agent's turns that are over; one without words is an empty text."""
        return list(self._turns)

    @property
    def is_turn_open(self) -> bool:
        """Whether the agent is speaking, or has only just stopped."""
        return self._is_turn_open

    def hear_words(self, text: str) -> None:
        """Words beside the audio; ignored where they are read off it."""
        if self._decoder is None and not self._is_gone:
            self._words.append(text)

    def put_down(self) -> None:
        """The telephone is down: whatever still comes is not heard."""
        self._is_gone = True

    def hear(self, pcm: bytes) -> bool:
        """Takes the 20 ms that were played; True where they ended a turn of the agent."""
        if self._decoder is not None:
            self._words += [text + " " for text in self._decoder.push(pcm)]
        if loudness(pcm) > LOUD:
            if not self._is_turn_open:
                self._is_turn_open, self.voiced_ms = True, 0
            self.voiced_ms += FRAME_MS
            self.quiet_ms = 0
            return False
        self.quiet_ms += FRAME_MS
        if not self._is_turn_open or self.quiet_ms < END_OF_TURN_MS:
            return False
        self._is_turn_open = False
        self._turns.append(self._going_on())
        self._words = []
        return True

    def _going_on(self) -> str:
        partial = self._decoder.partial if self._decoder is not None else ""
        return " ".join("".join([*self._words, partial]).split())
