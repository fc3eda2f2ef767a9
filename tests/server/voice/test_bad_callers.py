"""Callers and models that behave badly, on real audio: each call ends as docs/guides/limits.md says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import msgspec
import pytest
from livekit.agents import llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions
from tests.server.support.call_specs import CHECK_DAY, CUT_CALL, call_spec, rules
from tests.server.support.voice_calls import Call, SideBySide, Stage

from bolti_server.voice.session import MAX_TOOL_STEPS
from bolti_server.worker_api.messages import CallSpec, LlmRule, ToolAnswer

LONG = "We are open from nine to five on every day of the week, and on Saturdays from ten to two as well."


class LoopingLLM(llm.LLM[str]):
    """Calls the tool whatever it is told, also where it is told to call none."""

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        return _Loop(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Loop(llm.LLMStream):
    async def _run(self) -> None:
        call = llm.FunctionToolCall(name="check_day", arguments='{"day": "monday"}', call_id="one")
        delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


def scripted(script: str, **changes: Any) -> CallSpec:
    spec = call_spec(**changes)
    text = f"name: Bad caller\nagent: {{first_message: Hello.}}\ncallee:\n{script}\nexpect: []\n"
    return msgspec.structs.replace(spec, line=msgspec.structs.replace(spec.line, script=text))


async def model_loops(stage: Stage) -> Call:
    server = stage.server(
        lambda _name, _arguments: ToolAnswer(result=1, is_error=False, duration_ms=1)
    )
    models = attrs.evolve(stage.models, llm={"simulated": lambda _spec: LoopingLLM()})
    spec = scripted(
        "  - answer\n  - wait_for_agent\n  - say: When are you open?\n  - wait_for_hang_up: 20000",
        tools=[CUT_CALL, CHECK_DAY],
        silence_timeout_seconds=5,
        max_duration_seconds=14,
    )
    return await stage.play(spec, server, models)


async def talks_for_ever(stage: Stage) -> Call:
    words = "And there is one more thing that I have to tell you about."
    script = "  - answer\n" + f"  - say: {words}\n" * 12
    return await stage.play(scripted(script, max_duration_seconds=6))


async def barges_in_twice(stage: Stage) -> Call:
    script = (
        "  - answer\n  - wait_for_voice: 1200\n  - say: No, wait please.\n"
        "  - wait_for_voice: 1200\n  - say: Stop again please.\n  - wait_for_agent\n  - hang_up"
    )
    model = rules(LlmRule(hear="again", say="Goodbye."), default_reply=LONG)
    return await stage.play(scripted(script, greeting=LONG, llm=model, max_duration_seconds=25))


@pytest.fixture(scope="module", autouse=True)
async def played(stage: Stage) -> AsyncIterator[SideBySide]:
    side_by_side = SideBySide(stage, [model_loops, talks_for_ever, barges_in_twice])
    yield side_by_side
    await side_by_side.stop()


async def test_a_model_that_always_calls_the_tool_is_stopped_in_each_turn(
    played: SideBySide,
) -> None:
    call: Call = await played.of(model_loops)
    turns = sum(1 for turn in call.server.turns if turn.role == "user")
    assert 1 <= len(call.server.tool_calls) <= (MAX_TOOL_STEPS + 2) * max(turns, 1)
    assert call.server.end.code in ("silence_timeout", "max_duration", "remote_hangup")


async def test_a_caller_who_talks_for_ever_is_cut_off_at_the_cap(played: SideBySide) -> None:
    call: Call = await played.of(talks_for_ever)
    assert call.server.end.code == "max_duration"


async def test_two_interruptions_in_a_row_leave_what_was_heard_of_each_sentence(
    played: SideBySide,
) -> None:
    call: Call = await played.of(barges_in_twice)
    said = [turn for turn in call.server.turns if turn.role == "agent"]
    cut = [turn for turn in said if turn.is_interrupted]
    assert len(cut) == 2
    for turn in cut:
        assert LONG.startswith(turn.text.rstrip("-. ")[:10])
        assert len(turn.text) < len(LONG)
    assert said[-1].text == "Goodbye."
    assert call.server.end.code == "remote_hangup"
