"""What the agent of a text call does with what its model wants: words, tools, keys, transfers, in the line's time."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.support.call_specs import CHECK_DAY, call_spec
from tests.server.support.text_calls import (
    LONG,
    OVER,
    Scripted,
    agent_words,
    by_text,
    heard_by_text,
    says,
    scripted,
)

from bolti_server.simulated.callees import Callee
from bolti_server.simulated.phone import Phone
from bolti_server.simulated.text.clock import VirtualClock
from bolti_server.simulated.text.line import TextLine
from bolti_server.voice.phone_tools import NOTHING_PRESSED
from bolti_server.voice.text_models import Failure, Reply, ToolCall
from bolti_server.worker_api.messages import ToolAnswer, TurnSpec

GOODBYE = ToolCall("call_9", "cut_call", {})
TEN = ToolAnswer(result="10:00", is_error=False, duration_ms=3500)


# ---- The model ----


async def test_each_turn_is_answered_once() -> None:
    model = Scripted(says("Yes."))
    spec = scripted("wait_for_agent", "say: Hi.", "wait_for_agent", "say: Well?", "wait_for_agent")
    server = await by_text(spec, model=model)
    assert model.asked == 2
    assert agent_words(server) == ["Hello.", "Yes.", "Yes."]
    assert model.history[:3] == ["said Hello.", "heard Hi.", "said Yes."]


async def test_whoever_goes_on_while_the_agent_thinks_is_heard_out_first() -> None:
    spec = scripted("wait_for_agent", "say: Hi.", "wait: 500", f"say: {LONG}", "wait_for_agent")
    server = await heard_by_text(spec, says("First.", first_token_ms=900), says("Second."))
    assert [text for _, text in server.words] == ["Hello.", "Hi.", LONG, "Second."]


async def test_a_goodbye_is_said_whoever_talks_before_it_or_over_it() -> None:
    before = scripted("wait_for_agent", "say: Hi.", "wait: 500", f"say: {LONG}", "wait: 9000")
    server = await heard_by_text(before, says("Goodbye.", GOODBYE, first_token_ms=900))
    assert agent_words(server) == ["Hello.", "Goodbye."]
    over = scripted("wait_for_agent", "say: Hi.", "wait_for_voice: 900", OVER, "wait: 9000")
    server = await heard_by_text(over, says(LONG, GOODBYE))
    assert agent_words(server) == ["Hello.", LONG]
    assert server.end.code == "agent_hangup"


async def test_half_an_answer_is_said_with_the_question_for_another() -> None:
    broken = Reply("It is booked", (), 0, Failure("it broke", is_hopeless=False))
    spec = scripted("wait_for_agent", "say: Hi.", "wait_for_agent")
    server = await heard_by_text(spec, broken)
    assert agent_words(server)[1] == (
        "It is booked Sorry, I did not get that. Could you say it again?"
    )


async def test_a_good_answer_forgives_a_failure_and_a_hopeless_one_ends_at_once() -> None:
    broken = Reply("", (), 0, Failure("it broke", is_hopeless=False))
    talk = ["wait_for_agent", "say: Hi."] * 4
    spec = scripted(*talk, "wait_for_agent")
    server = await heard_by_text(spec, broken, says("Yes."), broken, says("Yes."))
    assert server.end.code == "remote_hangup"
    hopeless = Reply("", (), 0, Failure("llm of x failed: no key", is_hopeless=True))
    server = await heard_by_text(spec, hopeless)
    assert len(agent_words(server)) == 2
    assert "technical problem" in agent_words(server)[1]
    assert (server.end.code, server.end.detail) == ("model_error", "llm of x failed: no key")


# ---- Tools ----

LOOK = ToolCall("call_1", "check_day", {"day": "tomorrow"})


async def test_a_slow_tool_is_spoken_over_and_told_to_the_model_after_all_words() -> None:
    model = Scripted(says("Let me look.", LOOK), says("Ten is free.", GOODBYE))
    spec = scripted("wait_for_agent", "say: Hi.", "wait: 20000")
    server = await by_text(spec, model=model, tool=lambda *_: TEN)
    assert agent_words(server) == ["Hello.", "Let me look.", "One moment, please.", "Ten is free."]
    said, moment, free = server.turns[2:]
    assert moment.start_ms - said.start_ms == 2000
    assert free.start_ms - said.start_ms == 3500
    assert [[tool.name for tool in turn.tool_calls] for turn in (said, moment, free)] == [
        [], [], ["check_day", "cut_call"],
    ]  # fmt: skip
    assert model.history[-4:] == [
        "said Let me look.", "said One moment, please.", "check_day: 10:00", "said Ten is free.",
    ]  # fmt: skip
    assert (said.latency is None, moment.latency is None) == (False, True)
    assert server.tool_calls[0][3] == CHECK_DAY.timeout_ms / 1000


async def test_a_tool_that_answers_while_the_agent_speaks_stands_in_that_turn() -> None:
    model = Scripted(says(LONG, LOOK), says("Ten.", GOODBYE))
    spec = scripted("wait_for_agent", "say: Hi.", "wait: 20000")
    quick = ToolAnswer(result="10:00", is_error=False, duration_ms=50)
    server = await by_text(spec, model=model, tool=lambda *_: quick)
    assert [[tool.name for tool in turn.tool_calls] for turn in server.turns[2:]] == [
        ["check_day"], ["cut_call"],
    ]  # fmt: skip
    assert model.history[-3:] == [f"said {LONG}", "check_day: 10:00", "said Ten."]


async def test_whoever_speaks_while_a_tool_is_out_is_answered_and_not_talked_over() -> None:
    model = Scripted(says("", LOOK), says("I am here.", GOODBYE))
    spec = scripted("wait_for_agent", "say: Hi.", "wait: 1500", f"say: {LONG}", "wait: 20000")
    server = await by_text(spec, model=model, tool=lambda *_: TEN)
    assert [text for _, text in server.words] == ["Hello.", "Hi.", LONG, "I am here."]
    assert model.asked == 2
    assert "check_day: 10:00" in model.history


async def test_a_tool_whose_words_were_talked_over_is_not_waited_for() -> None:
    model = Scripted(says(LONG, LOOK), says("Yes.", GOODBYE))
    spec = scripted("wait_for_agent", "say: Hi.", "wait_for_voice: 600", OVER, "wait: 9000")
    server = await by_text(spec, model=model, tool=lambda *_: TEN)
    (tool,) = [
        tool for turn in server.turns for tool in turn.tool_calls if tool.name == "check_day"
    ]
    assert tool.is_error
    assert "Not waited for" in tool.result["error"]
    assert "check_day: 10:00" not in model.history


async def test_the_record_has_the_answer_of_a_tool_that_came_after_the_end() -> None:
    spec = scripted("wait_for_agent", "say: Hi.", "wait: 900", "hang_up")
    server = await heard_by_text(spec, says("", LOOK), tool=lambda *_: TEN)
    last = server.turns[-1]
    assert (last.role, last.text, last.tool_calls[0].result) == ("agent", "", "10:00")


async def test_keys_take_the_time_that_they_take_on_a_telephone() -> None:
    press = ToolCall("call_1", "send_dtmf", {"digits": "1w2"})
    model = Scripted(says("", press), says("", GOODBYE))
    spec = scripted("say: Which?", "wait_for_keys", "say: Thanks.", "wait: 5000", greeting=None)
    server = await by_text(spec, model=model)
    asked, keys, thanks = server.turns[:3]
    assert (keys.dtmf, keys.tool_calls[0].duration_ms) == ("1w2", 200 + 500 + 200)
    assert keys.end_ms == asked.end_ms + 300 + 900
    # The callee waits for more keys for a second after the last: the pause is none.
    assert thanks.start_ms == keys.end_ms - 200 + 1000
    assert 'send_dtmf: {"sent": "1w2"}' in model.history


async def test_a_pause_is_no_key() -> None:
    line = TextLine(
        call_spec().line, TurnSpec(), VirtualClock(), ring_timeout_seconds=2,
        callee=Callee(lambda phone: phone.wait(9000), ring_ms=0),
    )  # fmt: skip
    await line.connect()
    await line.press("1w2")
    assert await line.phone.keys(patience_ms=0) == "12"
    assert await line.phone.keys(patience_ms=0) == "", "they are given out once"
    await line.hangup()


async def test_keys_that_no_telephone_has_are_refused_to_the_model() -> None:
    press = ToolCall("call_1", "send_dtmf", {"digits": "x"})
    model = Scripted(says("", press), says("Well.", GOODBYE))
    server = await by_text(scripted("wait_for_agent", "say: Hi.", "wait: 9000"), model=model)
    refused = server.turns[-1].tool_calls[0]
    assert (refused.is_error, refused.result) == (True, {"error": NOTHING_PRESSED})
    assert f"send_dtmf: {NOTHING_PRESSED}" in model.history
    assert all(turn.dtmf is None for turn in server.turns)


async def test_a_callee_s_keys_are_turns_and_what_is_no_key_is_an_error() -> None:
    server = await by_text(scripted("wait_for_agent", "press: 1w2", "wait: 100"))
    assert [turn.dtmf for turn in server.turns] == [None, "1", "2"]
    assert server.turns[2].start_ms - server.turns[1].start_ms == 200 + 500
    line = TextLine(call_spec().line, TurnSpec(), VirtualClock(), ring_timeout_seconds=2)
    with pytest.raises(ValueError, match="no key"):
        await line.phone.press("1x")


HAND_OVER = ToolCall("call_1", "transfer_call", {"target": "billing"})


def to(digits: str) -> Any:
    result = {"to_number": f"+120255501{digits}"}
    return lambda *_: ToolAnswer(result=result, is_error=False, duration_ms=1)


async def test_the_words_before_a_transfer_are_said_to_their_end() -> None:
    spec = scripted("wait_for_agent", "say: Hi.", "wait_for_voice: 600", OVER, "wait: 9000")
    server = await heard_by_text(spec, says(LONG, HAND_OVER), tool=to("00"))
    assert agent_words(server)[:2] == ["Hello.", LONG]
    assert (server.end.code, server.end.detail) == ("transferred", "To billing.")


@pytest.mark.parametrize(
    ("digits", "code", "rings_ms"),
    [
        ("01", "busy", 0),
        ("02", "no_answer", 5000),
        ("03", "declined", 300),
        ("13", "no_answer", 5000),
    ],
)
async def test_a_transfer_that_nobody_takes_is_told_to_the_model(
    digits: str, code: str, rings_ms: int
) -> None:
    model = Scripted(says("", HAND_OVER), says("Nobody.", GOODBYE))
    spec = scripted("wait_for_agent", "say: Hi.", "wait: 20000")
    server = await by_text(spec, model=model, tool=to(digits))
    assert any(f"Nobody took the call ({code})" in each for each in model.history)
    user, agent = server.turns[1:]
    assert agent.start_ms - user.end_ms == 300 + rings_ms
    assert agent.tool_calls[0].is_error
    assert server.end.code == "agent_hangup"


async def test_a_transfer_against_the_rules_is_not_tried() -> None:
    model = Scripted(says("", HAND_OVER), says("No.", GOODBYE))
    error = {"error": "Not there.", "to_number": "+12025550100"}
    server = await by_text(
        scripted("wait_for_agent", "say: Hi.", "wait: 9000"),
        model=model,
        tool=lambda *_: ToolAnswer(result=error, is_error=True, duration_ms=1),
    )
    assert "transfer_call: Not there." in model.history
    assert server.end.code == "agent_hangup"


async def test_whoever_was_handed_over_talks_with_somebody_else() -> None:
    clock = VirtualClock()
    talked: list[str] = []

    async def talk(phone: Phone) -> None:
        await phone.wait(2000)
        talked.append("to the agent")

    line = TextLine(
        call_spec().line, TurnSpec(), clock, ring_timeout_seconds=2, callee=Callee(talk, ring_ms=0)
    )
    await line.connect()
    await line.transfer("+12025550100")
    await line.pass_time(9000)
    assert talked == []
