"""Mailboxes on a text line, at their limits; what is the same with sound is in test_text_and_audio.py."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.server.support.call_server import RecordingServer
from tests.server.support.call_specs import CUT_CALL, call_spec, rules, with_script
from tests.server.support.text_calls import by_text

from bolti_server.voice.text_call import run_text_call
from bolti_server.voice.text_models import Reply, RuleModel, TextModel
from bolti_server.worker_api.messages import CallSpec, Command, SpokenTurn, VoicemailSpec

MESSAGE = "Hello, this is Asha from Bright Dental. Please call us back. Goodbye."
TOM = "say: You have reached the mailbox of Tom."
MONOLOGUE = "say: Hi this is Tom and I am at my cottage by the sea for this week so please try again on Monday thank you."
BOTH_PHRASES = "say: You have reached the mailbox of Tom, leave a message after the tone."


def leaving(*steps: str, message: str | None = MESSAGE, **changes: Any) -> CallSpec:
    defaults: dict[str, Any] = {
        "voicemail": VoicemailSpec(behaviour="leave_message", message=message),
        "is_answering_machine_detection_enabled": True,
        "greeting": None,
        "max_duration_seconds": 300,
    }
    return with_script(call_spec(**{**defaults, **changes}), *steps)


@pytest.mark.parametrize(("length_ms", "is_left"), [(200, True), (120, False)])
async def test_a_tone_counts_where_it_is_long_enough_for_a_beep(
    length_ms: int, is_left: bool
) -> None:
    server = await by_text(leaving(MONOLOGUE, f"beep: {length_ms}", "wait: 9000"))
    assert server.end.is_message_left is is_left


async def test_a_mailbox_that_talks_for_ever_gets_its_message_after_a_minute() -> None:
    talk = ["say: Please wait for a very little while longer, it will begin quite soon."] * 30
    server = await by_text(leaving(TOM, *talk))
    message = next(turn for turn in server.turns if turn.role == "agent")
    assert (message.text, message.is_interrupted) == (MESSAGE, False)
    assert 60_000 < message.start_ms < 63_000
    assert server.end.is_message_left


async def test_a_message_without_end_is_cut_after_a_minute_and_a_half() -> None:
    server = await by_text(leaving(TOM, "beep", "wait: 120000", message="Please call back. " * 200))
    message = server.turns[-1]
    assert message.is_interrupted
    assert message.end_ms - message.start_ms == 90_000
    assert (server.end.code, server.end.is_message_left) == ("voicemail", True)


async def test_whoever_talks_over_a_message_does_not_stop_it() -> None:
    server = await by_text(
        leaving(
            TOM,
            "beep",
            "wait: 1000",
            "say: Hello hello, I am here after all, please stop.",
            "wait: 9000",
        )
    )
    assert ("agent", MESSAGE) in server.words
    assert not any(turn.is_interrupted for turn in server.turns)


async def test_whoever_was_a_person_at_first_is_one_to_the_end() -> None:
    spec = leaving("say: Hello?", "wait_for_agent", BOTH_PHRASES, "beep", "wait_for_agent")
    server = await by_text(spec)
    assert server.end.code == "remote_hangup"


@pytest.mark.parametrize(
    "changes",
    [
        {"is_answering_machine_detection_enabled": False},
        {"voicemail": VoicemailSpec(behaviour="continue", message=MESSAGE)},
        {"transcript_so_far": [SpokenTurn("user", "Yes, speaking.")]},
    ],
)
async def test_nothing_is_listened_for_where_it_is_not_asked_for(changes: Any) -> None:
    server = await by_text(leaving(BOTH_PHRASES, "beep", "wait_for_agent", **changes))
    assert server.end.code == "remote_hangup"
    assert MESSAGE not in [text for _, text in server.words]


async def test_a_mailbox_is_hung_up_on_where_no_message_is_to_be_left() -> None:
    changes = {"voicemail": VoicemailSpec(behaviour="hang_up", message=MESSAGE)}
    server = await by_text(leaving(TOM, "beep", "wait: 9000", **changes))
    assert (server.end.code, server.end.is_message_left) == ("voicemail", False)
    assert [role for role, _ in server.words] == ["user"]


async def test_a_mailbox_is_found_at_the_word_that_proves_it() -> None:
    changes = {"voicemail": VoicemailSpec(behaviour="hang_up")}
    server = await by_text(leaving(f"{TOM} I am at the sea.", "wait: 9000", **changes))
    assert server.words == [("user", "You have reached the mailbox")]


async def test_what_the_agent_says_when_a_mailbox_is_found_is_cut_and_on_the_record() -> None:
    long = "I am so glad that I can speak with you today, because I have a lot to tell you, madam."
    llm = rules(default_reply=long)
    talk = "say: Good morning to all of you, this is the telephone of the family of Tom and Mary."
    server = await by_text(leaving(talk, "wait: 900", BOTH_PHRASES, "beep", "wait: 9000", llm=llm))
    answer = server.turns[1]
    assert (answer.role, answer.is_interrupted) == ("agent", True)
    assert long.startswith(answer.text)
    assert [role for role, _ in server.words] == ["user", "agent", "user", "agent"]
    assert server.words[-1] == ("agent", MESSAGE)


async def test_a_line_that_breaks_is_no_mailbox_that_hung_up() -> None:
    spec = leaving(TOM, "wait: 200", max_duration_seconds=2)  # the cap comes while it waits
    server = await by_text(spec)
    assert (server.end.code, server.end.is_message_left) == ("max_duration", False)


async def test_last_words_are_said_to_their_end_whatever_is_found_meanwhile() -> None:
    server = RecordingServer(Path("/nonexistent"))
    talk = "say: Good morning to all of you, this is the telephone of the family of Tom and Mary."
    spec = leaving(talk, "wait: 900", BOTH_PHRASES, "wait: 9000", tools=[CUT_CALL])
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
    last = (
        "I am sorry, but we have to stop here, because somebody wants it so. Have a good day then."
    )
    server.send(Command(number=1, type="say_then_end", text=last))
    await asyncio.wait_for(call, 5)
    assert ("agent", last) in server.words
    assert server.end.code == "ended_by_user"
