"""Where the time of an agent's turn went, from what the session measured. Pure.

Sources: `ChatMessage.metrics` of livekit-agents 1.8.9, in seconds; the wait for the end of the turn and the transcription
stand on the user's message, all else on the agent's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bolti_server.worker_api.messages import TurnLatency


def latency_of(user: Mapping[str, Any], agent: Mapping[str, Any]) -> TurnLatency | None:
    """None for a turn that answers nobody (a greeting, an apology)."""
    if "e2e_latency" not in agent:
        return None
    return TurnLatency(
        end_of_turn_ms=_ms(user.get("end_of_turn_delay")),
        transcription_ms=_ms(user.get("transcription_delay")),
        llm_first_token_ms=_ms(agent.get("llm_node_ttft")),
        tts_first_audio_ms=_ms(agent.get("tts_node_ttfb")),
        playback_ms=_ms(agent.get("playback_latency")),
        end_to_end_ms=_ms(agent.get("e2e_latency")),
    )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else max(0, round(seconds * 1000))
