"""Text calls: how they end, what stops the agent, and what a command or a failing model does to them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.server.support.call_server import RecordingServer
from tests.server.support.call_specs import CHECK_DAY, CUT_CALL, HANG_UP, call_spec, rules
from tests.server.support.text_calls import Scripted, by_text

from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.simulated.text.pace import spoken_ms, words_in
from bolti_server.voice.session import MAX_TOOL_STEPS
from bolti_server.voice.text_call import run_text_call
from bolti_server.voice.text_models import Failure, Reply, RuleModel, TextModel, ToolCall
from bolti_server.worker_api.messages import (
    Command,
    LlmRule,
    RuleTool,
    SilencePromptSpec,
    ToolAnswer,
    TurnSpec,
)

SILENT, TALKS_OVER = "+12025550109", "+12025550108"
LONG = "This greeting is so long that somebody will talk over it before it is over, I am afraid."


def test_words_take_time_and_a_part_of_it_holds_a_part_of_them() -> None:
    assert 400 <= spoken_ms("Hi.") < spoken_ms("Hi there, my friend.") < spoken_ms("Hi. " * 20)
    assert spoken_ms("Hello there my dear friend", speed=2.0) * 2 == pytest.approx(
        spoken_ms("Hello there my dear friend"), abs=2
    )
    assert spoken_ms("1234") > 2 * spoken_ms("abcdefgh"), "numbers are read out"
    assert words_in("one two three", 0.0) == ""
    assert words_in("one two three", 0.6) == "one two"
    assert words_in("one two three", 1.0) == "one two three"


async def test_the_cap_ends_a_call_at_its_virtual_second() -> None:
    server = await by_text(call_spec(to_number=SILENT, max_duration_seconds=3))
    assert (server.end.code, server.end.virtual_ms) == ("max_duration", 3000)
    server = await by_text(
        call_spec(to_number=SILENT, max_duration_seconds=3, is_cap_shortened=True)
    )
    assert server.end.code == "credits_exhausted"


async def test_the_agent_asks_into_a_silence_before_it_ends_the_call() -> None:
    prompt = SilencePromptSpec(times=1, text="Are you there?")
    server = await by_text(
        call_spec(to_number=SILENT, silence_timeout_seconds=10, silence_prompt=prompt)
    )
    assert [turn.text for turn in server.turns][1:] == ["Are you there?"]
    assert server.end.code == "silence_timeout"


async def test_who_talks_over_the_agent_stops_it_and_is_heard_whole() -> None:
    llm = rules(LlmRule(hear="question", say="Goodbye then.", tool=HANG_UP))
    server = await by_text(call_spec(to_number=TALKS_OVER, greeting=LONG, llm=llm))
    first, second, last = server.turns
    assert first.is_interrupted
    assert LONG.startswith(first.text)
    assert first.text != LONG
    assert second.text.startswith("Sorry, let me stop you there")
    assert (last.text, last.is_interrupted) == ("Goodbye then.", False)


async def test_who_may_not_be_interrupted_is_not_and_does_not_hear_what_was_said_meanwhile() -> (
    None
):
    server = await by_text(
        call_spec(
            to_number=TALKS_OVER,
            greeting=LONG,
            turn=TurnSpec(is_interruption_enabled=False),
            max_duration_seconds=7,
        )
    )
    assert [(turn.role, turn.text) for turn in server.turns][:1] == [("agent", LONG)]
    assert all("Sorry, let me stop you" not in turn.text for turn in server.turns)


async def test_a_tool_takes_its_time_on_the_line_and_stands_in_the_turn_that_follows() -> None:
    llm = rules(
        LlmRule(
            hear="appointment",
            say="Ten is free. Bye.",
            tool=RuleTool(name="check_day", arguments={"day": "tomorrow"}),
        ),
        LlmRule(hear="bye", say="Bye.", tool=HANG_UP),
    )
    server = await by_text(
        call_spec(llm=llm, tools=[CUT_CALL, CHECK_DAY]),
        tool=lambda _name, _arguments: ToolAnswer(result="10:00", is_error=False, duration_ms=1500),
    )
    user, agent = server.turns[1:3]
    assert [each.name for each in agent.tool_calls] == ["check_day"]
    assert agent.start_ms - user.end_ms == 300 + 1500
    assert agent.latency is not None
    assert agent.latency.end_to_end_ms == 1800


async def test_one_failure_of_the_model_is_asked_about_and_two_end_the_call() -> None:
    spec = call_spec()
    server = await by_text(
        spec, model=Scripted(Reply("", (), 0, Failure("down", is_hopeless=False)))
    )
    assert [turn.text for turn in server.turns if turn.role == "agent"][1:] == [
        "Sorry, I did not get that. Could you say it again?",
        "I am sorry, I have a technical problem and have to end this call. Goodbye.",
    ]
    assert server.end.code == "model_error"


async def test_a_model_that_can_not_be_made_dials_nobody() -> None:
    server = RecordingServer(Path("/nonexistent"))

    async def fail() -> TextModel:
        raise ModelUnavailable("no key")

    await run_text_call(call_spec(), server, fail)
    assert (server.end.code, server.dial_intents, server.types) == ("model_error", 0, ["ended"])


async def test_a_tool_that_the_model_invents_is_refused_to_it() -> None:
    model = Scripted(
        Reply("", (ToolCall("call_1", "rob_bank", {}),), 0),
        Reply("Goodbye.", (ToolCall("call_2", "cut_call", {}),), 0),
    )
    server = await by_text(call_spec(), model=model)
    assert server.tool_calls == []
    assert "rob_bank: There is no tool rob_bank." in model.history
    assert server.end.code == "agent_hangup"


async def test_a_model_that_calls_tools_for_ever_is_stopped() -> None:
    calls = 0

    def check(_name: str, _arguments: dict[str, object]) -> ToolAnswer:
        nonlocal calls
        calls += 1
        return ToolAnswer(result="again", is_error=False, duration_ms=1)

    model = Scripted(Reply("", (ToolCall("call_1", "check_day", {}),), 0))
    spec = call_spec(tools=[CHECK_DAY], max_duration_seconds=20)
    server = await by_text(spec, tool=check, model=model)
    assert server.end.code in ("max_duration", "silence_timeout", "remote_hangup")
    turns_of_callee = len([turn for turn in server.turns if turn.role == "user"])
    assert calls <= turns_of_callee * (MAX_TOOL_STEPS + 1)


async def test_a_user_ends_a_call_that_takes_real_time() -> None:
    server = RecordingServer(Path("/nonexistent"))
    spec = call_spec(max_duration_seconds=600)
    asked = asyncio.Event()

    class Slow(RuleModel):
        async def reply(self) -> Reply:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError("never")

    async def make() -> TextModel:
        return Slow(spec)

    call = asyncio.create_task(run_text_call(spec, server, make, heartbeat_after_seconds=0.0))
    await asyncio.wait_for(asked.wait(), 5)
    server.send(Command(number=1, type="say_then_end", text="We have to stop here."))
    await asyncio.wait_for(call, 5)
    assert server.turns[-1].text == "We have to stop here."
    assert server.end.code == "ended_by_user"


async def test_another_agent_that_has_the_call_stops_this_one() -> None:
    server = RecordingServer(Path("/nonexistent"))
    server.refuses_dial = True
    spec = call_spec()

    async def make() -> TextModel:
        return RuleModel(spec)

    await run_text_call(spec, server, make)
    assert (server.end.code, server.end.virtual_ms) == ("agent_lost", None)
