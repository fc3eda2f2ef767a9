"""A small call with a real AgentSession, real sound and Silero, outside a worker."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import attrs
from livekit.agents import Agent, AgentSession, RunContext, function_tool, inference, llm, tts
from livekit.agents.testing import fake_job_context
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions
from livekit.agents.utils import http_context
from livekit.agents.voice.io import PlaybackFinishedEvent

from bolti_server.simulated.line import LineVoice, SimulatedLine
from bolti_server.simulated.models import build_llm, build_stt, build_tts
from bolti_server.simulated.sound import RATE
from bolti_server.simulated.voices import speak
from bolti_server.worker_api.messages import (
    LineSpec,
    LlmRule,
    LlmSpec,
    RuleTool,
    SttSpec,
    TtsSpec,
)

GREETING = "Hello, this is Asha from Bright Dental. How can I help you today?"
OFFER = "Tomorrow at ten is free. Does that suit you?"
FAREWELL = "Goodbye, have a nice day."
RULES = [
    LlmRule(
        hear="book|appointment",
        say=OFFER,
        tool=RuleTool(name="check_availability", arguments={"day": "tomorrow"}),
    ),
    LlmRule(hear="bye", say=FAREWELL, tool=RuleTool(name="cut_call")),
]
LONGEST_SECONDS = 60.0


def line_to(
    digits: str, *, voice: LineVoice = "speech", ring_timeout_seconds: int = 2
) -> SimulatedLine:
    spec = LineSpec(kind="simulated", from_number="+12025550199", to_number=f"+120255501{digits}")
    return SimulatedLine(spec, ring_timeout_seconds=ring_timeout_seconds, voice=voice)


@attrs.define
class Call:
    """What a call left behind."""

    line: SimulatedLine
    left: list[str] = attrs.Factory(list)
    heard_when_left: list[str] = attrs.Factory(list)
    items: list[llm.ChatItem] = attrs.Factory(list)
    tools: list[tuple[str, Any]] = attrs.Factory(list)
    finished: list[PlaybackFinishedEvent] = attrs.Factory(list)
    captured_segments: int = 0
    providers: set[tuple[str, str]] = attrs.Factory(set)
    seconds: float = 0.0

    def messages(self, role: str) -> list[llm.ChatMessage]:
        return [item for item in self.items if item.type == "message" and item.role == role]

    def texts(self, role: str) -> list[str]:
        return [message.text_content or "" for message in self.messages(role)]


class Receptionist(Agent):
    """Books appointments, and hangs up when it said goodbye."""

    def __init__(self, call: Call, over: asyncio.Event) -> None:
        super().__init__(instructions="Be brief.")
        self._call = call
        self._over = over

    @function_tool
    async def check_availability(self, day: str) -> str:
        """Says which hours of a day are free."""
        self._call.tools.append(("check_availability", day))
        return "10:00"

    @function_tool
    async def cut_call(self, context: RunContext[None]) -> None:
        """Hangs up."""
        self._call.tools.append(("cut_call", None))
        await context.wait_for_playout()
        self._over.set()


class Untimed(tts.TTS[str]):
    """A voice that does not say when its words sound, as many vendors' do not."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1
        )

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _UntimedStream(tts=self, input_text=text, conn_options=conn_options)


class _UntimedStream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="untimed", sample_rate=RATE, num_channels=1, mime_type="audio/pcm"
        )
        output_emitter.push(await speak(self.input_text, "agent"))


async def place(
    line: SimulatedLine,
    *,
    greeting: str | None = GREETING,
    rules: list[LlmRule] | None = None,
    voice: tts.TTS[str] | None = None,
    lingers_seconds: float = 0.0,
) -> Call:
    """Talks until one side hangs up; notices that after `lingers_seconds`. Raises DialFailed."""
    call, over = Call(line), asyncio.Event()

    def leave(code: str) -> None:
        call.left.append(code)
        call.heard_when_left = line.heard
        over.set()

    line.on_left(leave)
    voice = voice or build_tts(TtsSpec(provider="simulated", voice=line.voice))
    session = _session(line, RULES if rules is None else rules, voice)
    session.on("conversation_item_added", lambda event: call.items.append(event.item))
    with fake_job_context():
        async with http_context.open():
            await line.attach(session)
            output = session.output.audio
            assert output is not None
            output.on("playback_finished", call.finished.append)
            await session.start(Receptionist(call, over))
            try:
                await line.connect()
                answered_at = time.monotonic()
                if greeting is not None:
                    session.say(greeting)
                await asyncio.wait_for(over.wait(), LONGEST_SECONDS)
                call.seconds = time.monotonic() - answered_at
                await asyncio.sleep(lingers_seconds)
            finally:
                await asyncio.wait_for(session.aclose(), 10)
                await line.hangup()
                call.captured_segments = output.captured_playout_segments
    call.providers = {(usage.type, usage.provider) for usage in session.usage.model_usage}
    return call


def _session(line: SimulatedLine, rules: list[LlmRule], voice: tts.TTS[str]) -> AgentSession[None]:
    return AgentSession(
        stt=build_stt(SttSpec(provider="simulated"), line),
        llm=build_llm(LlmSpec(provider="simulated", rules=rules)),
        tts=voice,
        vad=inference.VAD(model="silero"),
        turn_handling={
            "turn_detection": "vad",
            "endpointing": {"mode": "fixed", "min_delay": 0.3, "max_delay": 1.0},
            "interruption": {"mode": "vad", "min_duration": 0.3},
        },
        aec_warmup_duration=None,
        user_away_timeout=None,
        session_close_transcript_timeout=0.2,
    )
