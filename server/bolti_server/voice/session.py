"""The agent session of a call: turn-taking, time-outs and the agent that speaks in it.

Rules: turn detection and interruption are always named (the defaults would try LiveKit's cloud); every wait on a model
has a limit. The numbers are those that held against misbehaving vendors (models.md, "Settings that held").
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import Any

from livekit.agents import Agent, AgentSession, APIConnectOptions, FlushSentinel, ModelSettings, llm
from livekit.agents.voice.agent_session import SessionConnectOptions

from bolti_server.voice.failures import Failures
from bolti_server.voice.models import CallModels
from bolti_server.worker_api.messages import CallSpec

TOKEN_SECONDS = (
    5.0  # for the first and between any two: comments that keep a dead stream open don't count
)
TRANSCRIPT_SECONDS = 5.0
CLOSE_TRANSCRIPT_SECONDS = 0.5
MAX_TOOL_STEPS = 5
_NEVER = 1_000_000

_CONNECT = SessionConnectOptions(
    stt_conn_options=APIConnectOptions(max_retry=1, retry_interval=0.3, timeout=3.0),
    llm_conn_options=APIConnectOptions(max_retry=1, retry_interval=0.3, timeout=3.0),
    tts_conn_options=APIConnectOptions(max_retry=0, timeout=3.0),
    max_unrecoverable_errors=_NEVER,  # voice.failures ends the call, and not in silence
)


def build_session(spec: CallSpec, models: CallModels) -> AgentSession[Any]:
    """Not started; nothing is connected yet but the LLM's client."""
    turn = spec.turn
    return AgentSession(
        stt=models.stt,
        llm=models.llm,
        tts=models.tts,
        vad=models.vad,
        turn_handling={
            "turn_detection": "vad",
            "endpointing": {
                "mode": "fixed",
                "min_delay": turn.endpointing_min_delay_ms / 1000,
                "max_delay": turn.endpointing_max_delay_ms / 1000,
            },
            "interruption": {
                "mode": "vad",
                "enabled": turn.is_interruption_enabled,
                "min_duration": turn.interruption_min_duration_ms / 1000,
            },
        },
        conn_options=_CONNECT,
        max_tool_steps=MAX_TOOL_STEPS,
        aec_warmup_duration=None,  # a telephone line does its own echo cancelling
        user_away_timeout=None,  # voice.limits knows silence
        transcription_timeout=TRANSCRIPT_SECONDS,
        session_close_transcript_timeout=CLOSE_TRANSCRIPT_SECONDS,
    )


class CallAgent(Agent):
    """Instructions and tools of the spec. A failed or stuck answer of the LLM becomes spoken words."""

    def __init__(
        self, spec: CallSpec, tools: list[llm.Tool | llm.Toolset], failures: Failures
    ) -> None:
        history = llm.ChatContext.empty()
        for turn in spec.transcript_so_far:
            history.add_message(
                role="assistant" if turn.role == "agent" else "user", content=turn.text
            )
        super().__init__(instructions=spec.instructions, tools=tools, chat_ctx=history)
        self._failures = failures

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncIterable[llm.ChatChunk | str | FlushSentinel]:
        """The default node under a deadline per token."""
        answer = Agent.default.llm_node(self, chat_ctx, tools, model_settings)
        try:
            while True:
                async with asyncio.timeout(TOKEN_SECONDS):
                    chunk = await anext(answer)
                yield chunk
        except StopAsyncIteration:
            self._failures.answered_by_llm()
        except Exception as error:  # noqa: BLE001 - the voice session's edge: a vendor's plugin may raise anything
            if isinstance(error, TimeoutError) and not str(error):
                error = TimeoutError(f"no token within {TOKEN_SECONDS:.0f} s")
            if (words := self._failures.llm_failed(error)) is not None:
                yield words
        finally:
            await answer.aclose()
