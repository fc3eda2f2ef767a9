"""Does what the server, or the worker that stops, asks of a call that is under way."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, assert_never

from bolti_server.voice.ending import Ending
from bolti_server.voice.handover import Handover
from bolti_server.voice.phrases import Phrases
from bolti_server.voice.server import CallServer
from bolti_server.worker_api.messages import Command

LAST_WORDS_SECONDS = 30.0
FAREWELL_SECONDS = 8.0


class LastWords(Protocol):
    """Who can still say something: `voice.speaking.Speaker`, or a call on a text line."""

    phrases: Phrases

    async def say_to_end(self, text: str, within_seconds: float) -> None: ...


class Commands:
    """`follow()` is the call's heartbeat: it must run from the beginning to the end, and never wait for speech."""

    def __init__(
        self,
        server: CallServer,
        ending: Ending,
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
    ) -> None:
        self._server = server
        self._ending = ending
        self._spawn = spawn
        self._speaker: LastWords | None = None
        self._handover: Handover | None = None

    def answered(self, speaker: LastWords, handover: Handover | None = None) -> None:
        """From now on there is somebody to say goodbye to."""
        self._speaker = speaker
        self._handover = handover

    async def follow(self) -> None:
        """Returns when the server says that this call is not ours any more, having ended it."""
        async for command in self._server.commands():
            self._obey(command)
        self._ending.decide(
            "agent_lost", "The server had closed this call, or another agent has taken it."
        )

    def _obey(self, command: Command) -> None:
        match command.type:
            case "end":
                self._ending.decide(command.code or self._code_of_user())
            case "say_then_end":
                self._end_after(
                    command.text, command.code or self._code_of_user(), LAST_WORDS_SECONDS
                )
            case "drain" if self._handover is not None and self._handover.is_done:
                self._handover.stop()
            case "drain":
                # Before the dial this gives the call back, and another worker takes it.
                code = command.code or "agent_lost"
                farewell = self._speaker.phrases.farewell if self._speaker else None
                self._end_after(
                    command.text or farewell, code, FAREWELL_SECONDS, "The worker stops."
                )
            case _:
                assert_never(command.type)

    def _code_of_user(self) -> str:
        return "ended_by_user" if self._speaker else "cancelled_by_user"

    def _end_after(
        self, text: str | None, code: str, within_seconds: float, detail: str | None = None
    ) -> None:
        if self._speaker is None or not text:
            self._ending.decide(code, detail)
            return
        self._spawn("last words", self._say(self._speaker, text, code, within_seconds, detail))

    async def _say(
        self, speaker: LastWords, text: str, code: str, within_seconds: float, detail: str | None
    ) -> None:
        await speaker.say_to_end(text, within_seconds)
        self._ending.decide(code, detail, is_goodbye_said=True)
