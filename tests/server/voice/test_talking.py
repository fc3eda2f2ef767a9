"""Whole calls that are answered, with real sound at real time: what is said, heard, reported, and how it ends."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from tests.server.support.call_specs import CHECK_DAY, CUT_CALL, HANG_UP, call_spec, rules
from tests.server.support.voice_calls import Call, SideBySide, Stage

from bolti_server.worker_api.messages import LlmRule, RuleTool, ToolAnswer, TurnSpec

SILENT = "+12025550109"


async def hangs_up_after_goodbye(stage: Stage) -> Call:
    llm = rules(LlmRule(hear="appointment", say="It is booked. Goodbye for now.", tool=HANG_UP))
    return await stage.play(call_spec(llm=llm))


async def uses_a_tool(stage: Stage) -> Call:
    def check(name: str, arguments: dict[str, object]) -> ToolAnswer:
        assert (name, arguments) == ("check_day", {"day": "tomorrow"})
        return ToolAnswer(result={"free": ["10:00"]}, is_error=False, duration_ms=41)

    llm = rules(
        LlmRule(
            hear="appointment",
            say="Ten is free. Bye.",
            tool=RuleTool(name="check_day", arguments={"day": "tomorrow"}),
        ),
        LlmRule(hear="bye", say="Bye.", tool=HANG_UP),
    )
    return await stage.play(call_spec(llm=llm, tools=[CUT_CALL, CHECK_DAY]), stage.server(check))


async def callee_hangs_up_in_mid_sentence(stage: Stage) -> Call:
    greeting = "This greeting is so long that nobody would ever listen to it up to its very end, is it not."
    return await stage.play(call_spec(to_number="+12025550107", greeting=greeting))


async def callee_talks_over_the_agent(stage: Stage) -> Call:
    greeting = (
        "This greeting is so long that somebody will talk over it before it is over, I am afraid."
    )
    llm = rules(LlmRule(hear="question", say="Goodbye then.", tool=HANG_UP))
    return await stage.play(call_spec(to_number="+12025550108", greeting=greeting, llm=llm))


async def agent_may_not_be_interrupted(stage: Stage) -> Call:
    spec = call_spec(
        to_number="+12025550108",
        greeting="Nothing that you say will stop this greeting.",
        turn=TurnSpec(is_interruption_enabled=False),
        max_duration_seconds=4,
    )
    return await stage.play(spec)


async def says_its_disclosure_first(stage: Stage) -> Call:
    spec = call_spec(
        to_number=SILENT,
        disclosure_text="This call is recorded.",
        greeting="Hello.",
        silence_timeout_seconds=1,
    )
    return await stage.play(spec)


async def reaches_its_cap(stage: Stage) -> Call:
    return await stage.play(call_spec(to_number=SILENT, max_duration_seconds=2))


async def reaches_a_cap_that_the_balance_had_shortened(stage: Stage) -> Call:
    spec = call_spec(to_number=SILENT, max_duration_seconds=2, is_cap_shortened=True)
    return await stage.play(spec)


SCENARIOS = [
    hangs_up_after_goodbye,
    uses_a_tool,
    callee_hangs_up_in_mid_sentence,
    callee_talks_over_the_agent,
    agent_may_not_be_interrupted,
    says_its_disclosure_first,
    reaches_its_cap,
    reaches_a_cap_that_the_balance_had_shortened,
]


@pytest.fixture(scope="module", autouse=True)
async def played(stage: Stage) -> AsyncIterator[SideBySide]:
    side_by_side = SideBySide(stage, SCENARIOS)
    yield side_by_side
    await side_by_side.stop()


async def test_a_call_is_reported_from_agent_ready_to_ended_in_order(played: SideBySide) -> None:
    call: Call = await played.of(hangs_up_after_goodbye)

    assert call.server.types == [
        "agent_ready", "ringing", "answered", "turn", "turn", "tool_call", "turn", "ended",
    ]  # fmt: skip
    assert call.server.dial_intents == 1


async def test_both_sides_words_stand_in_the_transcript_with_times_since_the_answer(
    played: SideBySide,
) -> None:
    call: Call = await played.of(hangs_up_after_goodbye)

    assert call.server.words == [
        ("agent", "Hello, this is the front desk."),
        ("user", "Hi. I would like to book an appointment for tomorrow, please."),
        ("agent", "It is booked. Goodbye for now."),
    ]
    turns = call.server.turns
    assert [turn.turn_index for turn in turns] == [0, 1, 2]
    for before, after in itertools.pairwise(turns):
        assert before.start_ms < before.end_ms <= after.start_ms


async def test_the_greeting_is_heard_at_once_after_the_answer(played: SideBySide) -> None:
    call: Call = await played.of(hangs_up_after_goodbye)

    assert call.server.turns[0].start_ms <= 300
    assert call.server.turns[0].latency is None


async def test_an_answering_turn_tells_where_its_time_went(played: SideBySide) -> None:
    call: Call = await played.of(hangs_up_after_goodbye)

    latency = call.server.turns[2].latency
    assert latency is not None
    assert latency.end_of_turn_ms is not None
    assert latency.end_to_end_ms is not None
    assert 250 <= latency.end_of_turn_ms <= latency.end_to_end_ms <= 1500
    assert None not in (latency.llm_first_token_ms, latency.tts_first_audio_ms, latency.playback_ms)


async def test_cut_call_hangs_up_after_the_goodbye_was_heard_to_its_end(
    played: SideBySide,
) -> None:
    call: Call = await played.of(hangs_up_after_goodbye)

    assert call.server.end.code == "agent_hangup"
    assert call.server.end.detail == "all said"
    assert call.line.heard[-1] == "It is booked. Goodbye for now."
    last = call.server.turns[-1]
    assert not last.is_interrupted
    assert [(tool.name, tool.arguments) for tool in last.tool_calls] == [
        ("cut_call", {"reason": "all said"})
    ]


async def test_what_each_model_was_used_for_is_reported(played: SideBySide) -> None:
    call: Call = await played.of(hangs_up_after_goodbye)

    used = {usage.component: usage for usage in call.server.end.usage}
    assert set(used) == {"stt", "llm", "tts"}
    assert {usage.provider for usage in used.values()} == {"simulated"}
    assert used["stt"].audio_ms > 1000
    assert used["llm"].output_tokens > 0
    assert used["tts"].characters >= len("Hello, this is the front desk.It is booked.")


async def test_a_workspace_tool_runs_on_the_server_and_its_result_is_spoken(
    played: SideBySide,
) -> None:
    call: Call = await played.of(uses_a_tool)

    ((tool_call_id, name, arguments, timeout_seconds),) = call.server.tool_calls
    assert (name, arguments, timeout_seconds) == ("check_day", {"day": "tomorrow"}, 4.0)
    assert tool_call_id.startswith("call_")
    answer = next(turn for turn in call.server.turns if turn.text == "Ten is free. Bye.")
    (used,) = answer.tool_calls
    assert (used.name, used.result, used.is_error, used.duration_ms) == (
        "check_day", {"free": ["10:00"]}, False, 41,
    )  # fmt: skip
    assert call.server.types.index("tool_call") < call.server.types.index("ended")
    assert call.server.end.code == "agent_hangup"


async def test_a_callee_that_leaves_ends_the_call_and_the_turn_keeps_what_was_heard(
    played: SideBySide,
) -> None:
    call: Call = await played.of(callee_hangs_up_in_mid_sentence)

    assert call.server.end.code == "remote_hangup"
    (turn,) = call.server.turns
    assert turn.is_interrupted
    assert turn.text
    assert "This greeting is so long that nobody would ever listen".startswith(turn.text[:30])
    assert "very end" not in turn.text


async def test_a_callee_that_talks_over_the_agent_stops_it_and_is_answered(
    played: SideBySide,
) -> None:
    call: Call = await played.of(callee_talks_over_the_agent)

    greeting, interruption, answer = call.server.turns[:3]
    assert (greeting.role, greeting.is_interrupted) == ("agent", True)
    assert "afraid" not in greeting.text
    assert interruption.role == "user"
    assert "question" in interruption.text
    assert interruption.start_ms < greeting.end_ms + 100
    assert greeting.end_ms < interruption.start_ms + 1000, "it was silent from then on"
    assert answer.text == "Goodbye then."
    assert call.server.end.code == "agent_hangup"


async def test_an_agent_that_may_not_be_interrupted_speaks_on(played: SideBySide) -> None:
    call: Call = await played.of(agent_may_not_be_interrupted)

    greeting = call.server.turns[0]
    assert greeting.text == "Nothing that you say will stop this greeting."
    assert not greeting.is_interrupted


async def test_the_disclosure_is_spoken_before_the_greeting(played: SideBySide) -> None:
    call: Call = await played.of(says_its_disclosure_first)

    assert call.server.words == [("agent", "This call is recorded."), ("agent", "Hello.")]


async def test_silence_on_both_sides_ends_the_call(played: SideBySide) -> None:
    call: Call = await played.of(says_its_disclosure_first)

    assert call.server.end.code == "silence_timeout"


async def test_the_cap_ends_the_call_by_the_time_since_the_answer(played: SideBySide) -> None:
    call: Call = await played.of(reaches_its_cap)

    assert call.server.end.code == "max_duration"
    assert 1900 <= call.line.position_ms <= 3000


async def test_a_cap_that_the_balance_had_shortened_says_so(played: SideBySide) -> None:
    call: Call = await played.of(reaches_a_cap_that_the_balance_had_shortened)

    assert call.server.end.code == "credits_exhausted"
