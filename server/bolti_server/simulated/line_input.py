"""What the callee says, as the session's audio input: a frame with every tick of the line's clock, silence included."""

from __future__ import annotations

from livekit import rtc
from livekit.agents import utils
from livekit.agents.voice import io

# A session reads at once; where one has stopped reading, what is older than this is of no use to it.
MOST_FRAMES = 500


class LineInput(io.AudioInput):
    def __init__(self) -> None:
        super().__init__(label="SimulatedLine")
        self._frames = utils.aio.Chan[rtc.AudioFrame](maxsize=MOST_FRAMES)

    def push(self, frame: rtc.AudioFrame) -> None:
        """Hands a frame to the session; a full or closed input drops it."""
        if not self._frames.closed and not self._frames.full():
            self._frames.send_nowait(frame)

    def close(self) -> None:
        """The session's input ends after what was pushed. Safe to repeat."""
        self._frames.close()

    async def __anext__(self) -> rtc.AudioFrame:
        return await self._frames.__anext__()
