"""What an agent does with a telephone: mailboxes, menus, transfers, silence, noise, slow tools. Real sound, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.server.support.call_server import RecordingServer
from tests.server.support.call_specs import CHECK_DAY, CUT_CALL, HANG_UP, built_in, call_spec, rules
from tests.server.support.voice_calls import Call, Scenario, SideBySide, Stage

from bolti_server.simulated.callee_scripts import (
    INTERRUPTION,
    MAILBOX_GREETING,
    MAILBOX_PAUSE_MS,
    MENU_APPOINTMENTS,
    STOP_CALLING,
)
from bolti_server.simulated.phone import BEEP_MS
from bolti_server.voice import phone_tools
from bolti_server.voice.limits import prompt_instants
from bolti_server.voice.phrases import phrases_in
from bolti_server.worker_api.messages import (
    LlmRule,
    RuleTool,
    SilencePromptSpec,
    ToolAnswer,
    TurnSpec,
    VoicemailSpec,
)

MESSAGE = "Hello, this is Asha from Bright Dental. Please call us back. Goodbye."
MOMENT = "One moment, please."
STILL_THERE = "Are you still there?"
DISCLOSURE = (
    "This call is recorded, and you are talking with a machine that was made to answer calls."
)


def listening(behaviour: str = "hang_up", **changes: Any) -> Any:
    """A spec with answering machine detection."""
    voicemail = msgspec.convert({"behaviour": behaviour, "message": MESSAGE}, VoicemailSpec)
    return call_spec(voicemail=voicemail, is_answering_machine_detection_enabled=True, **changes)


async def hangs_up_on_a_mailbox(stage: Stage) -> Call:
    return await stage.play(listening(scenario="voicemail"))


async def leaves_a_message(stage: Stage) -> Call:
    return await stage.play(listening("leave_message", scenario="voicemail"))


async def talks_on_with_a_mailbox(stage: Stage) -> Call:
    return await stage.play(listening("continue", scenario="voicemail", max_duration_seconds=8))


async def listens_to_a_human(stage: Stage) -> Call:
    llm = rules(LlmRule(hear="bye", say="Goodbye.", tool=HANG_UP))
    return await stage.play(listening("leave_message", llm=llm))


async def listens_to_one_who_talks_over(stage: Stage) -> Call:
    llm = rules(LlmRule(hear="bye", say="Goodbye.", tool=HANG_UP))
    return await stage.play(listening("leave_message", llm=llm, scenario="talks_over"))


async def chooses_from_a_menu(stage: Stage) -> Call:
    llm = rules(
        LlmRule(hear="press 1", tool=RuleTool(name="send_dtmf", arguments={"digits": "1"})),
        LlmRule(hear="through to", say="Good morning. Goodbye.", tool=HANG_UP),
    )
    tools = [CUT_CALL, built_in("send_dtmf")]
    return await stage.play(listening(llm=llm, tools=tools, scenario="menu", greeting=None))


INTRODUCTION = "This is Ravi, who wants an appointment."


def transferring(**arguments: str) -> Any:
    llm = rules(
        LlmRule(
            hear="appointment",
            say="Nobody is there.",
            tool=RuleTool(name="transfer_call", arguments={"target": "billing", **arguments}),
        ),
        LlmRule(hear=".", say="Goodbye.", tool=HANG_UP),
    )
    return call_spec(llm=llm, tools=[CUT_CALL, built_in("transfer_call")], greeting="Hello.")


def answering(result: Any, *, is_error: bool = False) -> Any:
    return lambda _name, _arguments: ToolAnswer(result=result, is_error=is_error, duration_ms=1)


async def is_transferred(stage: Stage) -> Call:
    server = stage.server(answering({"to_number": "+12025550100"}))
    return await stage.play(transferring(), server)


async def is_not_taken_over(stage: Stage) -> Call:
    server = stage.server(answering({"to_number": "+12025550101"}))
    return await stage.play(transferring(), server)


async def is_introduced(stage: Stage) -> Call:
    server = stage.server(answering({"to_number": "+12025550100", "mode": "warm"}))
    return await stage.play(transferring(introduction=INTRODUCTION), server)


async def is_introduced_without_words(stage: Stage) -> Call:
    server = stage.server(answering({"to_number": "+12025550100", "mode": "warm"}))
    return await stage.play(transferring(introduction=" "), server)


async def is_not_introduced(stage: Stage) -> Call:
    server = stage.server(answering({"to_number": "+12025550101", "mode": "warm"}))
    return await stage.play(transferring(introduction=INTRODUCTION), server)


async def may_not_be_transferred(stage: Stage) -> Call:
    server = stage.server(answering({"error": "That number may not be called."}, is_error=True))
    return await stage.play(transferring(), server)


async def asks_into_the_silence(stage: Stage) -> Call:
    spec = call_spec(
        scenario="silent",
        greeting="Hello.",
        silence_timeout_seconds=7,
        silence_prompt=SilencePromptSpec(times=2),
    )
    return await stage.play(spec)


async def talks_in_noise(stage: Stage) -> Call:
    llm = rules(LlmRule(hear="bye", say="Goodbye.", tool=HANG_UP))
    return await stage.play(listening(llm=llm, scenario="noisy"))


async def waits_for_a_slow_tool(stage: Stage) -> Call:
    llm = rules(
        LlmRule(
            hear="appointment",
            say="Ten is free. Goodbye.",
            tool=RuleTool(name="check_day", arguments={"day": "tomorrow"}),
        ),
        LlmRule(hear=".", say="Goodbye.", tool=HANG_UP),
    )
    server = SlowServer(stage.server()._folder)
    return await stage.play(
        call_spec(llm=llm, tools=[CUT_CALL, CHECK_DAY], greeting="Hello."), server
    )


class SlowServer(RecordingServer):
    async def call_tool(
        self, tool_call_id: str, name: str, arguments: dict[str, Any], timeout_seconds: float
    ) -> ToolAnswer:
        await asyncio.sleep(3.5)
        return ToolAnswer(result="10:00", is_error=False, duration_ms=3500)


async def is_not_interrupted_by_a_short_word(stage: Stage) -> Call:
    spec = call_spec(
        scenario="talks_over",
        greeting=DISCLOSURE,
        turn=TurnSpec(interruption_min_duration_ms=10_000),
        max_duration_seconds=9,
    )
    return await stage.play(spec)


async def is_told_the_truth_first(stage: Stage) -> Call:
    spec = call_spec(
        scenario="talks_over", disclosure_text=DISCLOSURE, greeting="Hi.", max_duration_seconds=9
    )
    return await stage.play(spec)


async def is_asked_to_stop(stage: Stage) -> Call:
    return await stage.play(listening(scenario="stop_calling", greeting="Hello."))


SCENARIOS: list[Scenario] = [
    leaves_a_message,
    listens_to_one_who_talks_over,
    listens_to_a_human,
    chooses_from_a_menu,
    talks_in_noise,
    asks_into_the_silence,
    waits_for_a_slow_tool,
    hangs_up_on_a_mailbox,
    is_transferred,
    is_not_taken_over,
    is_introduced,
    is_introduced_without_words,
    is_not_introduced,
    may_not_be_transferred,
    talks_on_with_a_mailbox,
    is_not_interrupted_by_a_short_word,
    is_told_the_truth_first,
    is_asked_to_stop,
]


@pytest.fixture(scope="module", autouse=True)
async def played(stage: Stage) -> AsyncIterator[SideBySide]:
    side_by_side = SideBySide(stage, SCENARIOS)
    yield side_by_side
    await side_by_side.stop()


def said_by_agent(call: Call) -> list[str]:
    return [text for role, text in call.server.words if role == "agent"]


async def test_a_mailbox_is_hung_up_on_before_its_beep(played: SideBySide) -> None:
    call: Call = await played.of(hangs_up_on_a_mailbox)

    assert call.server.end.code == "voicemail"
    assert not call.server.end.is_message_left
    assert call.line.said[0] != MAILBOX_GREETING, "it did not wait for the greeting's end"


async def test_a_message_is_left_after_the_beep_to_its_end(played: SideBySide) -> None:
    call: Call = await played.of(leaves_a_message)

    assert call.server.end.code == "voicemail"
    assert call.server.end.is_message_left
    assert call.line.said == [MAILBOX_GREETING]
    assert call.line.heard[-1] == MESSAGE
    greeting = next(each for each in call.line.stretches if each.who == "callee")
    left = call.server.turns[-1]
    assert (left.role, left.text, left.is_interrupted) == ("agent", MESSAGE, False)
    assert left.start_ms > greeting.end_ms + MAILBOX_PAUSE_MS + BEEP_MS
    assert "I see." not in said_by_agent(call), "the model does not talk with a recording"


async def test_an_agent_that_shall_go_on_talks_with_a_mailbox_as_with_a_person(
    played: SideBySide,
) -> None:
    call: Call = await played.of(talks_on_with_a_mailbox)

    assert call.server.end.code == "max_duration"


@pytest.mark.parametrize(
    "scenario", [listens_to_a_human, listens_to_one_who_talks_over, talks_in_noise]
)
async def test_a_person_is_not_taken_for_a_mailbox(played: SideBySide, scenario: Any) -> None:
    call: Call = await played.of(scenario)

    assert call.server.end.code == "agent_hangup"


async def test_an_agent_presses_the_key_that_a_menu_wants(played: SideBySide) -> None:
    call: Call = await played.of(chooses_from_a_menu)

    assert call.line.keys == "1"
    assert MENU_APPOINTMENTS in call.line.said
    pressed = next(turn for turn in call.server.turns if turn.dtmf)
    assert (pressed.role, pressed.dtmf) == ("agent", "1")
    assert [(tool.name, tool.result) for tool in pressed.tool_calls] == [
        ("send_dtmf", {"sent": "1"})
    ]
    assert call.server.end.code == "agent_hangup"


async def test_a_call_is_handed_over(played: SideBySide) -> None:
    call: Call = await played.of(is_transferred)

    assert call.server.end.code == "transferred"
    assert call.line.transferred_to == "+12025550100"
    assert [name for _, name, _, _ in call.server.tool_calls] == ["transfer_call"]


async def test_a_transfer_that_nobody_takes_comes_back_to_the_agent(played: SideBySide) -> None:
    call: Call = await played.of(is_not_taken_over)

    assert call.line.transferred_to is None
    tool = next(tool for turn in call.server.turns for tool in turn.tool_calls)
    assert tool.is_error
    assert "busy" in tool.result["error"]
    assert "Nobody is there." in said_by_agent(call)
    assert call.server.end.code == "agent_hangup"


async def test_a_warm_transfer_ends_after_the_introduction_which_the_callee_hears(
    played: SideBySide,
) -> None:
    call: Call = await played.of(is_introduced)

    assert call.server.end.code == "transferred"
    assert call.server.end.detail == "To billing."
    assert call.line.transferred_to == "+12025550100"
    assert call.line.heard[-1].endswith(INTRODUCTION)
    assert said_by_agent(call)[-2:] == [INTRODUCTION, ""]
    tool = call.server.turns[-1].tool_calls[0]
    assert (tool.is_error, tool.result) == (False, {"to_number": "+12025550100", "mode": "warm"})


async def test_where_the_model_introduces_nobody_they_are_told_that_they_are_connected(
    played: SideBySide,
) -> None:
    call: Call = await played.of(is_introduced_without_words)

    assert phrases_in("en").connected in said_by_agent(call)
    assert call.server.end.code == "transferred"


async def test_a_warm_transfer_that_nobody_takes_comes_back_to_the_agent(
    played: SideBySide,
) -> None:
    call: Call = await played.of(is_not_introduced)

    tool = next(tool for turn in call.server.turns for tool in turn.tool_calls)
    assert tool.is_error
    assert "busy" in tool.result["error"]
    assert INTRODUCTION not in said_by_agent(call)
    assert call.server.end.code == "agent_hangup"


async def test_a_transfer_that_the_server_forbids_is_not_tried(played: SideBySide) -> None:
    call: Call = await played.of(may_not_be_transferred)

    assert call.line.transferred_to is None
    assert call.server.end.code == "agent_hangup"


async def test_an_agent_asks_into_a_silence_and_then_it_ends_the_call(played: SideBySide) -> None:
    call: Call = await played.of(asks_into_the_silence)

    assert said_by_agent(call) == ["Hello.", STILL_THERE]
    assert call.server.end.code == "silence_timeout"
    asked = call.server.turns[-1]
    assert 3_300 <= asked.start_ms - call.server.turns[0].end_ms <= 4_700


async def test_turns_are_taken_in_noise_and_no_word_is_lost(played: SideBySide) -> None:
    call: Call = await played.of(talks_in_noise)

    said = [text for role, text in call.server.words if role == "user"]
    assert said == call.line.said


async def test_a_slow_tool_is_spoken_over(played: SideBySide) -> None:
    call: Call = await played.of(waits_for_a_slow_tool)

    said = said_by_agent(call)
    assert said[:3] == ["Hello.", MOMENT, "Ten is free. Goodbye."]


async def test_speech_shorter_than_the_agents_setting_does_not_interrupt(
    played: SideBySide,
) -> None:
    call: Call = await played.of(is_not_interrupted_by_a_short_word)

    assert call.server.turns[0].text == DISCLOSURE
    assert not call.server.turns[0].is_interrupted
    assert INTERRUPTION in call.line.said


async def test_the_disclosure_comes_first_and_whole_whoever_talks_over_it(
    played: SideBySide,
) -> None:
    call: Call = await played.of(is_told_the_truth_first)

    assert call.server.turns[0].text == DISCLOSURE
    assert not call.server.turns[0].is_interrupted


async def test_what_somebody_says_who_wants_no_calls_is_on_the_record(played: SideBySide) -> None:
    call: Call = await played.of(is_asked_to_stop)

    assert ("user", STOP_CALLING) in call.server.words
    assert call.server.end.code == "remote_hangup"


@pytest.mark.parametrize(
    ("digits", "code", "sip_status", "rings"),
    [
        ("05", "unreachable", 480, False),
        ("11", "provider_unavailable", 503, False),
        ("12", "provider_rate_limited", 429, False),
        ("13", "no_answer", None, True),  # it would answer after 20 s
    ],
)
async def test_a_number_that_is_not_reached_says_why(
    stage: Stage, digits: str, code: str, sip_status: int | None, rings: bool
) -> None:
    call = await stage.play(call_spec(to_number=f"+120255501{digits}", ring_timeout_seconds=1))

    assert (call.server.end.code, call.server.end.sip_status) == (code, sip_status)
    assert ("ringing" in call.server.types) == rings


@pytest.mark.parametrize(
    ("digits", "keys"),
    [("1", "1"), ("#1w2*", "#1w2*"), ("1 2-3", "123"), ("aBcD", "ABCD"), ("W1", "w1")],
)
def test_keys_are_read_as_people_and_models_write_them(digits: str, keys: str) -> None:
    assert phone_tools.keys_of(digits) == keys


@pytest.mark.parametrize("digits", ["", "w", "E", "1;2", "one", "+1", "1" * 65, "१"])
def test_what_no_telephone_has_is_not_pressed(digits: str) -> None:
    assert phone_tools.keys_of(digits) is None


@pytest.mark.parametrize(
    ("seconds", "times", "instants"),
    [(20, 2, [10, 15]), (20, 1, [10]), (20, 0, []), (10, 2, [5]), (5, 2, []), (12, 2, [6, 9])],
)
def test_each_prompt_leaves_time_to_answer(seconds: int, times: int, instants: list[float]) -> None:
    assert prompt_instants(seconds, times) == instants


async def test_a_line_that_is_lost_after_dialing_leaves_the_outcome_open(stage: Stage) -> None:
    call = await stage.play(call_spec(to_number="+12025550115"))

    assert call.server.end.code == "outcome_unknown"
    assert call.server.types == ["agent_ready", "ringing", "ended"]
