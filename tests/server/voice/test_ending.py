"""How calls end: before the answer, by command, by a failed model, by a fault of ours. Always with exactly one `ended`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import attrs
import pytest
from tests.server.support.call_specs import HANG_UP, call_spec, rules
from tests.server.support.deaf_stt import DeafSTT
from tests.server.support.failing_llms import FailingLLM
from tests.server.support.failing_voices import BreakingTTS
from tests.server.support.voice_calls import Call, SideBySide, Stage

from bolti_server.voice.models import Models
from bolti_server.worker_api.messages import Command, LlmRule, LlmSpec, TurnSpec

SILENT = "+12025550109"
SORRY = "I am sorry, I have a technical problem and have to end this call. Goodbye."
AGAIN = "Sorry, I did not get that. Could you say it again?"
FAREWELL = "I am sorry, I have to end this call now. Goodbye."


def with_llm(models: Models, model: FailingLLM) -> Models:
    return attrs.evolve(models, llm={"simulated": lambda _spec: model})


async def talking(stage: Stage, **changes: object) -> Call:
    """A call whose greeting has been heard."""
    call = stage.place(call_spec(to_number=SILENT, greeting="Hello.", **changes))
    await call.server.wait_for_report("turn")
    return call


async def is_ended_by_the_user(stage: Stage) -> Call:
    call = await talking(stage)
    call.server.send(Command(number=1, type="end", code="ended_by_user"))
    await call.over
    return call


async def is_ended_in_mid_sentence(stage: Stage) -> Call:
    greeting = "This greeting is so long that nobody would ever hear it up to its very last word, is it not."
    call = stage.place(call_spec(to_number=SILENT, greeting=greeting))
    async with asyncio.timeout(10):
        while call.line.position_ms < 1500:
            await asyncio.sleep(0.02)
    call.server.send(Command(number=1, type="end"))
    await call.over
    return call


async def says_something_before_it_is_ended(stage: Stage) -> Call:
    call = await talking(stage)
    text = "Somebody asked me to end this call."
    call.server.send(Command(number=1, type="say_then_end", text=text, code="ended_by_user"))
    await call.over
    return call


async def is_drained(stage: Stage) -> Call:
    call = await talking(stage)
    call.server.send(Command(number=0, type="drain"))
    await call.over
    return call


async def is_lost_to_another_agent(stage: Stage) -> Call:
    call = await talking(stage)
    call.server.lose()
    await call.over
    return call


async def llm_refuses_the_key(stage: Stage) -> Call:
    return await stage.play(
        call_spec(greeting="Hello."), models=with_llm(stage.models, FailingLLM(401, 401, 401))
    )


async def llm_fails_once(stage: Stage) -> Call:
    model = FailingLLM(500, 500, 500, reply="Fine again. Goodbye.")
    return await stage.play(call_spec(greeting="Hello."), models=with_llm(stage.models, model))


async def llm_never_answers(stage: Stage) -> Call:
    model = FailingLLM(None, None, None, None)
    return await stage.play(call_spec(greeting="Hello."), models=with_llm(stage.models, model))


async def hangs_up_without_words(stage: Stage) -> Call:
    llm = rules(LlmRule(hear="appointment", tool=HANG_UP))
    return await stage.play(call_spec(llm=llm, greeting="Hi."))


async def voice_breaks(stage: Stage) -> Call:
    models = attrs.evolve(stage.models, tts={"simulated": lambda _spec: BreakingTTS(1, 500)})
    return await stage.play(call_spec(greeting="Hi."), models=models)


async def is_deaf(stage: Stage) -> Call:
    models = attrs.evolve(stage.models, stt={"simulated": lambda _spec, _line: DeafSTT()})
    return await stage.play(call_spec(greeting="Hello.", max_duration_seconds=14), models=models)


async def may_not_be_interrupted_and_hears_nothing_meanwhile(stage: Stage) -> Call:
    spec = call_spec(
        to_number="+12025550108",
        greeting="A greeting that is long enough for somebody to say a whole sentence over it while it "
        "goes on, and long enough to be still there when that sentence is over and done with.",
        turn=TurnSpec(is_interruption_enabled=False),
        max_duration_seconds=16,
    )
    return await stage.play(spec)


SCENARIOS = [
    is_deaf,
    may_not_be_interrupted_and_hears_nothing_meanwhile,
    llm_never_answers,
    llm_fails_once,
    llm_refuses_the_key,
    is_ended_by_the_user,
    is_ended_in_mid_sentence,
    says_something_before_it_is_ended,
    is_drained,
    is_lost_to_another_agent,
    hangs_up_without_words,
    voice_breaks,
]


@pytest.fixture(scope="module", autouse=True)
async def played(stage: Stage) -> AsyncIterator[SideBySide]:
    side_by_side = SideBySide(stage, SCENARIOS)
    yield side_by_side
    await side_by_side.stop()


@pytest.mark.parametrize(
    ("to_number", "code", "sip_status", "rings"),
    [
        ("+12025550101", "busy", 486, False),
        ("+12025550102", "no_answer", None, True),
        ("+12025550103", "declined", 603, True),
        ("+12025550104", "invalid_number", 404, False),
    ],
)
async def test_a_callee_that_is_not_reached_ends_the_call_with_its_code(
    stage: Stage, to_number: str, code: str, sip_status: int | None, rings: bool
) -> None:
    call = await stage.play(
        call_spec(to_number=to_number, ring_timeout_seconds=1, is_recording_enabled=True)
    )

    assert (call.server.end.code, call.server.end.sip_status) == (code, sip_status)
    assert call.server.types == ["agent_ready", *(["ringing"] if rings else []), "ended"]
    assert not call.server.end.has_recording
    assert not call.server.recording_file().exists()


async def test_nothing_is_dialed_by_an_agent_that_another_has_replaced(stage: Stage) -> None:
    server = stage.server()
    server.refuses_dial = True
    call = await stage.play(call_spec(), server)

    assert server.types == ["agent_ready", "ended"]
    assert server.end.code == "agent_lost"
    assert call.line.position_ms == 0


async def test_a_command_to_end_before_the_answer_cancels_the_dial(stage: Stage) -> None:
    call = stage.place(call_spec(to_number="+12025550102", ring_timeout_seconds=30))
    await call.server.wait_for_report("ringing")
    call.server.send(Command(number=1, type="end"))
    async with asyncio.timeout(5):
        await call.over

    assert call.server.end.code == "cancelled_by_user"
    assert "answered" not in call.server.types


async def test_a_missing_key_is_told_by_its_name_before_anybody_is_dialed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    call = await stage.play(call_spec(llm=LlmSpec(provider="openai")))

    assert call.server.end.code == "model_error"
    assert "OPENAI_API_KEY" in (call.server.end.detail or "")
    assert call.server.dial_intents == 0


async def test_a_provider_that_this_worker_lacks_is_told_by_its_name(stage: Stage) -> None:
    call = await stage.play(call_spec(llm=LlmSpec(provider="acme")))

    assert call.server.end.code == "model_error"
    assert "acme" in (call.server.end.detail or "")


async def test_a_fault_of_ours_ends_the_call_as_agent_lost(stage: Stage) -> None:
    def broken(_spec: object) -> FailingLLM:
        raise RuntimeError("a bug")

    models = attrs.evolve(stage.models, llm={"simulated": broken})
    call = await stage.play(call_spec(), models=models)

    assert call.server.end.code == "agent_lost"
    assert "RuntimeError" in (call.server.end.detail or "")


async def test_a_stopped_call_hangs_up_and_reports_before_it_goes(stage: Stage) -> None:
    call = await talking(stage)
    call.over.cancel()
    await asyncio.wait({call.over}, timeout=10)

    assert call.over.cancelled()
    assert call.server.end.code == "agent_lost"


async def test_the_user_ends_a_call_at_once(played: SideBySide) -> None:
    call: Call = await played.of(is_ended_by_the_user)

    assert call.server.end.code == "ended_by_user"


async def test_ending_in_mid_sentence_keeps_the_words_that_were_heard(played: SideBySide) -> None:
    call: Call = await played.of(is_ended_in_mid_sentence)

    (turn,) = call.server.turns
    assert turn.is_interrupted
    assert turn.text.startswith("This greeting")
    assert "last word" not in turn.text
    assert call.server.end.code == "ended_by_user"


async def test_say_then_end_speaks_to_the_end_and_then_hangs_up(played: SideBySide) -> None:
    call: Call = await played.of(says_something_before_it_is_ended)

    assert call.line.heard[-1].endswith("Somebody asked me to end this call.")
    assert call.server.words[-1] == ("agent", "Somebody asked me to end this call.")
    assert call.server.end.code == "ended_by_user"


async def test_a_worker_that_stops_says_goodbye(played: SideBySide) -> None:
    call: Call = await played.of(is_drained)

    assert call.line.heard[-1].endswith(FAREWELL)
    assert call.server.end.code == "agent_lost"


async def test_a_call_that_another_agent_took_is_hung_up(played: SideBySide) -> None:
    call: Call = await played.of(is_lost_to_another_agent)

    assert call.server.end.code == "agent_lost"


async def test_a_refused_key_in_the_call_is_apologized_for_and_ends_it(played: SideBySide) -> None:
    call: Call = await played.of(llm_refuses_the_key)

    assert call.line.heard[-1].endswith(SORRY)
    assert call.server.end.code == "model_error"
    assert "401" in (call.server.end.detail or "")


async def test_one_failed_answer_is_asked_for_again_and_the_call_goes_on(
    played: SideBySide,
) -> None:
    call: Call = await played.of(llm_fails_once)

    said = [text for role, text in call.server.words if role == "agent"]
    assert said[:3] == ["Hello.", AGAIN, "Fine again. Goodbye."]
    assert call.server.end.code == "remote_hangup"


async def test_a_model_that_never_answers_ends_the_call_after_words_not_in_silence(
    played: SideBySide,
) -> None:
    call: Call = await played.of(llm_never_answers)

    said = [text for role, text in call.server.words if role == "agent"]
    assert said == ["Hello.", AGAIN, SORRY]
    assert call.server.end.code == "model_error"
    assert "no token within" in (call.server.end.detail or "")


async def test_a_rule_that_hangs_up_without_words_still_leaves_its_tool_call(
    played: SideBySide,
) -> None:
    call: Call = await played.of(hangs_up_without_words)

    assert call.server.end.code == "agent_hangup"
    assert [tool.name for tool in call.server.turns[-1].tool_calls] == ["cut_call"]


async def test_a_voice_that_breaks_in_the_call_ends_it(played: SideBySide) -> None:
    call: Call = await played.of(voice_breaks)

    assert call.server.types[:3] == ["agent_ready", "ringing", "answered"]
    assert call.server.end.code == "model_error"
    assert "tts of simulated failed" in (call.server.end.detail or "")


async def test_a_voice_that_does_not_work_is_found_before_anybody_is_dialed(stage: Stage) -> None:
    models = attrs.evolve(stage.models, tts={"simulated": lambda _spec: BreakingTTS(0, 401)})
    call = await stage.play(call_spec(), models=models)

    assert call.server.end.code == "model_error"
    assert call.server.dial_intents == 0


async def test_a_vendor_that_hears_nothing_makes_the_agent_ask_again(played: SideBySide) -> None:
    call: Call = await played.of(is_deaf)

    assert [text for _, text in call.server.words][:2] == ["Hello.", AGAIN]


async def test_speech_that_was_withheld_from_the_vendor_is_not_asked_for_again(
    played: SideBySide,
) -> None:
    call: Call = await played.of(may_not_be_interrupted_and_hears_nothing_meanwhile)

    assert AGAIN not in [text for _, text in call.server.words]
