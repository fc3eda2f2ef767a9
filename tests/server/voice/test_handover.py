"""A warm transfer whose two talk with each other: the agent is silent, hears nobody, and ends the call when one has left.

The line is a simulated one; who is called in is the test's own, and stays until it is told to go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import attrs
from livekit import rtc
from tests.server.support.call_server import RecordingServer
from tests.server.support.call_specs import (
    CUT_CALL,
    HANG_UP,
    built_in,
    call_spec,
    rules,
    with_script,
)
from tests.server.support.voice_calls import OpenLine, Stage, carry
from tests.server.voice.test_recording import channels_of, words_of

from bolti_server.lines.line import Guest, GuestDial
from bolti_server.simulated.modem import encode
from bolti_server.simulated.sound import FRAME_BYTES, FRAME_MS, frame_of
from bolti_server.worker_api.messages import (
    CallSpec,
    Command,
    LlmRule,
    RuleTool,
    ToolAnswer,
    TtsSpec,
)

INTRODUCTION = "This is Ravi, who wants billing."
THANKS = "Thank you. Hello Ravi."
NUMBER = "+12025550100"
# Talks on with whoever is there; what it says would make the agent hang up, if the agent heard it.
RAVI = (
    "wait_for_agent",
    "say: Billing, please.",
    "wait_for_agent: 10000",
    "wait: 4000",
    "say: Goodbye, then.",
    "wait_for_hang_up: 30000",
)


class Billing:
    """A guest, as a line gives one."""

    def __init__(self, words: str = "") -> None:
        self.left = asyncio.Event()
        self._words = words

    @property
    def has_left(self) -> bool:
        return self.left.is_set()

    async def wait_until_left(self) -> None:
        await self.left.wait()

    async def sound(self) -> AsyncIterator[rtc.AudioFrame]:
        sound = encode(self._words) if self._words else b""
        for at in range(0, len(sound) - FRAME_BYTES, FRAME_BYTES):
            await asyncio.sleep(FRAME_MS / 1000)
            yield frame_of(sound[at : at + FRAME_BYTES])
        await self.left.wait()


class SharedLine(OpenLine):
    """Somebody can be called in."""

    guest = Billing()

    async def bring_in(self, dial: GuestDial) -> Guest:
        assert dial.to_number == NUMBER
        return self.guest


@attrs.frozen
class Transfer:
    server: RecordingServer
    line: SharedLine
    over: asyncio.Task[None]

    @property
    def said_by_agent(self) -> list[str]:
        return [text for role, text in self.server.words if role == "agent"]


def spec_of(*steps: str, **changes: Any) -> CallSpec:
    llm = rules(
        LlmRule(
            hear="billing",
            say="They are away.",  # where the transfer failed
            tool=RuleTool(
                name="transfer_call", arguments={"target": "billing", "introduction": INTRODUCTION}
            ),
        ),
        LlmRule(hear="goodbye", say="Goodbye.", tool=HANG_UP),
    )
    spec = call_spec(
        llm=llm, tools=[CUT_CALL, built_in("transfer_call")], greeting="Hello.", **changes
    )
    return with_script(spec, *(steps or RAVI))


async def handed_over(stage: Stage, spec: CallSpec, guest: Billing | None = None) -> Transfer:
    """Returns when the two talk with each other."""
    answer = ToolAnswer({"to_number": NUMBER, "mode": "warm"}, is_error=False, duration_ms=1)
    server = stage.server(lambda _name, _arguments: answer)
    line = SharedLine(
        spec.line,
        ring_timeout_seconds=spec.ring_timeout_seconds,
        voice="modem" if spec.tts.voice == "modem" else "speech",
    )
    line.guest = guest or Billing()
    over = asyncio.create_task(carry(spec, line, server, stage.models))
    await server.wait_for_report("tool_call")
    return Transfer(server, line, over)


async def callee_has_said_goodbye(call: Transfer) -> None:
    async with asyncio.timeout(20):
        while "Goodbye, then." not in call.line.said:
            await asyncio.sleep(0.1)


async def test_the_agent_hears_and_answers_nobody_and_the_call_ends_when_the_guest_leaves(
    stage: Stage,
) -> None:
    call = await handed_over(stage, spec_of(silence_timeout_seconds=4))
    await callee_has_said_goodbye(call)
    await asyncio.sleep(5)  # longer than the silence that ends a call with an agent
    assert not call.over.done()

    call.line.guest.left.set()
    await call.over

    assert call.server.end.code == "transferred"
    assert call.server.end.detail == "To billing."
    assert call.said_by_agent == ["Hello.", INTRODUCTION, ""]
    assert [text for role, text in call.server.words if role == "user"] == ["Billing, please."]
    assert call.line.was_hung_up


async def test_the_call_is_transferred_too_where_the_callee_leaves_first(stage: Stage) -> None:
    steps = (*RAVI[:-2], "hang_up")
    call = await handed_over(stage, spec_of(*steps))
    await call.over

    assert call.server.end.code == "transferred"


async def test_the_cap_is_still_looked_after(stage: Stage) -> None:
    call = await handed_over(stage, spec_of(max_duration_seconds=12))
    await call.over

    assert call.server.end.code == "max_duration"
    assert call.line.was_hung_up


async def test_a_worker_that_stops_leaves_the_two_alone(stage: Stage) -> None:
    call = await handed_over(stage, spec_of())
    call.server.send(Command(number=1, type="drain"))
    await call.over

    assert call.server.end.code == "transferred"
    assert not call.server.end.is_line_open, "nobody is to take it over"
    assert (call.line.was_left, call.line.was_hung_up) == (True, False)
    assert call.said_by_agent[-2:] == [INTRODUCTION, ""], "nobody says goodbye to them"


async def test_a_user_can_still_end_it_with_words(stage: Stage) -> None:
    call = await handed_over(stage, spec_of())
    call.server.send(Command(number=1, type="say_then_end", text="The office closes now."))
    await call.over

    assert call.server.end.code == "ended_by_user"
    assert "The office closes now." in call.said_by_agent


async def test_a_key_of_the_callee_is_no_opt_out_then(stage: Stage) -> None:
    steps = (*RAVI[:-2], 'press: "9"', "wait_for_hang_up: 30000")
    call = await handed_over(stage, spec_of(*steps, opt_out_key="9"))
    await call.server.wait_for(lambda: any(turn.dtmf for turn in call.server.turns))
    await asyncio.sleep(0.3)
    assert not call.over.done()
    call.line.guest.left.set()
    await call.over

    assert call.server.end.code == "transferred"


async def test_a_guest_who_leaves_while_being_introduced_has_not_taken_the_call(
    stage: Stage,
) -> None:
    guest = Billing()
    guest.left.set()
    call = await handed_over(stage, spec_of(), guest)

    (tool,) = [report.tool_call for report in call.server.reports if report.tool_call][:1]
    assert tool.is_error
    assert "remote_hangup" in tool.result["error"]
    await call.over
    assert call.server.end.code == "agent_hangup", "the agent goes on with the callee"


async def test_a_guest_who_can_not_be_recorded_does_not_end_the_call(stage: Stage) -> None:
    class Broken(Billing):
        async def sound(self) -> AsyncIterator[rtc.AudioFrame]:
            raise RuntimeError("the media client broke")
            yield

    call = await handed_over(stage, spec_of(is_recording_enabled=True), Broken())
    await asyncio.sleep(0.5)
    assert not call.over.done()
    call.line.guest.left.set()
    await call.over

    assert call.server.end.code == "transferred"


async def test_the_guest_is_on_the_recording_beside_the_agent_word_for_word(stage: Stage) -> None:
    spec = spec_of(is_recording_enabled=True, tts=TtsSpec(provider="simulated", voice="modem"))
    call = await handed_over(stage, spec, Billing(THANKS))
    await callee_has_said_goodbye(call)
    call.line.guest.left.set()
    await call.over

    left, right = channels_of(call.server.recording_file())
    assert words_of(left) == ["Billing, please.", "Goodbye, then."]
    assert words_of(right) == ["Hello.", INTRODUCTION, THANKS]
