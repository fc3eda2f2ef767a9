"""Who picks up in the simulated network: like a card processor's test cards, the last two digits choose the callee.

`+12025550100` … `…0199` and what the last two digits do (product.md, section 12). Where a scenario is named it counts
instead. A callee is what happens until somebody picks up, and what that somebody does then; when it is done it hangs up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import attrs

from bolti_server.lines.line import DialFailed
from bolti_server.simulated import callee_scripts as scripts
from bolti_server.simulated.conversation import small_talk
from bolti_server.simulated.phone import Phone
from bolti_server.simulated.scenarios.callee import refusal_of, talk_of
from bolti_server.simulated.scenarios.parsing import parse
from bolti_server.worker_api.messages import LineSpec

RING_MS = 300
LATE_ANSWER_MS = 20_000


@attrs.frozen
class Callee:
    """`ring_ms` None: it rings until the caller gives up; 0: a `refusal` comes before any ringing, else after it."""

    talk: Callable[[Phone], Awaitable[None]]
    ring_ms: int | None = RING_MS
    refusal: DialFailed | None = None


def _refuses(code: str, sip_status: int | None, *, ring_ms: int = 0) -> Callee:
    return Callee(scripts.say_nothing, ring_ms, DialFailed(code, sip_status))


ANSWERS = Callee(small_talk)
BUSY = _refuses("busy", 486)
NO_ANSWER = Callee(scripts.say_nothing, ring_ms=None)
DECLINED = _refuses("declined", 603, ring_ms=RING_MS)
INVALID_NUMBER = _refuses("invalid_number", 404)
UNREACHABLE = _refuses("unreachable", 480)
VOICEMAIL = Callee(scripts.be_a_mailbox)
HANGS_UP = Callee(scripts.hang_up_in_mid_sentence)
TALKS_OVER = Callee(scripts.talk_over)
SILENT = Callee(scripts.stay_silent)
MENU = Callee(scripts.be_a_menu)
PROVIDER_UNAVAILABLE = _refuses("provider_unavailable", 503)
PROVIDER_RATE_LIMITED = _refuses("provider_rate_limited", 429)
LATE_ANSWER = Callee(small_talk, ring_ms=LATE_ANSWER_MS)
NOISY = Callee(scripts.talk_in_noise)
LINE_LOST = Callee(
    scripts.say_nothing,
    RING_MS,
    DialFailed("outcome_unknown", None, "The line was lost after dialing, without an answer."),
)
ASKS_FOR_CALLBACK = Callee(scripts.ask_for_callback)
STOP_CALLING = Callee(scripts.ask_to_stop)

# The names are those of the contract's SimulationScenario.
BY_SCENARIO: Mapping[str, Callee] = {
    "answers": ANSWERS,
    "busy": BUSY,
    "no_answer": NO_ANSWER,
    "declined": DECLINED,
    "invalid_number": INVALID_NUMBER,
    "unreachable": UNREACHABLE,
    "voicemail": VOICEMAIL,
    "hangs_up": HANGS_UP,
    "talks_over": TALKS_OVER,
    "silent": SILENT,
    "menu": MENU,
    "provider_unavailable": PROVIDER_UNAVAILABLE,
    "provider_rate_limited": PROVIDER_RATE_LIMITED,
    "late_answer": LATE_ANSWER,
    "noisy": NOISY,
    "line_lost": LINE_LOST,
    "asks_for_callback": ASKS_FOR_CALLBACK,
    "stop_calling": STOP_CALLING,
}
# In the order of the numbers: 00 answers, 01 is busy … 17 does not want to be called. The rest answers and talks.
BY_DIGITS: Mapping[str, Callee] = {
    f"{index:02}": callee for index, callee in enumerate(BY_SCENARIO.values())
}


def callee_of(line: LineSpec) -> Callee:
    """Who picks up (or does not) at the other end of `line`. Raises KeyError for a scenario that there is not, and
    BrokenScenario for a script that the server should not have taken."""
    if line.script is not None:
        scenario = parse(line.script)
        return Callee(talk_of(scenario), scenario.ring_ms, refusal_of(scenario))
    if line.scenario is not None:
        return BY_SCENARIO[line.scenario]
    return callee_at(line.to_number or "")


def callee_at(number: str) -> Callee:
    """Who picks up at a number of the simulated network."""
    return BY_DIGITS.get(number[-2:], ANSWERS)
