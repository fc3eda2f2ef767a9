"""Latency as it is heard, on the recording of a real call: scripted delays of the models are in it to the frame."""

from __future__ import annotations

import msgspec
import pytest
from tests.server.support.call_specs import HANG_UP, call_spec, rules
from tests.server.support.voice_calls import Call, Stage

from bolti_server.calls.following import turn_of
from bolti_server.calls.heard_latency import answering, unaccounted_ms
from bolti_server.calls.heard_messages import HeardRequest, RecordingPart
from bolti_server.calls.heard_process import answer
from bolti_server.contract import structs
from bolti_server.worker_api.messages import LlmRule, TtsSpec

LLM_MS, TTS_MS = 400, 250


@pytest.fixture(scope="module")
async def recorded(stage: Stage) -> Call:
    model = rules(LlmRule(hear="appointment", say="Done. Bye.", tool=HANG_UP))
    return await stage.play(
        call_spec(
            greeting="Hello.",
            tts=TtsSpec(provider="simulated", first_audio_delay_ms=TTS_MS),
            llm=msgspec.structs.replace(model, first_token_delay_ms=LLM_MS),
            is_recording_enabled=True,
        )
    )


def heard_of(call: Call) -> list[tuple[structs.Turn, int | None]]:
    turns = [turn_of(each) for each in call.server.turns]
    file = str(call.server.recording_file())
    request = HeardRequest(parts=[RecordingPart(file=file)], turns=answering(turns), cpu_seconds=60)
    return [(turns[each.index], each.heard_ms) for each in answer(request).turns]


async def test_what_is_heard_is_what_the_session_says_and_little_more(recorded: Call) -> None:
    found = heard_of(recorded)
    assert len(found) == 1
    for turn, heard_ms in found:
        assert turn.latency is not None
        assert heard_ms is not None
        assert heard_ms > LLM_MS + TTS_MS
        # A machine with too much to do hears the end of the voice late: that is heard, and told by nobody else.
        assert -150 < heard_ms - (turn.latency.end_to_end_ms or 0) < 1500
        unaccounted = unaccounted_ms(turn, heard_ms)
        assert unaccounted is not None
        assert -150 < unaccounted < 1500
        assert unaccounted == heard_ms - min(_sum(turn.latency), turn.latency.end_to_end_ms or 0)


def _sum(latency: structs.TurnLatency) -> int:
    listening = max(latency.end_of_turn_ms or 0, latency.transcription_ms or 0)
    thinking = (latency.llm_first_token_ms or 0) + (latency.tts_first_audio_ms or 0)
    return listening + thinking + (latency.playback_ms or 0)
