"""A warm transfer, from the moment that somebody has come into the call: the agent introduces them, and falls silent.

Rules: whoever was called in hears who is calling and what for, before anything else, and the callee hears it too. Then the
agent's ear and mind are put away (nobody listens to what the two say but the recording), and it stays for what it has to
look after: the cap, the recording, a user who ends the call. The call ends as `transferred` when one of the two has left,
and their telephones are hung up; where this worker stops it goes on without us.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from livekit import rtc

from bolti_server.base.logging import get_logger
from bolti_server.lines.line import Guest, TransferFailed
from bolti_server.voice.ending import Ending
from bolti_server.voice.recording import Recording
from bolti_server.voice.speaking import Speaker

INTRODUCTION_SECONDS = 30.0

log = get_logger("voice")


class Handover:
    """One for a call. `fall_silent` is told once, when the agent has nothing more to say or hear."""

    def __init__(
        self,
        speaker: Speaker,
        ending: Ending,
        recording: Recording | None,
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
        fall_silent: Callable[[], None],
    ) -> None:
        self._speaker = speaker
        self._ending = ending
        self._recording = recording
        self._spawn = spawn
        self._fall_silent = fall_silent
        self._detail: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether the two talk with each other now."""
        return self._detail is not None

    async def introduce(self, guest: Guest, text: str) -> None:
        """Says who is calling, to its end. Raises TransferFailed where the guest does not hear it out."""
        await self._speaker.say(text, INTRODUCTION_SECONDS, to_end=True)
        if guest.has_left:
            raise TransferFailed("remote_hangup", None, "They hung up while they were introduced.")

    def begin(self, guest: Guest, detail: str) -> None:
        """From now on it is their call. `detail` is the end's."""
        self._detail = detail
        self._fall_silent()
        self._spawn("attend the transfer", self._attend(guest))
        if self._recording is not None:
            self._spawn("record the guest", self._record(self._recording, guest.sound()))

    def left(self, code: str) -> None:
        """The callee is gone."""
        self._ending.decide("transferred" if code == "remote_hangup" else code, self._detail)

    def stop(self) -> None:
        """This worker stops: the two talk on without us, and their room is closed when they have hung up."""
        self._ending.decide("transferred", self._detail, is_line_kept=True)

    async def _attend(self, guest: Guest) -> None:
        await guest.wait_until_left()
        self._ending.decide("transferred", self._detail)

    async def _record(self, recording: Recording, sound: AsyncIterator[rtc.AudioFrame]) -> None:
        try:
            async for frame in sound:
                recording.add_guest(frame)
        except Exception:  # the media client's edge: a call must not fail by its recording
            log.exception("guest_not_recorded")
