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

from bolti_server.base.logging import get_logger
from bolti_server.voice.answering import MachineDetector, Verdict
from bolti_server.voice.beeps import BeepTap
from bolti_server.voice.ending import Ending
from bolti_server.voice.speaking import Speaker
from bolti_server.worker_api.messages import CallSpec

LONGEST_GREETING_SECONDS = 60.0  # then the message is said without a beep
LONGEST_MESSAGE_SECONDS = 90.0
AFTER_BEEP_SECONDS = 0.3
_LOOK_SECONDS = 0.1

log = get_logger("voice")


class Voicemail:
    """Make it after `line.attach(session)`, call `answered` at the answer. Where the spec does not ask for it it is idle."""

    def __init__(
        self,
        spec: CallSpec,
        session: AgentSession[Any],
        speaker: Speaker,
        ending: Ending,
        spawn: Callable[[str, Coroutine[Any, Any, None]], None],
    ) -> None:
        self._spec = spec
        self._session = session
        self._speaker = speaker
        self._ending = ending
        self._spawn = spawn
        self._answered_at = 0.0
        self._detector = MachineDetector()
        self._is_listening = False
        self._heard = asyncio.Event()
        self._tap: BeepTap | None = None
        self._has_begun_message = False
        self.is_mailbox = False  # the model shall not answer any more
        if self._is_asked_for and session.input.audio is not None:
            self._tap = BeepTap(session.input.audio, self._on_beep)
            session.input.audio = self._tap

    @property
    def _is_asked_for(self) -> bool:
        return (
            self._spec.is_answering_machine_detection_enabled
            and self._spec.voicemail.behaviour != "continue"
            and not self._spec.transcript_so_far  # whom this agent replaces has talked with a person
        )

    def answered(self) -> None:
        """From now on it listens."""
        if not self._is_asked_for:
            return
        self._answered_at = time.monotonic()
        self._is_listening = True
        self._session.on("user_state_changed", self._on_user_state)
        self._session.on("user_input_transcribed", self._on_words)
        self._session.on("conversation_item_added", self._on_item)

    def left(self, code: str) -> None:
        """The other side is gone: a mailbox that was full, or whose time was over, is still a mailbox."""
        if not (self.is_mailbox and code == "remote_hangup"):
            self._ending.decide(code)
        elif self._has_begun_message:
            detail = "A mailbox answered; it hung up while the message was being left."
            self._ending.decide("voicemail", detail, is_message_left=True)
        else:
            self._ending.decide("voicemail", "A mailbox answered and hung up; no message was left.")

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if self._is_listening and event.new_state == "speaking":
            self._learn(self._detector.voice_began(self._now_ms()))
        elif self._is_listening and event.old_state == "speaking":
            self._learn(self._detector.voice_ended(self._now_ms()))

    def _on_words(self, event: UserInputTranscribedEvent) -> None:
        if self._is_listening:
            now = self._now_ms()
            self._learn(self._detector.words(event.transcript, now, is_final=event.is_final))

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        if self._is_listening and getattr(event.item, "role", None) == "user":
            self._learn(self._detector.turn_ended(self._now_ms()))

    def _on_beep(self) -> None:
        if self._is_listening:
            self._learn(self._detector.beep(self._now_ms()))

    def _learn(self, verdict: Verdict | None) -> None:
        self._heard.set()
        if verdict is None or self.is_mailbox:
            return
        if verdict == "human":
            self._stop_listening()
            return
        self.is_mailbox = True
        log.info("mailbox_answered", conversation_id=self._spec.conversation_id)
        self._spawn("voicemail", self._handle())

    def _stop_listening(self) -> None:
        self._is_listening = False
        if self._tap is not None:
            self._tap.stop()

    async def _handle(self) -> None:
        await self._speaker.stop()
        message = self._spec.voicemail.message
        if self._spec.voicemail.behaviour != "leave_message" or message is None:
            self._ending.decide("voicemail", "A mailbox answered; no message was left.")
            return
        await self._wait_for_beep()
        self._stop_listening()
        self._has_begun_message = True
        await self._speaker.say_to_end(message, LONGEST_MESSAGE_SECONDS)
        self._ending.decide("voicemail", "A message was left in a mailbox.", is_message_left=True)

    async def _wait_for_beep(self) -> None:
        until = time.monotonic() + LONGEST_GREETING_SECONDS
        while not self._detector.is_greeting_over(self._now_ms()) and time.monotonic() < until:
            self._heard.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), _LOOK_SECONDS)
        await asyncio.sleep(AFTER_BEEP_SECONDS)

    def _now_ms(self) -> float:
        return 1000 * (time.monotonic() - self._answered_at)
