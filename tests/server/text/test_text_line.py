"""The text line's own rules, one by one: who hears what, and what it takes in its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.support.call_server import RecordingServer
from tests.server.support.call_specs import call_spec, rules
from tests.server.support.text_calls import (
    LONG,
    OVER,
    Scripted,
    by_text,
    heard_by_text,
    says,
    scripted,
)

from bolti_server.simulated.callees import Callee
from bolti_server.simulated.phone import Phone
from bolti_server.simulated.text.clock import VirtualClock
from bolti_server.simulated.text.line import TextLine
from bolti_server.simulated.text.pace import spoken_ms
from bolti_server.voice.text_call import run_text_call
from bolti_server.voice.text_models import Reply, RuleModel, TextModel
from bolti_server.worker_api.errors import ServerUnreachable
from bolti_server.worker_api.messages import (
    CallSpec,
    Command,
    LlmSpec,
    SilencePromptSpec,
    SpokenTurn,
    SttSpec,
    TtsSpec,
    TurnSpec,
)

# ---- Turns ----


async def test_a_short_pause_is_inside_a_turn_and_a_long_one_ends_it() -> None:
    for pause_ms, turns in ((200, ["One. Two."]), (400, ["One.", "Two."])):
        spec = scripted(
            "wait_for_agent", "say: One.", f"wait: {pause_ms}", "say: Two.", "wait: 999"
        )
        server = await heard_by_text(spec, says(""))
        assert [text for role, text in server.words if role == "user"] == turns


async def test_the_agent_stops_a_moment_after_the_callee_began_and_no_sooner() -> None:
    spec = scripted(
        "wait_for_voice: 1000", OVER, "wait: 2000",
        greeting=LONG, turn=TurnSpec(interruption_min_duration_ms=700),
    )  # fmt: skip
    server = await heard_by_text(spec, says(""))
    greeting, over = server.turns
    assert greeting.is_interrupted
    assert greeting.end_ms - over.start_ms == 700 + 100


async def test_one_short_word_stops_the_agent_when_it_is_a_turn() -> None:
    spec = scripted(
        "wait_for_voice: 1000", "say: Okay.", "wait: 3000",
        greeting=LONG, turn=TurnSpec(interruption_min_duration_ms=600),
    )  # fmt: skip
    server = await heard_by_text(spec, says(""))
    greeting, word = server.turns
    assert greeting.is_interrupted
    assert greeting.end_ms - word.end_ms == TurnSpec().endpointing_min_delay_ms


async def test_of_what_is_said_into_the_end_of_a_disclosure_the_rest_is_heard() -> None:
    spec = scripted(
        f"wait_for_voice: {spoken_ms(LONG) - 900}",
        "say: Here I am speaking into it, and now I am speaking after it has ended.",
        "wait: 900",
        greeting=None,
        disclosure_text=LONG,
    )
    server = await heard_by_text(spec, says(""))
    assert server.turns[0].text == LONG
    heard = server.turns[1].text
    assert heard.endswith("after it has ended.")
    assert not heard.startswith("Here")


async def test_words_that_the_end_of_the_call_cuts_are_on_the_record_as_far_as_they_were_said() -> (
    None
):
    spec = scripted("wait_for_agent", f"say: {LONG}", max_duration_seconds=3)
    server = await heard_by_text(spec, says(""))
    user = server.turns[-1]
    assert (user.role, user.end_ms, user.is_interrupted) == ("user", 3000, False)
    assert LONG.startswith(user.text)
    assert 0 < len(user.text) < len(LONG)


async def test_what_the_callee_said_last_is_on_the_record_though_nobody_answered() -> None:
    server = await heard_by_text(
        scripted("wait_for_agent", "say: Never mind.", "hang_up"), says("")
    )
    assert server.words == [("agent", "Hello."), ("user", "Never mind.")]


async def test_of_the_agent_s_last_words_those_are_stored_that_were_heard() -> None:
    server = await by_text(scripted("wait_for_voice: 1500", "hang_up", greeting=LONG))
    (greeting,) = server.turns
    assert greeting.is_interrupted
    assert 1500 <= greeting.end_ms <= 1600
    assert LONG.startswith(greeting.text)


async def test_an_agent_that_was_cut_before_a_word_was_heard_has_said_nothing() -> None:
    server = await by_text(scripted("wait_for_voice: 20", "hang_up", greeting=LONG))
    assert server.turns == []


async def test_what_the_agent_says_while_the_callee_talks_is_no_answer_to_it() -> None:
    turn = TurnSpec(is_interruption_enabled=False)
    spec = scripted(f"say: {LONG}", "wait_for_agent: 500", turn=turn)
    server = await heard_by_text(spec, says(""))
    assert server.turns[0].text == "Hello."
    assert server.end.virtual_ms == spoken_ms(LONG) + 500


async def test_an_agent_that_replaces_another_does_not_greet_again() -> None:
    before = [SpokenTurn("agent", "Hello."), SpokenTurn("user", "Yes?")]
    spec = scripted("wait: 500", transcript_so_far=before, disclosure_text="It is recorded.")
    assert (await heard_by_text(spec, says(""))).turns == []


# ---- Time ----


async def test_what_models_are_scripted_to_take_passes_before_the_answer() -> None:
    spec = scripted(
        "wait_for_agent", "say: Hi.", "wait_for_agent",
        stt=SttSpec(provider="simulated", final_delay_ms=900),
        llm=LlmSpec(provider="simulated", rules=[], first_token_delay_ms=250),
        tts=TtsSpec(provider="simulated", first_audio_delay_ms=150),
    )  # fmt: skip
    server = await by_text(spec)
    _, user, agent = server.turns
    assert agent.start_ms - user.end_ms == 900 + 250 + 150
    assert agent.latency is not None
    assert (agent.latency.end_of_turn_ms, agent.latency.llm_first_token_ms) == (900, 250)


async def test_a_question_into_the_silence_takes_no_silence_away() -> None:
    prompt = SilencePromptSpec(times=1, text="Are you there?")
    spec = scripted("wait: 90000", silence_timeout_seconds=10, silence_prompt=prompt)
    server = await by_text(spec)
    greeting, asked = server.turns
    assert asked.start_ms - greeting.end_ms == 5_000
    assert server.end.virtual_ms == asked.end_ms + 5_000


async def test_an_agent_that_thinks_is_not_silent() -> None:
    spec = scripted("wait_for_agent", "say: Hi.", "wait: 90000", silence_timeout_seconds=5)
    server = await heard_by_text(spec, says("", first_token_ms=3000))
    assert server.end.code == "silence_timeout"
    assert server.end.virtual_ms == server.turns[-1].end_ms + 300 + 3000 + 5000


async def test_silence_is_counted_from_the_last_word_of_either() -> None:
    server = await by_text(scripted("wait: 90000", greeting=LONG, silence_timeout_seconds=5))
    assert server.end.virtual_ms == server.turns[0].end_ms + 5_000


# ---- The call around it ----


async def test_a_callee_that_breaks_is_a_lost_line() -> None:
    clock = VirtualClock()
    left: list[str] = []

    async def breaks(_phone: Phone) -> None:
        raise RuntimeError("broken")

    line = TextLine(
        call_spec().line,
        TurnSpec(),
        clock,
        ring_timeout_seconds=2,
        callee=Callee(breaks, ring_ms=0),
    )
    line.on_left = left.append
    await line.connect()
    await line.pass_time(100)
    assert left == ["media_lost"]


async def test_who_hangs_up_ends_the_callee() -> None:
    before = len(asyncio.all_tasks())
    server = await by_text(scripted("wait: 90000", max_duration_seconds=1))
    assert server.end.code == "max_duration"
    assert len(asyncio.all_tasks()) == before


@pytest.mark.parametrize(
    ("digits", "code", "sip_status", "types"),
    [
        ("01", "busy", 486, ["agent_ready", "ended"]),
        ("03", "declined", 603, ["agent_ready", "ringing", "ended"]),
        ("02", "no_answer", None, ["agent_ready", "ringing", "ended"]),
        ("13", "no_answer", None, ["agent_ready", "ringing", "ended"]),
        ("15", "outcome_unknown", None, ["agent_ready", "ringing", "ended"]),
    ],
)
async def test_a_callee_that_is_not_reached_says_why(
    digits: str, code: str, sip_status: int | None, types: list[str]
) -> None:
    server = await by_text(call_spec(to_number=f"+120255501{digits}"))
    assert (server.end.code, server.end.sip_status, server.end.virtual_ms) == (
        code,
        sip_status,
        None,
    )
    assert server.types == types


async def ending_of(spec: CallSpec, server: RecordingServer, **options: float) -> RecordingServer:
    async def make() -> TextModel:
        return RuleModel(spec)

    async with asyncio.timeout(5):
        await run_text_call(spec, server, make, **options)
    return server


class Unreachable(RecordingServer):
    async def dial_intent(self) -> Any:
        raise ServerUnreachable("no route")


async def test_nobody_is_dialed_without_leave() -> None:
    server = await ending_of(call_spec(), Unreachable(Path("/nonexistent")))
    assert (server.types, server.end.code) == (["agent_ready", "ended"], "agent_lost")
    assert "can't be reached" in (server.end.detail or "")
    lost = RecordingServer(Path("/nonexistent"))
    lost.refuses_dial = True
    await ending_of(call_spec(), lost)
    assert lost.types == ["agent_ready", "ended"]
    assert "another agent" in (lost.end.detail or "")


async def test_a_model_that_does_not_get_ready_dials_nobody() -> None:
    server = RecordingServer(Path("/nonexistent"))

    async def never() -> TextModel:
        await asyncio.Event().wait()
        raise AssertionError("never")

    async with asyncio.timeout(5):
        await run_text_call(call_spec(), server, never, prepare_seconds=0.1)
    assert (server.types, server.end.code) == (["ended"], "model_error")


async def test_a_fault_of_ours_ends_the_call_and_is_told_as_ours() -> None:
    class Broken(Scripted):
        async def reply(self) -> Reply:
            raise KeyError("bug")

    server = await by_text(
        scripted("wait_for_agent", "say: Hi.", "wait: 900"), model=Broken(says(""))
    )
    assert (server.end.code, server.end.detail) == ("agent_lost", "A fault of ours: KeyError")


async def test_a_call_whose_worker_stops_it_says_so_and_ends_once() -> None:
    server = RecordingServer(Path("/nonexistent"))
    spec = scripted("wait_for_agent", "say: Hi.", "wait: 900", llm=rules())
    asked = asyncio.Event()

    class Slow(Scripted):
        async def reply(self) -> Reply:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError("never")

    async def make() -> TextModel:
        return Slow(says(""))

    call = asyncio.create_task(run_text_call(spec, server, make))
    await asyncio.wait_for(asked.wait(), 5)
    call.cancel()
    await asyncio.wait({call}, timeout=5)
    assert (server.end.code, server.end.detail) == ("agent_lost", "The worker was stopped.")
    assert ("user", "Hi.") in server.words


class Counting(RecordingServer):
    beats = 0

    async def commands(self) -> AsyncIterator[Command]:
        self.beats += 1
        async for command in super().commands():
            yield command


async def test_a_call_that_is_over_at_once_has_no_heartbeat() -> None:
    server = Counting(Path("/nonexistent"))
    await ending_of(call_spec(), server)
    assert server.beats == 0
