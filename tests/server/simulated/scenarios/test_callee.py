"""A scenario's steps are what the callee does with its telephone, in their order."""

from __future__ import annotations

from typing import NoReturn

import pytest

from bolti_server.simulated.callees import callee_of
from bolti_server.simulated.phone import BEEP_MS, PhoneDown
from bolti_server.worker_api.messages import LineSpec

TALK = """\
name: Everything
callee:
  - ring: 700
  - answer
  - wait_for_agent: 4000
  - wait_for_agent
  - wait_for_voice: 1500
  - say: I would like an appointment.
  - press: 12#
  - wait_for_keys: 800
  - noise: {level: 0.03, ms: 200}
  - noise: 0.01
  - silence: 100
  - wait: 30
  - beep
  - wait_for_hang_up: 900
  - hang_up
"""


class Phone:
    """Writes down what is done with it."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []

    async def wait_for_agent(self, *, patience_ms: int) -> str | None:
        self.done.append(("wait_for_agent", patience_ms))
        return None

    async def hear_voice(self, voiced_ms: int, *, patience_ms: int) -> bool:
        assert patience_ms >= 30_000
        self.done.append(("hear_voice", voiced_ms))
        return False

    async def wait(self, ms: int) -> None:
        self.done.append(("wait", ms))

    async def say(self, text: str) -> None:
        self.done.append(("say", text))

    async def press(self, keys: str) -> None:
        self.done.append(("press", keys))

    async def keys(self, *, patience_ms: int) -> str:
        self.done.append(("keys", patience_ms))
        return ""

    async def noise(self, level: float, ms: int | None = None) -> None:
        self.done.append(("noise", level, ms))

    async def beep(self, ms: int = BEEP_MS) -> None:
        self.done.append(("beep", ms))

    async def hang_up(self) -> NoReturn:
        self.done.append(("hang_up",))
        raise PhoneDown


def line(script: str) -> LineSpec:
    return LineSpec(
        kind="simulated", from_number="+12025550199", to_number="+12025550101", script=script
    )


async def test_a_callee_does_the_steps_of_its_scenario() -> None:
    callee = callee_of(line(TALK))
    assert (callee.ring_ms, callee.refusal) == (700, None)
    phone = Phone()
    with pytest.raises(PhoneDown):
        await callee.talk(phone)
    assert phone.done == [
        ("wait_for_agent", 4000),
        ("wait_for_agent", 10_000),
        ("hear_voice", 1500),
        ("say", "I would like an appointment."),
        ("press", "12#"),
        ("keys", 800),
        ("noise", 0.03, 200),
        ("noise", 0.01, None),
        ("noise", 0.0, None),
        ("wait", 100),
        ("wait", 30),
        ("beep", 500),
        ("wait", 900),
        ("hang_up",),
    ]


@pytest.mark.parametrize(
    ("steps", "ring_ms", "code", "sip_status"),
    [
        ("[busy]", 0, "busy", 486),
        ("[{ring: 200}, decline]", 200, "declined", 603),
        ("[{fail: provider_unavailable}]", 0, "provider_unavailable", 503),
        ("[{ring: 100}, {fail: outcome_unknown}]", 100, "outcome_unknown", None),
    ],
)
def test_a_callee_that_is_not_reached(
    steps: str, ring_ms: int, code: str, sip_status: int | None
) -> None:
    callee = callee_of(line(f"name: x\ncallee: {steps}\n"))
    assert callee.ring_ms == ring_ms
    assert callee.refusal is not None
    assert (callee.refusal.code, callee.refusal.sip_status) == (code, sip_status)


def test_a_callee_that_nobody_can_reach_rings_until_the_caller_gives_up() -> None:
    callee = callee_of(line("name: x\ncallee: [no_answer]\n"))
    assert (callee.ring_ms, callee.refusal) == (None, None)
