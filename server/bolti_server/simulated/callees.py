"""Who picks up in the simulated network: like a card processor's test cards, the last two digits choose the callee.

`+12025550100` … `…0199` and what the last two digits do (product.md, section 12). Where a scenario is named it counts
instead. A callee is what happens until somebody picks up, and what that somebody does then; when it is done it hangs up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from bolti_server.lines.line import DialFailed
from bolti_server.simulated.conversation import small_talk
from bolti_server.simulated.phone import Phone
from bolti_server.worker_api.messages import LineSpec

RING_MS = 300
# A callee that waits for the agent to do something gives up after this, whatever limits the agent has.
LONGEST_WAIT_MS = 60_000
HANGS_UP_AFTER_MS = 1_200
TALKS_OVER_AFTER_MS = 1_000
INTERRUPTION = "Sorry, let me stop you there for a moment. I only have one short question."


@attrs.frozen
class Callee:
    """`ring_ms` None: it rings until the caller gives up; 0: a `refusal` comes before any ringing, else after it."""

    talk: Callable[[Phone], Awaitable[None]]
    ring_ms: int | None = RING_MS
    refusal: DialFailed | None = None


async def _hang_up(_phone: Phone) -> None:
    """Does nothing, which ends the call."""


async def _hang_up_in_mid_sentence(phone: Phone) -> None:
    await phone.hear_voice(HANGS_UP_AFTER_MS, patience_ms=LONGEST_WAIT_MS)


async def _talk_over(phone: Phone) -> None:
    await phone.hear_voice(TALKS_OVER_AFTER_MS, patience_ms=LONGEST_WAIT_MS)
    await phone.say(INTERRUPTION)
    await small_talk(phone)


async def _stay_silent(phone: Phone) -> None:
    await phone.wait(10 * LONGEST_WAIT_MS)


def _refuses(code: str, sip_status: int, *, ring_ms: int = 0) -> Callee:
    return Callee(_hang_up, ring_ms, DialFailed(code, sip_status))


ANSWERS = Callee(small_talk)
BUSY = _refuses("busy", 486)
NO_ANSWER = Callee(_hang_up, ring_ms=None)
DECLINED = _refuses("declined", 603, ring_ms=RING_MS)
INVALID_NUMBER = _refuses("invalid_number", 404)
HANGS_UP = Callee(_hang_up_in_mid_sentence)
TALKS_OVER = Callee(_talk_over)

# The names are those of the contract's SimulationScenario.
_BY_SCENARIO = {
    "answers": ANSWERS,
    "busy": BUSY,
    "no_answer": NO_ANSWER,
    "declined": DECLINED,
    "invalid_number": INVALID_NUMBER,
    "hangs_up": HANGS_UP,
    "talks_over": TALKS_OVER,
}
# What is missing here answers and talks: 06 (voicemail), 10 (menu) and 14-17 are still to come.
_BY_DIGITS = {
    "01": BUSY,
    "02": NO_ANSWER,
    "03": DECLINED,
    "04": INVALID_NUMBER,
    "05": _refuses("unreachable", 480),
    "07": HANGS_UP,
    "08": TALKS_OVER,
    "09": Callee(_stay_silent),
    "11": _refuses("provider_unavailable", 503),
    "12": _refuses("provider_rate_limited", 429),
    "13": Callee(small_talk, ring_ms=20_000),
}


def callee_of(line: LineSpec) -> Callee:
    """Who picks up (or does not) at the other end of `line`. Raises KeyError for a scenario that there is not."""
    if line.scenario is not None:
        return _BY_SCENARIO[line.scenario]
    return _BY_DIGITS.get(line.to_number[-2:], ANSWERS)
