"""The same calls with sound and by text: what is the same, and that what differs is what the guide says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.server.support.both_lines import (
    BothLines,
    Situation,
    SlowServer,
    answering,
    assert_same_outcome,
)
from tests.server.support.call_specs import (
    CHECK_DAY,
    CUT_CALL,
    HANG_UP,
    built_in,
    call_spec,
    rules,
    with_script,
)
from tests.server.support.text_calls import by_text
from tests.server.support.voice_calls import Stage

from bolti_server.agents.specs import SEND_DTMF
from bolti_server.simulated.callee_scripts import MAILBOX_GREETING
from bolti_server.worker_api.messages import (
    CallSpec,
    LlmRule,
    LlmSpec,
    RuleTool,
    SilencePromptSpec,
    SttSpec,
    ToolAnswer,
    VoicemailSpec,
)

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "text-line.md"
GREETING = (
    "Hello, this is the front desk of Bright Dental, and it is so nice that we can speak today."
)
DAY = RuleTool(name="check_day", arguments={"day": "tomorrow"})
FREE = {"free": ["10:00"]}
LLM = rules(
    LlmRule(hear="press 1", tool=RuleTool(name="send_dtmf", arguments={"digits": "1"})),
    LlmRule(hear="book an appointment", say="Ten is free. Goodbye.", tool=DAY),
    LlmRule(hear="question|through to|stop calling|call me back", say="Goodbye.", tool=HANG_UP),
    LlmRule(hear="bye", say="Goodbye.", tool=HANG_UP),
)
NUMBERS = [f"{index:02}" for index in range(18)]


def spec_of(digits: str, **changes: Any) -> CallSpec:
    """A call to the built-in callee whose number ends so."""
    # A greeting that the callee can talk into; others are met with a short one, since sound takes its time.
    greeting = GREETING if digits in ("07", "08") else "Hello, this is the front desk."
    defaults: dict[str, Any] = {
        "to_number": f"+120255501{digits}",
        "greeting": None if digits in ("06", "10") else greeting,
        "llm": LLM,
        "tools": [CUT_CALL, CHECK_DAY, SEND_DTMF],
        "silence_timeout_seconds": 8,
        "max_duration_seconds": 40,
        "ring_timeout_seconds": 1 if digits in ("02", "13") else 2,
    }
    return call_spec(**{**defaults, **changes})


def check_day(name: str, arguments: dict[str, Any]) -> ToolAnswer:
    assert (name, arguments) == (DAY.name, DAY.arguments)
    return ToolAnswer(result=FREE, is_error=False, duration_ms=41)


# ---- More than a number says ----

MESSAGE = "Hello, this is Asha from Bright Dental. Please call us back. Goodbye."
TRANSFER = built_in("transfer_call")
SLOW_MS = 4_500  # longer than the words about it


def mailbox(behaviour: str, *steps: str, **changes: Any) -> Situation:
    voicemail = msgspec.convert({"behaviour": behaviour, "message": MESSAGE}, VoicemailSpec)
    changes = {"voicemail": voicemail, "is_answering_machine_detection_enabled": True, **changes}
    spec = spec_of("06", max_duration_seconds=20, llm=rules(), **changes)
    return Situation(with_script(spec, *steps) if steps else spec)


def transfer(
    digits: str, result: Any = None, *, is_error: bool = False, **arguments: str
) -> Situation:
    llm = rules(
        LlmRule(
            hear="appointment",
            say="Nobody is there.",
            tool=RuleTool(name="transfer_call", arguments={"target": "billing", **arguments}),
        ),
        LlmRule(hear=".", say="Goodbye.", tool=HANG_UP),
    )
    spec = spec_of("00", llm=llm, tools=[CUT_CALL, TRANSFER])
    to_number = {"to_number": f"+120255501{digits}"}
    return Situation(spec, answering(result or to_number, is_error=is_error))


def keys(digits: str, *, max_duration_seconds: int) -> Situation:
    press = RuleTool(name="send_dtmf", arguments={"digits": digits})
    llm = rules(
        LlmRule(hear="press 1", say="I press.", tool=press),
        LlmRule(hear="through to", say="Goodbye.", tool=HANG_UP),
    )
    return Situation(spec_of("10", llm=llm, max_duration_seconds=max_duration_seconds))


def pressing(key: str) -> Situation:
    """The callee presses that, of an agent whose key for no more calls is 9."""
    spec = spec_of("00", greeting="Hello.", llm=rules(), opt_out_key="9")
    return Situation(
        with_script(spec, "wait_for_agent", f"press: '{key}'", "wait: 2500", "hang_up")
    )


def slow_tool(*steps: str, llm: LlmSpec = LLM) -> Situation:
    spec = spec_of("00", greeting="Hello.", llm=llm)
    return Situation(
        with_script(spec, *steps) if steps else spec,
        answering(FREE, ms=SLOW_MS),
        lambda stage: SlowServer(stage.folder(), answering(FREE, ms=SLOW_MS), SLOW_MS / 1000),
    )


WISHES = ("wait_for_agent", "say: I would like to book an appointment.")
HERE = rules(
    LlmRule(hear="appointment", say="Ten is free.", tool=DAY),
    LlmRule(hear="are you there", say="I am here.", tool=HANG_UP),
)
TOM = "say: You have reached the mailbox of Tom."
SITUATIONS: dict[str, Situation] = {
    **{digits: Situation(spec_of(digits), check_day) for digits in NUMBERS},
    "13 in the end": Situation(spec_of("13", ring_timeout_seconds=25), check_day),
    "a mailbox is hung up on": mailbox("hang_up"),
    "a mailbox that is greeted is hung up on": mailbox(
        "hang_up", greeting="Hi, this is the front desk."
    ),
    "a message is left": mailbox("leave_message"),
    "a mailbox is talked to": mailbox("continue"),
    "a mailbox without a message": mailbox("leave_message", voicemail=VoicemailSpec()),
    "a mailbox without a beep": mailbox("leave_message", TOM, "wait: 15000"),
    "a mailbox that is full": mailbox("leave_message", TOM, "hang_up"),
    "a mailbox hangs up in the message": mailbox(
        "leave_message", TOM, "beep", "wait: 1800", "hang_up"
    ),
    "a monologue and a beep": mailbox(
        "leave_message",
        "say: Hi this is Tom and I am at my cottage by the sea for this week so please try again on Monday thank you.",
        "beep: 250",
        "wait: 12000",
    ),
    "somebody by an oven": mailbox("leave_message", "say: Hello?", "beep: 400", "wait: 4000"),
    "a person": mailbox("leave_message", "say: Hello?", "wait_for_agent", "wait: 800"),
    "handed over": transfer("00"),
    "introduced": transfer(
        "00",
        {"to_number": "+12025550100", "mode": "warm"},
        introduction="This is Ravi, who wants an appointment.",
    ),
    "introduced without words": transfer("00", {"to_number": "+12025550100", "mode": "warm"}),
    "introduced to a busy number": transfer("01", {"to_number": "+12025550101", "mode": "warm"}),
    "handed over to a busy number": transfer("01"),
    "handed over to nobody": transfer("02"),
    "handed over to one who declines": transfer("03"),
    "handed over to one who answers late": transfer("13"),
    "handed over against the rules": transfer(
        "00", {"error": "That number may not be called."}, is_error=True
    ),
    "keys with a pause": keys("1w", max_duration_seconds=40),
    "keys that there are not": keys("x", max_duration_seconds=12),
    "a key for no more calls": pressing("9"),
    "a key for something else": pressing("1"),
    "a slow tool": slow_tool(),
    "words while a tool is slow": slow_tool(
        *WISHES, "wait: 200", "say: Hello are you there?", "wait_for_hang_up", llm=HERE
    ),
    "gone while a tool is slow": slow_tool(*WISHES, "wait: 900", "hang_up"),
    "asked into the silence": Situation(
        spec_of("09", silence_prompt=SilencePromptSpec(times=1)), check_day
    ),
}


@pytest.fixture(scope="module")
async def played(stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[BothLines]:
    """What is asked for by name (`-k`), and what the differences look at."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    names = {call.params["name"] for call in calls if call is not None and "name" in call.params}
    wanted = {name: each for name, each in SITUATIONS.items() if name in names | LOOKED_AT}
    both_lines = BothLines(stage, wanted)
    yield both_lines
    await both_lines.stop()


@pytest.mark.parametrize("name", SITUATIONS)
async def test_a_call_is_the_same_by_text_and_with_sound(played: BothLines, name: str) -> None:
    assert_same_outcome(*await played.of(name))


# What is compared is worth comparing: each of these ends of its own kind, on both lines.
ENDS = {
    "a mailbox is hung up on": ("voicemail", False),
    "a message is left": ("voicemail", True),
    "a mailbox is talked to": ("remote_hangup", False),
    "a mailbox without a message": ("voicemail", False),
    "a mailbox without a beep": ("voicemail", True),
    "a mailbox that is full": ("voicemail", False),
    "a mailbox hangs up in the message": ("voicemail", True),
    "a monologue and a beep": ("voicemail", True),
    "somebody by an oven": ("remote_hangup", False),
    "a person": ("remote_hangup", False),
    "handed over": ("transferred", False),
    "introduced": ("transferred", False),
    "introduced without words": ("transferred", False),
    "introduced to a busy number": ("agent_hangup", False),
    "handed over to a busy number": ("agent_hangup", False),
    "a key for no more calls": ("agent_hangup", False),
    "a key for something else": ("remote_hangup", False),
    "13": ("no_answer", False),
    "13 in the end": ("agent_hangup", False),
}


@pytest.mark.parametrize("name", ENDS)
async def test_a_call_ends_as_it_should(name: str) -> None:
    situation = SITUATIONS[name]
    end = (await by_text(situation.spec, tool=situation.tool)).end
    assert (end.code, end.is_message_left) == ENDS[name]


async def test_the_mailbox_is_hung_up_on_before_its_beep_and_the_message_comes_after_it() -> None:
    hung_up = await by_text(SITUATIONS["a mailbox is hung up on"].spec)
    assert MAILBOX_GREETING.startswith(hung_up.turns[-1].text)
    assert hung_up.turns[-1].text != MAILBOX_GREETING
    left = await by_text(SITUATIONS["a message is left"].spec)
    assert left.words == [("user", MAILBOX_GREETING), ("agent", MESSAGE)]
    greeting, message = left.turns
    assert message.start_ms - greeting.end_ms == 400 + 500 + 300  # pause, beep, and a breath


# ---- What may differ: a test for each row of the guide's table ----


async def differs_in_times(played: BothLines) -> None:
    audio, text = await played.of("00")
    for heard, read in zip(audio.turns, text.turns, strict=True):
        assert abs(heard.start_ms - read.start_ms) <= 500 + 0.15 * heard.start_ms
        length = heard.end_ms - heard.start_ms
        assert abs(length - (read.end_ms - read.start_ms)) <= 300 + 0.25 * length


async def differs_in_the_word_at_which_speech_breaks_off(played: BothLines) -> None:
    for digits in ("07", "08"):
        audio, text = await played.of(digits)
        heard, read = audio.turns[0].text.split(), text.turns[0].text.split()
        assert heard != [], "something was said"
        assert heard[:3] == read[:3] == GREETING.split()[:3]
        assert abs(len(heard) - len(read)) <= 3


async def differs_in_recordings(_played: BothLines) -> None:
    spec = spec_of("00", is_recording_enabled=True)
    assert not (await by_text(spec, tool=check_day)).end.has_recording


async def differs_in_noise(_played: BothLines) -> None:
    noisy = await by_text(spec_of("14"), tool=check_day)
    quiet = await by_text(spec_of("00"), tool=check_day)
    assert [(turn.text, turn.start_ms) for turn in noisy.turns] == [
        (turn.text, turn.start_ms) for turn in quiet.turns
    ]


async def differs_in_speech_models(_played: BothLines) -> None:
    spec = spec_of("00", stt=SttSpec(provider="deaf, dumb and unpaid"))
    text = await by_text(spec, tool=check_day)
    assert text.end.code == "agent_hangup"


async def differs_in_usage(played: BothLines) -> None:
    audio, text = await played.of("00")
    assert {each.component for each in audio.end.usage} == {"stt", "llm", "tts"}
    assert text.end.usage == [each for each in audio.end.usage if each.component == "llm"]


async def differs_in_duration(played: BothLines) -> None:
    audio, text = await played.of("00")
    assert audio.end.virtual_ms is None
    assert text.end.virtual_ms == text.turns[-1].end_ms


DIFFERENCES = {
    "Times": differs_in_times,
    "The word at which speech breaks off": differs_in_the_word_at_which_speech_breaks_off,
    "Recording": differs_in_recordings,
    "Noise": differs_in_noise,
    "Speech recognition and voice": differs_in_speech_models,
    "Usage": differs_in_usage,
    "Duration and price": differs_in_duration,
}
LOOKED_AT = {"00", "07", "08"}


@pytest.mark.parametrize("what", DIFFERENCES)
async def test_what_differs_differs_as_the_guide_says(played: BothLines, what: str) -> None:
    await DIFFERENCES[what](played)


async def test_the_guide_lists_what_may_differ_and_nothing_else() -> None:
    guide = await asyncio.to_thread(GUIDE.read_text, encoding="utf-8")
    rows = re.findall(r"^\| \*\*(.+?)\*\* \|", guide, re.MULTILINE)
    assert rows == list(DIFFERENCES)
