"""A scenario as somebody who picks up: the steps become what a callee does with its telephone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import assert_never

from bolti_server.lines.line import DialFailed
from bolti_server.simulated.phone import Phone
from bolti_server.simulated.scenarios.scenario import Scenario, Step

VOICE_PATIENCE_MS = (
    60_000  # for an agent that does not come to speak as long as `wait_for_voice` says
)


def talk_of(scenario: Scenario) -> Callable[[Phone], Awaitable[None]]:
    """What it does after the answer; when the steps are done it hangs up."""

    async def talk(phone: Phone) -> None:
        for step in scenario.steps:
            await _do(phone, step)

    return talk


def refusal_of(scenario: Scenario) -> DialFailed | None:
    """Why it is not reached; None where it answers, or where nobody picks up."""
    failure = scenario.failure
    return None if failure is None else DialFailed(failure.code, failure.sip_status)


async def _do(phone: Phone, step: Step) -> None:
    ms = step.ms or 0
    match step.verb:
        case "wait_for_agent":
            await phone.wait_for_agent(patience_ms=ms)
        case "wait_for_voice":
            await phone.hear_voice(ms, patience_ms=VOICE_PATIENCE_MS)
        case "wait_for_keys":
            await phone.keys(patience_ms=ms)
        case "wait_for_hang_up" | "wait":
            await phone.wait(ms)  # the agent's hanging up ends the script, wherever it is
        case "say":
            await phone.say(step.text)
        case "press":
            await phone.press(step.text)
        case "noise":
            await phone.noise(step.level, step.ms)
        case "silence":
            await phone.noise(0.0)
            await phone.wait(ms)
        case "beep":
            await phone.beep(ms)
        case "hang_up":
            await phone.hang_up()
        case _:
            assert_never(step.verb)
