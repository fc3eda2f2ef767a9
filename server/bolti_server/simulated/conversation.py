"""The callee's side of a small conversation that works with any agent: it waits for the agent, answers what it asks, says
goodbye, and hangs up where the agent does not.

It begins by asking for an appointment, which is what the demo's agent has a tool for.
"""

from __future__ import annotations

import re

import attrs

from bolti_server.simulated.phone import Phone

GREETING_PATIENCE_MS = 2_500  # then it says hello itself, as people do
REPLY_PATIENCE_MS = 6_000  # an agent with a slow model and a slow tool may need that
HANG_UP_PATIENCE_MS = 4_000
MOST_TURNS = 5  # of its own, goodbye not counted


@attrs.frozen
class Talk:
    """`answers`: what it says to what it hears, each at most once; `topics`: what it says where none fits, in order."""

    hello: str
    topics: tuple[str, ...]
    answers: tuple[tuple[re.Pattern[str], str], ...]
    farewell: re.Pattern[str]
    goodbye: str


def _answers(*pairs: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), answer) for pattern, answer in pairs)


ENGLISH = Talk(
    hello="Hello?",
    topics=(
        "Hi. I would like to book an appointment for tomorrow, please.",
        "Yes, that works for me. Thank you.",
    ),
    answers=_answers(
        (r"anything else|something else", "No, that is all."),
        (r"your name|who am i speaking|who is (this|speaking|calling)", "My name is Ravi Kumar."),
        (r"your (phone )?number|call you back", "You can reach me on this number."),
        (
            r"(what|which) (day|date|time)|when would|when do|when suits|prefer|morning or",
            "Tomorrow morning would be best for me.",
        ),
        (r"how many|how long", "Just one, please."),
        (r"is that (right|correct|ok)|shall i|should i|would you like me", "Yes, please do."),
    ),
    farewell=re.compile(r"\b(good ?bye|bye|have a (nice|good|great))\b", re.IGNORECASE),
    goodbye="Thank you. Goodbye.",
)

HINDI = Talk(
    hello="हैलो?",
    topics=("नमस्ते। मुझे कल के लिए अपॉइंटमेंट चाहिए।", "जी हाँ, यह ठीक है। धन्यवाद।"),
    answers=_answers(
        (r"और कुछ", "जी नहीं, बस इतना ही।"),
        (r"नाम", "मेरा नाम रवि कुमार है।"),
        (r"कब|किस दिन|समय", "कल सुबह ठीक रहेगा।"),
    ),
    farewell=re.compile(r"अलविदा|फिर मिलेंगे|शुभ दिन"),
    goodbye="धन्यवाद। अलविदा।",
)

_DEVANAGARI = re.compile(r"[ऀ-ॿ]")


async def small_talk(phone: Phone) -> None:
    """Talks until it has said goodbye and the agent had its time to hang up; the caller of this hangs up after it."""
    heard = await phone.wait_for_agent(patience_ms=GREETING_PATIENCE_MS)
    talk = _talk_of(heard)
    given: set[str] = set()
    if heard is None:
        await phone.say(talk.hello)
        heard = await phone.wait_for_agent(patience_ms=REPLY_PATIENCE_MS)
        talk = _talk_of(heard)
    for _ in range(MOST_TURNS):
        if talk.farewell.search(heard or ""):
            break
        reply = _reply(talk, heard or "", given)
        if reply is None:
            break
        given.add(reply)
        await phone.say(reply)
        heard = await phone.wait_for_agent(patience_ms=REPLY_PATIENCE_MS)
    await phone.say(talk.goodbye)
    while await phone.wait_for_agent(patience_ms=HANG_UP_PATIENCE_MS) is not None:
        pass


def _reply(talk: Talk, heard: str, given: set[str]) -> str | None:
    """The wish comes first, whatever it was asked; then answers to questions; None when all is said."""
    wish = talk.topics[0]
    if wish not in given:
        return wish
    if heard:
        for pattern, answer in talk.answers:
            if answer not in given and pattern.search(heard):
                return answer
    return next((topic for topic in talk.topics if topic not in given), None)


def _talk_of(heard: str | None) -> Talk:
    return HINDI if heard and _DEVANAGARI.search(heard) else ENGLISH
