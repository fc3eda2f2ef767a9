"""What the agent does when a mailbox has answered: it hangs up, or leaves its message after the beep and hangs up.

Rules: a person hears nothing of the listening: the greeting is not held back for it. Once a mailbox is found the model
answers nothing any more (it would talk with a recording). The message is said to its end, whatever is heard meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from livekit.agents import (
    AgentSession,
    ConversationItemAddedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
)

from bolti_server.voice.beeps import BeepTap
from bolti_server.voice.ending import Ending
from bolti_server.voice.mailbox import (
    AFTER_BEEP_SECONDS,
    LONGEST_GREETING_SECONDS,
    LONGEST_MESSAGE_SECONDS,
    LOOK_SECONDS,
    Mailbox,
)
from bolti_server.voice.speaking import Speaker
from bolti_server.worker_api.messages import CallSpec


class Voicemail:
    """Make it after `line.attach(session)`, call `answered` at the answer. Where the spec does not ask for it it is idle."""

    def __init__(
        self,
        spec: CallSpec,
        session: AgentSession[Any],
        speaker: Speaker,
        ending: Ending,
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
    ) -> None:
        self._session = session
        self._speaker = speaker
        self._answered_at = 0.0
        self._heard = asyncio.Event()
        self._tap: BeepTap | None = None
        self._mailbox = Mailbox(
            spec,
            ending,
            on_found=lambda: spawn("voicemail", self._handle()),
            on_person=self._stop_tap,
        )
        if self._mailbox.is_asked_for and session.input.audio is not None:
            self._tap = BeepTap(session.input.audio, self._on_beep)
            session.input.audio = self._tap

    @property
    def is_mailbox(self) -> bool:
        """The model shall not answer any more."""
        return self._mailbox.is_found

    def answered(self) -> None:
        """From now on it listens."""
        self._answered_at = time.monotonic()
        self._mailbox.listen()
        if not self._mailbox.is_listening:
            return
        self._session.on("user_state_changed", self._on_user_state)
        self._session.on("user_input_transcribed", self._on_words)
        self._session.on("conversation_item_added", self._on_item)

    def left(self, code: str) -> None:
        """The other side is gone."""
        self._mailbox.left(code)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._mailbox.voice_began(self._now_ms())
        elif event.old_state == "speaking":
            self._mailbox.voice_ended(self._now_ms())
        self._heard.set()

    def _on_words(self, event: UserInputTranscribedEvent) -> None:
        self._mailbox.words(event.transcript, self._now_ms(), is_final=event.is_final)
        self._heard.set()

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        if getattr(event.item, "role", None) == "user":
            self._mailbox.turn_ended(self._now_ms())

    def _on_beep(self) -> None:
        self._mailbox.beep(self._now_ms())
        self._heard.set()

    def _stop_tap(self) -> None:
        if self._tap is not None:
            self._tap.stop()

    async def _handle(self) -> None:
        await self._speaker.stop()
        message = self._mailbox.message
        if message is None:
            self._mailbox.hang_up()
            return
        await self._wait_for_beep()
        self._mailbox.begin_message()
        await self._speaker.say_to_end(message, LONGEST_MESSAGE_SECONDS)
        self._mailbox.message_left()

    async def _wait_for_beep(self) -> None:
        until = time.monotonic() + LONGEST_GREETING_SECONDS
        while not self._mailbox.is_greeting_over(self._now_ms()) and time.monotonic() < until:
            self._heard.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), LOOK_SECONDS)
        await asyncio.sleep(AFTER_BEEP_SECONDS)

    def _now_ms(self) -> float:
        return 1000 * (time.monotonic() - self._answered_at)
