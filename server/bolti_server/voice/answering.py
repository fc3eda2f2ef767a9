"""Human or mailbox: judged by what a mailbox does and people do not. Pure: it is told what was heard and when.

Rule: a person who is taken for a machine is hung up on; a machine that is taken for a person costs a minute. So only what
no person does counts: two different phrases of mailbox greetings in the first words, or one of them (or a monologue of
LONG_GREETING_MS) followed by a beep. Who has answered the agent shortly is a person, and nothing is listened for any more.

Why not livekit's AMD: it asks a language model and holds back every greeting until that has judged, so people wait for it.
Measured on the callees of the simulated network and on the sentences of tests/server/voice/test_answering.py.
"""

from __future__ import annotations

import re
from typing import Literal

Verdict = Literal["machine", "human"]

WINDOW_MS = 40_000  # since the answer; then whoever it is is treated as a person
LONG_GREETING_MS = (
    4_000  # of voice, with pauses under a second and a half, before the agent was answered
)
SAME_GREETING_MS = 1_500
BEEP_AFTER_MS = 4_000  # a beep belongs to words that ended at most so long before it
SHORT_ANSWER_MS = 2_500  # "Hello?", "Yes, speaking"
NO_BEEP_MS = 3_000  # of silence after the greeting: this mailbox does not beep
_NEEDED = 2

# Each counts once. What only mailboxes say counts twice.
_PHRASES: tuple[tuple[re.Pattern[str], int], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), weight)
    for pattern, weight in (
        (r"\b(after|at|following|wait for) the (tone|beep|signal)\b", 2),
        (r"\b(you have|you've|you) reached (the )?(voice ?mail|mailbox|voice messaging)\b", 2),
        (r"\b(forwarded|transferred|directed) to (an? |the )?(automat\w+|voice ?mail|voice messag\w+)", 2),
        (r"\bmailbox (is|has|belonging)\b", 1),
        (r"\byou('ve| have)? reached\b", 1),
        (r"\bvoice ?mail\b", 1),
        (r"\bleave (me |us )?(a|your|the) (short |brief |detailed )?(message|name|number)\b", 1),
        (r"\brecord (a|your) message\b", 1),
        (r"\b(can(not|'t|’t)|unable to|not able to) (take|answer|come to|get to) (your call|the phone|my phone)\b", 1),
        (r"\b(is|am|are|we're|i'm) (currently )?(not available|unavailable|away from (my|the|our) (desk|phone))\b", 1),
        (r"\b(get back to you|return your call|call you back) (as soon as|when|later|shortly)\b", 1),
        (r"(बीप|टोन) के बाद", 2),
        (r"(अपना )?(संदेश|मैसेज) (छोड़|रिकॉर्ड)", 1),
        (r"(वॉइस ?मेल|वॉयस ?मेल)", 1),
        (r"(उत्तर|जवाब) नहीं दे (रहे|रहा|सकते|सकता)", 1),
    )
)  # fmt: skip


def score_of(text: str) -> int:
    """How much of a mailbox's greeting is in it; two and more are proof."""
    return sum(weight for pattern, weight in _PHRASES if pattern.search(text))


class MachineDetector:
    """Times are milliseconds since the answer, of whatever clock, never going back. Each method returns the verdict, once
    there is one; it does not change any more."""

    def __init__(self) -> None:
        self.verdict: Verdict | None = None
        self.has_beeped = False  # after the last words: a message may begin
        self._text = ""
        self._partial = ""
        self._voice_since: float | None = None
        self._greeting_since: float | None = None
        self._voice_ended: float | None = None

    def voice_began(self, at_ms: float) -> Verdict | None:
        """The callee speaks."""
        self.has_beeped = False
        self._voice_since = at_ms
        if (
            self._greeting_since is None
            or self._voice_ended is None
            or at_ms - self._voice_ended > SAME_GREETING_MS
        ):
            # Phrases count within one monologue: who hears the agent out and then says them is a person.
            self._greeting_since, self._text, self._partial = at_ms, "", ""
        return self._judge(at_ms)

    def voice_ended(self, at_ms: float) -> Verdict | None:
        """The callee is silent."""
        self._voice_since = None
        self._voice_ended = at_ms
        return self._judge(at_ms)

    def words(self, text: str, at_ms: float, *, is_final: bool) -> Verdict | None:
        """The callee's words, of a turn that goes on (as far as they are known) or complete."""
        if is_final:
            self._text, self._partial = f"{self._text} {text}", ""
        else:
            self._partial = text
        return self._judge(at_ms)

    def turn_ended(self, at_ms: float) -> Verdict | None:
        """The callee's turn is complete: the agent is about to answer it."""
        is_short = self._greeting_ms(at_ms) < SHORT_ANSWER_MS
        if self.verdict is None and is_short and self._score() == 0 and self._text.strip():
            self.verdict = "human"
        return self.verdict

    def beep(self, at_ms: float) -> Verdict | None:
        """A steady tone has ended."""
        since = self._voice_ended if self._voice_since is None else at_ms
        is_after_words = since is not None and at_ms - since <= BEEP_AFTER_MS
        self.has_beeped = is_after_words
        if self.verdict is None and is_after_words:
            is_monologue = self._greeting_ms(at_ms) >= LONG_GREETING_MS
            if self._score() > 0 or is_monologue:
                self.verdict = "machine"
        return self.verdict

    def is_greeting_over(self, at_ms: float) -> bool:
        """Whether a message may begin now: after the beep, or where none came."""
        if self._voice_since is not None:
            return False
        silent_ms = at_ms - (self._voice_ended or 0)
        return self.has_beeped or silent_ms >= NO_BEEP_MS

    def _judge(self, at_ms: float) -> Verdict | None:
        if self.verdict is None:
            if self._score() >= _NEEDED:
                self.verdict = "machine"
            elif at_ms > WINDOW_MS:
                self.verdict = "human"
        return self.verdict

    def _score(self) -> int:
        return score_of(f"{self._text} {self._partial}")

    def _greeting_ms(self, at_ms: float) -> float:
        if self._greeting_since is None:
            return 0.0
        end = at_ms if self._voice_since is not None else (self._voice_ended or at_ms)
        return end - self._greeting_since
