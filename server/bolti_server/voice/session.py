"""The agent session of a call: turn-taking, time-outs and the agent that speaks in it.

Rules: turn detection and interruption are always named (the defaults would try LiveKit's cloud); every wait on a model
has a limit. The numbers are those that held against misbehaving vendors (models.md, "Settings that held").
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from livekit.agents import AgentSession, APIConnectOptions, FlushSentinel, ModelSettings, llm
from livekit.agents.voice.agent_session import SessionConnectOptions

from bolti_server.voice.failures import Failures
from bolti_server.voice.llm_chain import LlmChain
from bolti_server.voice.models import CallModels
from bolti_server.voice.silent_agent import SpeakingAgent
from bolti_server.voice.stt_chain import SttChain
from bolti_server.voice.tts_chain import TtsChain
from bolti_server.voice.voicemail import Voicemail
from bolti_server.worker_api.messages import CallSpec

# After the end of speech; real ones take up to a second. Then the vendor is changed, which takes as long again.
TRANSCRIPT_SECONDS = 2.0
CLOSE_TRANSCRIPT_SECONDS = 0.5
MAX_TOOL_STEPS = 5
_NEVER = 1_000_000

# The chains ask each vendor under limits of their own; nothing is to be repeated around them.
_ONCE = APIConnectOptions(max_retry=0, timeout=3.0)
_CONNECT = SessionConnectOptions(
    stt_conn_options=_ONCE,
    llm_conn_options=_ONCE,
    tts_conn_options=_ONCE,
    max_unrecoverable_errors=_NEVER,  # voice.failures ends the call, and not in silence
)


def build_session(spec: CallSpec, models: CallModels, ear: SttChain) -> AgentSession[Any]:
    """Not started; nothing is connected yet but the LLM's client."""
    turn = spec.turn
    return AgentSession(
        stt=ear,
        llm=models.llm.first.made,
        tts=models.tts.first.made,
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


class CallAgent(SpeakingAgent):
    """Instructions and tools of the spec. It thinks by a chain of vendors, too; what they can't do becomes words."""

    def __init__(
        self,
        spec: CallSpec,
        tools: list[llm.Tool | llm.Toolset],
        mind: LlmChain,
        voice: TtsChain,
        failures: Failures,
        voicemail: Voicemail,
    ) -> None:
        history = llm.ChatContext.empty()
        for turn in spec.transcript_so_far:
            history.add_message(
                role="assistant" if turn.role == "agent" else "user", content=turn.text
            )
        super().__init__(
            voice, failures, instructions=spec.instructions, tools=tools, chat_ctx=history
        )
        self._mind = mind
        self._voicemail = voicemail

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncIterable[llm.ChatChunk | str | FlushSentinel]:
        """The answer, or what to say instead of the rest of it; to a mailbox nothing."""
        if self._voicemail.is_mailbox:
            return
        answer = self._mind.answer(chat_ctx, tools, model_settings.tool_choice)
        try:
            async for chunk in answer:
                yield chunk
            self._failures.answered_by_llm()
        except Exception as error:  # noqa: BLE001 - the voice session's edge: a vendor's plugin may raise anything
            if (words := self._failures.llm_failed(error)) is not None:
                yield f" {words}"
        finally:
            await answer.aclose()
