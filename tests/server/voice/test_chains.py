"""The order of vendors, without sound: who is asked, who is left out, and what is never asked twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from livekit.agents import APIConnectionError, APIStatusError, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions
from livekit.agents.utils import http_context
from tests.server.support.call_specs import call_spec
from tests.server.support.failing_llms import FailingLLM
from tests.server.support.failing_voices import BreakingTTS

from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.simulated.tts import SimulatedTTS
from bolti_server.voice.fallback import Vendor, Vendors
from bolti_server.voice.llm_chain import LlmChain
from bolti_server.voice.models import Models
from bolti_server.voice.tts_chain import TtsChain
from bolti_server.voice.usage import Usage
from bolti_server.worker_api.messages import LlmSpec, TtsSpec

REFUSED = APIStatusError("wrong key", status_code=401)
BROKEN = APIConnectionError("it broke")


def order(*names: str) -> Vendors[str]:
    return Vendors("llm", [Vendor(name, "model", name) for name in names])


def names(vendors: list[Vendor[str]]) -> list[str]:
    return [each.made for each in vendors]


def test_whoever_failed_is_asked_after_the_others() -> None:
    vendors = order("a", "b", "c")
    vendors.failed(vendors.all[0], BROKEN)
    assert names(vendors.attempts()) == ["b", "c", "a"]
    vendors.worked(vendors.all[0])
    assert names(vendors.attempts()) == ["a", "b", "c"]


def test_whoever_refuses_us_is_asked_only_where_nobody_else_is_left() -> None:
    vendors = order("a", "b")
    vendors.failed(vendors.all[0], REFUSED)
    assert set(names(vendors.attempts())) == {"b"}
    assert vendors.is_alone(vendors.all[1])
    vendors.failed(vendors.all[1], REFUSED)
    assert vendors.have_all_refused()
    assert vendors.attempts()


def test_a_busy_vendor_has_not_refused_us() -> None:
    vendors = order("a")
    vendors.failed(vendors.all[0], APIStatusError("too many", status_code=429))
    assert not vendors.have_all_refused()


async def text_of(chain: LlmChain) -> str:
    answer = chain.answer(llm.ChatContext.empty(), [])
    deltas = [chunk.delta async for chunk in answer]
    return "".join(delta.content or "" for delta in deltas if delta is not None)


def minds(*made: llm.LLM[Any]) -> Vendors[llm.LLM[Any]]:
    return Vendors("llm", [Vendor(str(index), "model", each) for index, each in enumerate(made)])


async def test_the_second_answers_when_the_first_fails_and_the_first_is_not_asked_on_the_side() -> (
    None
):
    first, second = FailingLLM(500, reply="first"), FailingLLM(reply="second")
    chain = LlmChain(minds(first, second))
    assert await text_of(chain) == "second"
    assert await text_of(chain) == "second"
    assert first.faults == []  # one request, no probes


async def test_a_vendor_that_is_alone_is_asked_again() -> None:
    assert await text_of(LlmChain(minds(FailingLLM(500, 500, reply="third")))) == "third"


async def test_a_wrong_key_is_not_tried_again() -> None:
    only = FailingLLM(401, reply="never")
    with pytest.raises(APIStatusError):
        await text_of(LlmChain(minds(only)))
    assert only.faults == []


class CallsThenBreaks(llm.LLM[str]):
    """A tool call, and then the connection is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        self.asked += 1
        return _CallThenBreak(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _CallThenBreak(llm.LLMStream):
    async def _run(self) -> None:
        call = llm.FunctionToolCall(name="pay", arguments="{}", call_id="1")
        delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))
        raise APIConnectionError("it broke")


async def test_a_tool_call_that_has_arrived_is_not_asked_for_again() -> None:
    first, second = CallsThenBreaks(), CallsThenBreaks()
    calls: list[str] = []
    async for chunk in LlmChain(minds(first, second)).answer(llm.ChatContext.empty(), []):
        calls += [call.name for call in (chunk.delta.tool_calls if chunk.delta else [])]
    assert calls == ["pay"]
    assert second.asked == 0


async def test_a_voice_of_another_rate_takes_over_at_the_rate_of_the_call(models: Models) -> None:
    assert models is not None  # the voices of this machine have been started
    broken = BreakingTTS(good=0, status=500)
    spoken = SimulatedTTS(TtsSpec(provider="simulated"))
    chain = TtsChain(Vendors("tts", [Vendor("a", "m", broken), Vendor("b", "m", spoken)]))

    async def text() -> AsyncIterator[str]:
        yield "Hello there."

    async with http_context.open():
        frames = [frame async for frame in chain.frames(text())]
    assert {frame.sample_rate for frame in frames} == {broken.sample_rate}
    assert sum(frame.duration for frame in frames) > 0.3


def test_a_model_that_this_worker_lacks_is_passed_over_while_another_is_left(
    models: Models,
) -> None:
    spec = call_spec(llm_fallbacks=[LlmSpec(provider="nobody"), LlmSpec(provider="simulated")])
    spec_of_none = call_spec(llm=LlmSpec(provider="nobody"))
    line: Any = None
    assert [each.provider for each in models.build(spec, line).llm.all] == ["simulated"] * 2
    with pytest.raises(ModelUnavailable, match="nobody"):
        models.build(spec_of_none, line)


async def test_a_vendor_whose_check_fails_is_set_aside_while_another_is_left(
    models: Models,
) -> None:
    async def refused() -> None:
        raise ModelUnavailable("The key is refused.")

    minds = {**models.llm, "strict": models.llm["simulated"]}
    strict = attrs.evolve(models, llm=minds, checks={"strict": lambda _spec: refused})
    spec = call_spec(llm=LlmSpec(provider="strict"), llm_fallbacks=[LlmSpec(provider="simulated")])
    built = strict.build(spec, _no_line())
    await built.check()
    assert built.llm.first.provider == "simulated"

    alone = strict.build(call_spec(llm=LlmSpec(provider="strict")), _no_line())
    with pytest.raises(ModelUnavailable, match="refused"):
        await alone.check()


def _no_line() -> Any:
    return None


async def test_usage_names_our_own_providers_and_each_model_apart(models: Models) -> None:
    built = models.build(
        call_spec(llm_fallbacks=[LlmSpec(provider="simulated", model="other")]), _no_line()
    )
    usage = Usage(built.stt, built.llm, built.tts)
    for vendor in built.llm.all:
        vendors = Vendors("llm", [vendor])
        async for _ in LlmChain(vendors).answer(llm.ChatContext.empty(), []):
            pass
    found = [(each.provider, each.model) for each in usage.report()]
    assert found == [("simulated", "simulated"), ("simulated", "other")]
