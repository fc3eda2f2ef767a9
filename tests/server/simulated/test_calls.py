"""Calls with a real session: sound at real time, Silero, both voices. All of them run at once, once for this file."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time

import attrs
import pytest
from tests.server.simulated.calling import FAREWELL, GREETING, OFFER, Call, Untimed, line_to, place

from bolti_server.lines.line import DialFailed
from bolti_server.simulated.conversation import ENGLISH, HINDI

HINDI_GREETING = "नमस्ते, मैं आशा हूँ।"
STALLS = 6
STALL_EVERY_SECONDS = 2.5
STALL_SECONDS = 0.12


@attrs.frozen
class Calls:
    speech: Call
    modem: Call
    leaves_speech: Call
    leaves_modem: Call
    interrupts_speech: Call
    interrupts_modem: Call
    hindi: Call
    without_greeting: Call  # and with a voice that does not time its words
    leaves_untimed: Call
    complaints: tuple[str, ...]


@pytest.fixture(scope="module")
async def calls() -> Calls:
    """The event loop is lost for a moment again and again while they talk; every call has to bear that."""
    complaints: list[str] = []
    watcher = _Complaints(complaints)
    logging.getLogger("livekit.agents").addHandler(watcher)
    made = await asyncio.gather(
        place(line_to("00")),
        place(line_to("00", voice="modem")),
        place(line_to("07")),
        place(line_to("07", voice="modem")),
        place(line_to("08")),
        place(line_to("08", voice="modem")),
        place(line_to("00"), greeting=HINDI_GREETING, rules=[]),
        place(line_to("00"), greeting=None, voice=Untimed()),
        place(line_to("07"), voice=Untimed(), lingers_seconds=0.7),
        _stall(),
    )
    logging.getLogger("livekit.agents").removeHandler(watcher)
    return Calls(*made[:-1], tuple(complaints))


class _Complaints(logging.Handler):
    def __init__(self, complaints: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._complaints = complaints

    def emit(self, record: logging.LogRecord) -> None:
        # That a busy machine is slow is nobody's fault here.
        if any(word in record.getMessage() for word in ("playback", "segment", "Segment", "flush")):
            self._complaints.append(record.getMessage())


async def _stall() -> None:
    for _ in range(STALLS):
        await asyncio.sleep(STALL_EVERY_SECONDS)
        threading.Event().wait(STALL_SECONDS)


@pytest.mark.parametrize("voice", ["speech", "modem"])
def test_words_arrive_exactly_in_both_directions(calls: Calls, voice: str) -> None:
    call: Call = getattr(calls, voice)
    assert call.line.heard[:2] == [GREETING, OFFER]
    assert call.line.heard[-1] == FAREWELL
    assert call.texts("assistant") == call.line.heard
    assert call.line.said == [*ENGLISH.topics, ENGLISH.goodbye]
    assert call.texts("user") == call.line.said


@pytest.mark.parametrize("voice", ["speech", "modem"])
def test_the_agent_uses_its_tool_and_hangs_up_after_its_last_word(calls: Calls, voice: str) -> None:
    call: Call = getattr(calls, voice)
    assert call.tools == [("check_availability", "tomorrow"), ("cut_call", None)]
    assert call.left == [], "the agent's own hang-up is not the callee's"
    assert not any(message.interrupted for message in call.messages("assistant"))


@pytest.mark.parametrize("voice", ["speech", "modem"])
def test_they_take_turns(calls: Calls, voice: str) -> None:
    call: Call = getattr(calls, voice)
    assert [each.who for each in call.line.stretches[:6]] == ["agent", "callee"] * 3
    for earlier, later in itertools.pairwise(call.line.stretches):
        assert earlier.end_ms < later.start_ms


def test_usage_names_the_simulated_provider(calls: Calls) -> None:
    assert calls.speech.providers == {
        ("llm_usage", "simulated"),
        ("stt_usage", "simulated"),
        ("tts_usage", "simulated"),
    }


@pytest.mark.parametrize("voice", ["leaves_speech", "leaves_modem"])
def test_who_hangs_up_in_mid_sentence_leaves_the_agent_only_the_words_heard(
    calls: Calls, voice: str
) -> None:
    call: Call = getattr(calls, voice)
    assert call.left == ["remote_hangup"]
    (message,) = call.messages("assistant")
    (heard,) = call.line.heard
    assert message.interrupted
    assert message.text_content
    assert heard.startswith(message.text_content)
    assert GREETING.startswith(heard)
    assert heard != GREETING
    assert [each.who for each in call.line.stretches] == ["agent"]


def test_nothing_is_heard_or_spoken_after_the_callee_left_though_the_worker_is_slow(
    calls: Calls,
) -> None:
    call = calls.leaves_untimed
    assert call.line.heard == call.heard_when_left
    # By estimate, not to the sample: the word that was under way may count.
    assert len(call.texts("assistant")[0].split()) <= len(call.line.heard[0].split()) + 1


@pytest.mark.parametrize("voice", ["interrupts_speech", "interrupts_modem"])
def test_who_talks_over_the_agent_silences_it(calls: Calls, voice: str) -> None:
    call: Call = getattr(calls, voice)
    first, interruption = call.line.stretches[:2]
    assert (first.who, interruption.who) == ("agent", "callee")
    assert first.start_ms < interruption.start_ms < first.end_ms < interruption.end_ms
    # About 0.4 s was measured on an idle machine; the callee speaks for 4 s.
    assert first.end_ms - interruption.start_ms < 1_500
    message = call.messages("assistant")[0]
    assert message.interrupted
    assert call.line.heard[0].startswith(message.text_content or "?")
    assert GREETING.startswith(call.line.heard[0])
    assert call.texts("user")[0] == call.line.said[0]
    assert call.tools[-1] == ("cut_call", None), "and the call goes on to its end"


def test_the_callee_hangs_up_where_the_agent_never_does(calls: Calls) -> None:
    assert calls.hindi.left == ["remote_hangup"]
    assert calls.hindi.tools == []


def test_the_callee_answers_in_hindi_when_it_hears_hindi(calls: Calls) -> None:
    assert calls.hindi.line.heard[0] == HINDI_GREETING
    assert calls.hindi.line.said == [*HINDI.topics, HINDI.goodbye]
    assert calls.hindi.texts("user") == calls.hindi.line.said


def test_the_callee_says_hello_to_an_agent_that_waits(calls: Calls) -> None:
    assert calls.without_greeting.line.said[:2] == [ENGLISH.hello, ENGLISH.topics[0]]
    assert calls.without_greeting.tools[-1] == ("cut_call", None)


def test_the_callee_hears_the_words_of_a_voice_that_does_not_time_them(calls: Calls) -> None:
    call = calls.without_greeting
    assert [" ".join(text.split()) for text in call.texts("assistant")] == call.line.heard
    assert call.line.heard[-1] == FAREWELL


def test_every_segment_is_reported_finished_once_and_livekit_complains_of_nothing(
    calls: Calls,
) -> None:
    for call in _all(calls):
        assert len(call.finished) == call.captured_segments
        assert call.finished
    assert calls.complaints == ()


def test_sound_keeps_pace_with_the_clock_though_the_event_loop_was_lost(calls: Calls) -> None:
    for call in _all(calls):
        assert abs(call.line.position_ms / 1000 - call.seconds) < 0.5


def test_the_agent_is_heard_at_once_after_the_answer(calls: Calls) -> None:
    # The aim is 300 ms; on this machine, eight calls at once, it takes 20-150.
    assert calls.speech.line.stretches[0].start_ms < 1_000


def _all(calls: Calls) -> list[Call]:
    return [each for each in attrs.astuple(calls, recurse=False) if isinstance(each, Call)]


@pytest.mark.parametrize(
    ("digits", "code", "sip_status", "rings"),
    [
        ("01", "busy", 486, False),
        ("02", "no_answer", None, True),
        ("03", "declined", 603, True),
        ("04", "invalid_number", 404, False),
        ("05", "unreachable", 480, False),
        ("11", "provider_unavailable", 503, False),
        ("12", "provider_rate_limited", 429, False),
        ("13", "no_answer", None, True),
    ],
)
async def test_a_call_that_is_not_answered_says_why(
    digits: str, code: str, sip_status: int | None, *, rings: bool
) -> None:
    line, ringing = line_to(digits, ring_timeout_seconds=1), list[bool]()
    line.on_ringing(lambda: ringing.append(True))
    with pytest.raises(DialFailed) as failed:
        await line.connect()
    assert (failed.value.code, failed.value.sip_status) == (code, sip_status)
    assert ringing == [True] * rings
    await line.hangup()


async def test_hanging_up_while_it_rings_ends_the_dialing() -> None:
    line, ringing = line_to("02", ring_timeout_seconds=60), asyncio.Event()
    line.on_ringing(ringing.set)
    dialing = asyncio.create_task(line.connect())
    await asyncio.wait_for(ringing.wait(), 5)
    started = time.monotonic()
    await line.hangup()
    with pytest.raises(DialFailed) as failed:
        await asyncio.wait_for(dialing, 5)
    assert failed.value.code == "cancelled_by_user"
    assert time.monotonic() - started < 5
    await line.hangup()
