"""The reference of bench/rooms.py: the least that one writes with livekit-agents for a call by SIP, and no Bolti in it.

`python -m bench.bare_agent`: a worker whose job dials the number in its metadata, greets, and talks with the same models
(the simulated ones) and the same recording as Bolti's agent, until the other side leaves.
"""

from __future__ import annotations

import asyncio
import json
import os
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from livekit import api
from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    JobExecutorType,
    JobProcess,
    JobRequest,
    inference,
)
from livekit.agents.voice import room_io

from bolti_server.simulated.llm import SimulatedLLM
from bolti_server.simulated.stt import SimulatedSTT
from bolti_server.simulated.tts import SimulatedTTS
from bolti_server.simulated.voices import start_voices, stop_voices
from bolti_server.worker_api.messages import LlmSpec, SttSpec, TtsSpec

AGENT_NAME = "bare"
GREETING = "Hello, this is Bolti."
REPLY = "I see."
CALL_TIME = timedelta(minutes=5)


def prewarm(process: JobProcess) -> None:
    process.userdata["vad"] = inference.VAD(model="silero")


async def accept(request: JobRequest) -> None:
    await request.accept(name="agent", identity="agent")


async def job(context: JobContext) -> None:
    asked = json.loads(context.job.metadata)
    Path(asked["pid_file"]).write_text(str(os.getpid()))
    over = asyncio.Event()
    context.room.on("participant_disconnected", lambda _participant: over.set())
    context.room.on("disconnected", lambda *_: over.set())
    await start_voices()
    await context.connect()
    session: AgentSession[None] = AgentSession(
        stt=SimulatedSTT(SttSpec(provider="simulated"), reads_modem=True),
        llm=SimulatedLLM(LlmSpec(provider="simulated", default_reply=REPLY)),
        tts=SimulatedTTS(TtsSpec(provider="simulated", voice="modem")),
        vad=context.proc.userdata["vad"],
        turn_handling={
            "turn_detection": "vad",
            "endpointing": {"mode": "fixed", "min_delay": 0.3, "max_delay": 1.0},
            "interruption": {"mode": "vad"},
        },
        aec_warmup_duration=None,
        user_away_timeout=None,
    )
    await session.start(
        Agent(instructions="Be brief."),
        room=context.room,
        room_options=room_io.RoomOptions(
            participant_identity="callee", text_input=False, close_on_disconnect=False
        ),
        record={"audio": True, "traces": False, "logs": False, "transcript": False},
    )
    await dial(context, asked)
    session.say(GREETING)
    await asyncio.wait_for(over.wait(), CALL_TIME.total_seconds())
    await session.aclose()
    await context.delete_room()
    await stop_voices()


async def dial(context: JobContext, asked: dict[str, str]) -> None:
    async with api.LiveKitAPI(os.environ["BENCH_SIP_URL"]) as livekit:
        await livekit.sip.create_sip_participant(
            api.CreateSIPParticipantRequest(
                room_name=context.room.name,
                trunk=api.SIPOutboundConfig(hostname="simulated"),
                sip_call_to=asked["number"],
                sip_number="+12025550199",
                participant_identity="callee",
                participant_metadata=asked["callee"],
                wait_until_answered=True,
                ringing_timeout=Duration(seconds=20),
                max_call_duration=Duration(seconds=int(CALL_TIME.total_seconds())),
            )
        )


async def main() -> None:
    server = AgentServer(
        host="127.0.0.1",
        port=0,
        job_executor_type=JobExecutorType.PROCESS,
        num_idle_processes=4,
        setup_fnc=prewarm,
        initialize_process_timeout=60,
        load_fnc=lambda _server: 0.0,
    )
    server.rtc_session(job, agent_name=AGENT_NAME, on_request=accept)
    server.on("worker_registered", lambda *_: print("registered", flush=True))
    await server.run(devmode=False)


if __name__ == "__main__":
    asyncio.run(main())
