"""Which turns answer a caller, and what of the wait the session's figures explain. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bolti_server.calls.heard_messages import AskedTurn
from bolti_server.contract import structs

_NOTHING = structs.TurnLatency(
    end_of_turn_ms=None,
    transcription_ms=None,
    llm_first_token_ms=None,
    tts_first_audio_ms=None,
    playback_ms=None,
    end_to_end_ms=None,
)


def answering(turns: Sequence[structs.Turn], *, shift_ms: int = 0) -> list[AskedTurn]:
    """The agent's turns that are the first words after a caller's. `shift_ms`: of the recording's start after the answer."""
    found: list[AskedTurn] = []
    caller_start_ms: int | None = None
    for turn in turns:
        if turn.role == "user":
            if caller_start_ms is None and turn.text:
                caller_start_ms = turn.start_ms
        elif turn.text:
            if caller_start_ms is not None:
                found.append(
                    AskedTurn(
                        index=turn.index,
                        caller_start_ms=caller_start_ms - shift_ms,
                        agent_start_ms=turn.start_ms - shift_ms,
                        agent_end_ms=turn.end_ms - shift_ms,
                    )
                )
            caller_start_ms = None
    return found


def with_heard(turn: structs.Turn, heard_ms: int | None) -> structs.Turn:
    """The turn with what was heard of it. A turn that the session measured nothing of (an apology) gets that alone."""
    if heard_ms is None and turn.latency is None:
        return turn
    latency = turn.latency or _NOTHING
    unaccounted = None if heard_ms is None else unaccounted_ms(turn, heard_ms)
    return msgspec.structs.replace(
        turn,
        latency=msgspec.structs.replace(latency, heard_ms=heard_ms, unaccounted_ms=unaccounted),
    )


def unaccounted_ms(turn: structs.Turn, heard_ms: int) -> int | None:
    """What the components do not explain; None where the session measured none.

    Transcription runs within the wait for the end of the turn, and the model may begin to think within it as well
    (livekit-agents 1.8.9: both delays count from the last word; generation is preemptive). So components overlap where
    their sum is more than `end_to_end_ms`, and explain no more than that. A tool's time is explained too where it fits
    in: a tool that ran while the agent spoke made nobody wait.
    """
    latency = turn.latency
    if latency is None or latency.end_to_end_ms is None:
        return None
    listening = max(latency.end_of_turn_ms or 0, latency.transcription_ms or 0)
    thinking = (latency.llm_first_token_ms or 0) + (latency.tts_first_audio_ms or 0)
    explained = listening + thinking + (latency.playback_ms or 0)
    left = heard_ms - min(explained, latency.end_to_end_ms)
    tools_ms = sum(call.duration_ms for call in turn.tool_calls)
    return left - tools_ms if left >= tools_ms else left
