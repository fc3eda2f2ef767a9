"""The same callees with sound and by text: what is the same, and that what differs is what the guide says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.server.support.call_server import RecordingServer
from tests.server.support.call_specs import CHECK_DAY, CUT_CALL, HANG_UP, call_spec, rules
from tests.server.support.text_calls import by_text
from tests.server.support.voice_calls import SideBySide, Stage

from bolti_server.agents.specs import SEND_DTMF
from bolti_server.worker_api.messages import (
    CallSpec,
    LlmRule,
    RuleTool,
    SttSpec,
    ToolAnswer,
    ToolSpec,
    TurnReport,
)

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "text-line.md"
GREETING = (
    "Hello, this is the front desk of Bright Dental, and it is so nice that we can speak today."
)
LLM = rules(
    LlmRule(hear="press 1", tool=RuleTool(name="send_dtmf", arguments={"digits": "1"})),
    LlmRule(
        hear="book an appointment",
        say="Ten is free. Goodbye.",
        tool=RuleTool(name="check_day", arguments={"day": "tomorrow"}),
    ),
    LlmRule(hear="question|through to|stop calling|call me back", say="Goodbye.", tool=HANG_UP),
    LlmRule(hear="bye", say="Goodbye.", tool=HANG_UP),
)
# The built-in callees by their number's last two digits. 13 is 00 after 20 s of ringing.
REFUSING = ["01", "03", "04", "05", "11", "12", "15"]
TALKING = ["00", "06", "07", "08", "09", "10", "14", "16", "17"]


def spec_of(digits: str, **changes: Any) -> CallSpec:
    # A greeting that the callee can talk into; others are met with a short one, since sound takes its time.
    greeting = GREETING if digits in ("07", "08") else "Hello, this is the front desk."
    defaults: dict[str, Any] = {
        "to_number": f"+120255501{digits}",
        "greeting": None if digits in ("06", "10") else greeting,
        "llm": LLM,
        "tools": [CUT_CALL, CHECK_DAY, SEND_DTMF],
        "silence_timeout_seconds": 8,
        "max_duration_seconds": 40,
    }
    return call_spec(**{**defaults, **changes})


def check_day(name: str, arguments: dict[str, Any]) -> ToolAnswer:
    assert (name, arguments) == ("check_day", {"day": "tomorrow"})
    return ToolAnswer(result={"free": ["10:00"]}, is_error=False, duration_ms=41)


def _with_sound(digits: str) -> Any:
    async def play(stage: Stage) -> RecordingServer:
        call = await stage.play(spec_of(digits), stage.server(check_day))
        return call.server

    return play


PLAYS = {digits: _with_sound(digits) for digits in [*TALKING, *REFUSING]}


@pytest.fixture(scope="module", autouse=True)
async def played(stage: Stage) -> AsyncIterator[SideBySide]:
    side_by_side = SideBySide(stage, list(PLAYS.values()))
    yield side_by_side
    await side_by_side.stop()


async def both(played: SideBySide, digits: str) -> tuple[RecordingServer, RecordingServer]:
    text = await by_text(spec_of(digits), tool=check_day)
    return await played.of(PLAYS[digits]), text


def said(turn: TurnReport) -> tuple[str, str | None, str | None, bool]:
    """Without the words of a turn that was cut: at which word exactly may differ."""
    words = None if turn.is_interrupted else turn.text
    return turn.role, words, turn.dtmf, turn.is_interrupted


@pytest.mark.parametrize("digits", [*TALKING, *REFUSING])
async def test_a_callee_is_the_same_by_text_and_with_sound(played: SideBySide, digits: str) -> None:
    audio, text = await both(played, digits)

    assert (text.end.code, text.end.sip_status) == (audio.end.code, audio.end.sip_status)
    assert [said(turn) for turn in text.turns] == [said(turn) for turn in audio.turns]
    assert [_tools(turn) for turn in text.turns] == [_tools(turn) for turn in audio.turns]
    assert [each[1:] for each in text.tool_calls] == [each[1:] for each in audio.tool_calls]
    assert set(text.types) == set(audio.types)
    assert text.types[:2] == audio.types[:2]
    assert text.dial_intents == audio.dial_intents == 1


def _tools(turn: TurnReport) -> list[tuple[str, Any, bool]]:
    return [(each.name, each.arguments, each.is_error) for each in turn.tool_calls]


# ---- What may differ: a test for each row of the guide's table ----


async def differs_in_times(played: SideBySide) -> None:
    audio, text = await both(played, "00")
    for heard, read in zip(audio.turns, text.turns, strict=True):
        assert abs(heard.start_ms - read.start_ms) <= 500 + 0.15 * heard.start_ms
        length = heard.end_ms - heard.start_ms
        assert abs(length - (read.end_ms - read.start_ms)) <= 300 + 0.25 * length


async def differs_in_the_word_at_which_speech_breaks_off(played: SideBySide) -> None:
    for digits in ("07", "08"):
        audio, text = await both(played, digits)
        heard, read = audio.turns[0].text.split(), text.turns[0].text.split()
        assert heard != [], "something was said"
        assert heard[:3] == read[:3] == GREETING.split()[:3]
        assert abs(len(heard) - len(read)) <= 3


async def differs_in_recordings(played: SideBySide) -> None:
    spec = spec_of("00", is_recording_enabled=True)
    assert not (await by_text(spec, tool=check_day)).end.has_recording


async def differs_in_noise(played: SideBySide) -> None:
    noisy = await by_text(spec_of("14"), tool=check_day)
    quiet = await by_text(spec_of("00"), tool=check_day)
    assert [(turn.text, turn.start_ms) for turn in noisy.turns] == [
        (turn.text, turn.start_ms) for turn in quiet.turns
    ]


async def differs_in_speech_models(played: SideBySide) -> None:
    spec = spec_of("00", stt=SttSpec(provider="deaf, dumb and unpaid"))
    text = await by_text(spec, tool=check_day)
    assert text.end.code == "agent_hangup"


async def differs_in_usage(played: SideBySide) -> None:
    audio, text = await both(played, "00")
    assert {each.component for each in audio.end.usage} == {"stt", "llm", "tts"}
    assert {each.component for each in text.end.usage} == {"llm"}
    assert text.end.usage[0] == next(
        msgspec.structs.replace(each, model=text.end.usage[0].model)
        for each in audio.end.usage
        if each.component == "llm"
    )


async def differs_in_duration(played: SideBySide) -> None:
    audio, text = await both(played, "00")
    assert audio.end.virtual_ms is None
    assert text.end.virtual_ms == text.turns[-1].end_ms


async def differs_in_mailboxes(played: SideBySide) -> None:
    spec = spec_of("06", is_answering_machine_detection_enabled=True)
    assert (await by_text(spec)).end.code == "remote_hangup"


async def differs_in_transfers(played: SideBySide) -> None:
    transfer = ToolSpec(name="transfer_call", description="", parameters={}, is_built_in=True)
    llm = rules(
        LlmRule(hear="appointment", say="Goodbye.", tool=RuleTool(name="transfer_call")),
        LlmRule(hear=".", say="Goodbye.", tool=HANG_UP),
    )
    text = await by_text(spec_of("00", llm=llm, tools=[CUT_CALL, transfer]))
    assert text.tool_calls == []
    assert text.end.code == "agent_hangup"


DIFFERENCES = {
    "Times": differs_in_times,
    "The word at which speech breaks off": differs_in_the_word_at_which_speech_breaks_off,
    "Recording": differs_in_recordings,
    "Noise": differs_in_noise,
    "Speech recognition and voice": differs_in_speech_models,
    "Usage": differs_in_usage,
    "Duration and price": differs_in_duration,
    "Mailboxes": differs_in_mailboxes,
    "Transfers": differs_in_transfers,
}


@pytest.mark.parametrize("what", DIFFERENCES)
async def test_what_differs_differs_as_the_guide_says(played: SideBySide, what: str) -> None:
    await DIFFERENCES[what](played)


async def test_the_guide_lists_what_may_differ_and_nothing_else() -> None:
    guide = await asyncio.to_thread(GUIDE.read_text, encoding="utf-8")
    rows = re.findall(r"^\| \*\*(.+?)\*\* \|", guide, re.MULTILINE)
    assert rows == list(DIFFERENCES)
