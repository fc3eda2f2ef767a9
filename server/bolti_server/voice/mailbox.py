"""Whether a mailbox has answered, and how the call ends then. What both kinds of line share: `voice.voicemail` is the one
with sound, `voice.text_voicemail` the one without.

Rules: nobody is held back for the listening. Who is found to be a person is not listened to any more. A mailbox that was
full, or whose time was over, is still a mailbox.
"""

from __future__ import annotations

from collections.abc import Callable

from bolti_server.base.logging import get_logger
from bolti_server.voice.answering import MachineDetector, Verdict
from bolti_server.voice.ending import Ending
from bolti_server.worker_api.messages import CallSpec

LONGEST_GREETING_SECONDS = 60.0  # then the message is said without a beep
LONGEST_MESSAGE_SECONDS = 90.0
AFTER_BEEP_SECONDS = 0.3
LOOK_SECONDS = 0.1  # how often it is asked whether the greeting is over

log = get_logger("voice")


class Mailbox:
    """Times are milliseconds since the answer. `on_found` is called once, `on_person` where nothing is listened for any
    more. Where the spec does not ask for it, it never listens."""

    def __init__(
        self,
        spec: CallSpec,
        ending: Ending,
        *,
        on_found: Callable[[], object],
        on_person: Callable[[], None] = lambda: None,
    ) -> None:
        self._spec = spec
        self._ending = ending
        self._on_found = on_found
        self._on_person = on_person
        self._detector = MachineDetector()
        self._has_begun_message = False
        self.is_listening = False
        self.is_found = False  # the model shall not answer any more

    @property
    def is_asked_for(self) -> bool:
        return (
            self._spec.is_answering_machine_detection_enabled
            and self._spec.voicemail.behaviour != "continue"
            and not self._spec.transcript_so_far  # whom this agent replaces has talked with a person
            and self._spec.direction == "outbound"
        )

    @property
    def message(self) -> str | None:
        """What to leave; None: hang up."""
        voicemail = self._spec.voicemail
        return voicemail.message if voicemail.behaviour == "leave_message" else None

    def listen(self) -> None:
        """The callee has answered: from now on it listens, where it shall."""
        self.is_listening = self.is_asked_for

    # ---- what is heard ----

    def voice_began(self, at_ms: float) -> None:
        if self.is_listening:
            self._learn(self._detector.voice_began(at_ms))

    def voice_ended(self, at_ms: float) -> None:
        if self.is_listening:
            self._learn(self._detector.voice_ended(at_ms))

    def words(self, text: str, at_ms: float, *, is_final: bool) -> None:
        if self.is_listening:
            self._learn(self._detector.words(text, at_ms, is_final=is_final))

    def turn_ended(self, at_ms: float) -> None:
        if self.is_listening:
            self._learn(self._detector.turn_ended(at_ms))

    def beep(self, at_ms: float) -> None:
        if self.is_listening:
            self._learn(self._detector.beep(at_ms))

    def is_greeting_over(self, at_ms: float) -> bool:
        """Whether the message may begin now."""
        return self._detector.is_greeting_over(at_ms)

    def _learn(self, verdict: Verdict | None) -> None:
        if verdict is None or self.is_found:
            return
        if verdict == "human":
            self.stop_listening()
            return
        self.is_found = True
        log.info("mailbox_answered", conversation_id=self._spec.conversation_id)
        self._on_found()

    def stop_listening(self) -> None:
        self.is_listening = False
        self._on_person()

    # ---- how it ends ----

    def begin_message(self) -> None:
        self.stop_listening()
        self._has_begun_message = True

    def message_left(self) -> None:
        self._ending.decide("voicemail", "A message was left in a mailbox.", is_message_left=True)

    def hang_up(self) -> None:
        self._ending.decide("voicemail", "A mailbox answered; no message was left.")

    def left(self, code: str) -> None:
        """The other side is gone."""
        if not (self.is_found and code == "remote_hangup"):
            self._ending.decide(code)
        elif self._has_begun_message:
            detail = "A mailbox answered; it hung up while the message was being left."
            self._ending.decide("voicemail", detail, is_message_left=True)
        else:
            self._ending.decide("voicemail", "A mailbox answered and hung up; no message was left.")
