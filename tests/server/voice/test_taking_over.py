"""An agent that goes on where another was lost, one that a caller reaches, and which agents leave the line open.

The line is a simulated one: what is tried is `run_call`, which is told by the spec that somebody is on the line already.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import attrs
import pytest
from tests.server.support.call_server import RecordingServer
from tests.server.support.call_specs import HANG_UP, call_spec, rules
from tests.server.support.voice_calls import Call, OpenLine, SideBySide, Stage, carry

from bolti_server.bootstrap.worker import build_line
from bolti_server.lines.line import DialFailed
from bolti_server.simulated.line import SimulatedLine
from bolti_server.voice.phrases import phrases_in
from bolti_server.worker_api.messages import (
    CallSpec,
    Command,
    LlmRule,
    SipTrunk,
    SpokenTurn,
    Takeover,
)

SILENT = "+12025550109"
CUT_OFF = phrases_in("en").cut_off
BOOKS = rules(LlmRule(hear="appointment", say="It is booked. Goodbye.", tool=HANG_UP))


@attrs.frozen
class OpenCall:
    server: RecordingServer
    line: OpenLine
    over: asyncio.Task[None]


def place_open(stage: Stage, spec: CallSpec, line: OpenLine | None = None) -> OpenCall:
    server = stage.server()
    line = line or OpenLine(spec.line, ring_timeout_seconds=spec.ring_timeout_seconds)
    return OpenCall(server, line, asyncio.create_task(carry(spec, line, server, stage.models)))


async def goes_on(stage: Stage) -> Call:
    """Twenty seconds into a call of thirty; the callee had the last word."""
    spec = call_spec(
        llm=BOOKS,
        takeover=Takeover(answered_ms_ago=10_000, turn_count=2),
        transcript_so_far=[
            SpokenTurn(role="agent", text="Hello, this is the front desk."),
            SpokenTurn(role="user", text="I want an appointment."),
        ],
    )
    return await stage.play(spec)


async def goes_on_after_half_a_greeting(stage: Stage) -> Call:
    spec = call_spec(
        to_number=SILENT,
        greeting="Hello.",
        takeover=Takeover(answered_ms_ago=1_000, turn_count=0),
        silence_timeout_seconds=1,
    )
    return await stage.play(spec)


async def reaches_the_cap_that_began_with_another(stage: Stage) -> Call:
    spec = call_spec(
        to_number=SILENT,
        greeting=None,
        takeover=Takeover(answered_ms_ago=28_000, turn_count=0),
        max_duration_seconds=30,
    )
    return await stage.play(spec)


async def rang_for_another(stage: Stage) -> Call:
    spec = call_spec(llm=BOOKS, takeover=Takeover(answered_ms_ago=None))
    return await stage.play(spec)


async def is_called(stage: Stage) -> Call:
    return await stage.play(call_spec(llm=BOOKS, direction="inbound"))


SCENARIOS = [
    goes_on,
    goes_on_after_half_a_greeting,
    reaches_the_cap_that_began_with_another,
    rang_for_another,
    is_called,
]


@pytest.fixture(scope="module")
async def played(stage: Stage) -> AsyncIterator[SideBySide]:
    side_by_side = SideBySide(stage, SCENARIOS)
    yield side_by_side
    await side_by_side.stop()


async def test_whoever_takes_over_says_so_and_answers_what_was_said_last(
    played: SideBySide,
) -> None:
    call: Call = await played.of(goes_on)

    assert call.server.dial_intents == 0
    assert call.server.words == [("agent", CUT_OFF), ("agent", "It is booked. Goodbye.")]
    assert call.server.end.code == "agent_hangup"


async def test_turns_and_times_go_on_where_the_lost_agent_was(played: SideBySide) -> None:
    call: Call = await played.of(goes_on)

    assert [turn.turn_index for turn in call.server.turns] == [2, 3]
    assert 10_000 <= call.server.turns[0].start_ms <= 11_500


async def test_who_heard_half_a_greeting_is_greeted_again(played: SideBySide) -> None:
    call: Call = await played.of(goes_on_after_half_a_greeting)

    assert call.server.words == [("agent", CUT_OFF), ("agent", "Hello.")]


async def test_the_cap_counts_from_the_first_answer(played: SideBySide) -> None:
    call: Call = await played.of(reaches_the_cap_that_began_with_another)

    assert call.server.end.code == "max_duration"
    assert call.line.position_ms < 5_000


async def test_who_was_only_being_rung_hears_the_greeting_and_no_excuse(
    played: SideBySide,
) -> None:
    call: Call = await played.of(rang_for_another)

    assert call.server.dial_intents == 0
    assert call.server.words[0] == ("agent", "Hello, this is the front desk.")


async def test_nobody_asks_to_dial_for_a_call_that_comes_in(played: SideBySide) -> None:
    call: Call = await played.of(is_called)

    assert call.server.dial_intents == 0
    assert call.server.types[0] == "agent_ready"
    assert call.server.end.code == "agent_hangup"


# ---- which agents leave the line open ----


async def talking(stage: Stage) -> OpenCall:
    call = place_open(stage, call_spec(to_number=SILENT, greeting="Hello."))
    await call.server.wait_for_report("turn")
    return call


async def test_an_agent_whose_call_is_another_s_leaves_and_hangs_up_nobody(stage: Stage) -> None:
    call = await talking(stage)
    call.server.lose()
    await call.over

    assert (call.line.was_left, call.line.was_hung_up) == (True, False)
    assert call.server.end.code == "agent_lost"
    assert call.server.end.is_line_open


async def test_an_agent_that_is_stopped_in_mid_call_leaves_the_line_open(stage: Stage) -> None:
    call = await talking(stage)
    call.over.cancel()
    await asyncio.wait({call.over})

    assert (call.line.was_left, call.line.was_hung_up) == (True, False)
    assert call.server.end.is_line_open


async def test_an_agent_that_has_said_goodbye_hangs_up(stage: Stage) -> None:
    call = await talking(stage)
    call.server.send(Command(number=1, type="drain"))
    await call.over

    assert (call.line.was_left, call.line.was_hung_up) == (False, True)
    assert call.server.end.code == "agent_lost"
    assert not call.server.end.is_line_open


async def test_an_agent_that_stops_before_the_dial_leaves_nobody_on_the_line(stage: Stage) -> None:
    spec = call_spec(to_number=SILENT)
    call = place_open(stage, spec)
    call.server.dial_allowed.clear()
    await call.server.wait_for_report("agent_ready")
    call.server.send(Command(number=1, type="drain"))
    await call.over

    assert call.server.end.code == "agent_lost"
    assert not call.server.end.is_line_open


# ---- the dial ----


class RefusedLine(SimulatedLine):
    trunk: SipTrunk | None = None

    async def connect(self, trunk: SipTrunk | None = None) -> None:
        self.trunk = trunk
        raise DialFailed("media_unavailable", None, "cpu exhausted", "x", is_nothing_sent=True)


async def test_the_line_is_told_the_trunk_and_what_it_says_of_a_dial_is_reported(
    stage: Stage,
) -> None:
    spec = call_spec()
    server = stage.server()
    server.trunk = SipTrunk(host="sip.example.com", transport="udp")
    line = RefusedLine(spec.line, ring_timeout_seconds=2)
    await carry(spec, line, server, stage.models)

    assert line.trunk == server.trunk
    end = server.end
    assert (end.code, end.is_nothing_sent, end.provider_code) == ("media_unavailable", True, "x")


async def test_a_simulated_call_is_still_carried_by_its_own_line() -> None:
    assert type(build_line(call_spec())) is SimulatedLine
