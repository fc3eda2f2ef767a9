"""Our own share of a turn, and the time from the answer to the agent's first sound, in whole calls over the API.

Share = end to end − wait for the end of the turn (endpointing) − the scripted delays of the simulated models (which are the
reference: what the models would cost with no server around them). Figures come from the conversations' own records.

The session asks the model while it still waits for the end of the turn (preemptive generation), so scripted delays hide
in that wait and the share by this formula comes out below zero. The honest upper bound is the share with models that take
no time at all (`…_without_delays…`): nothing hides, and what is left is ours.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from bolti import Bolti
from bolti_server.entrypoints.dev_child import DevChild, Running

CALLS = 8
FIRST_TOKEN_MS = 200
FIRST_AUDIO_MS = 100
SIMULTANEOUS_CALLS = 10


def measure() -> dict[str, float]:
    """Milliseconds; p95 over every agent turn that answers the callee, p50 over calls."""
    with (
        tempfile.TemporaryDirectory(prefix="bolti-bench-") as folder,
        DevChild(Path(folder)) as stack,
    ):
        instant = _shares(stack, calls=CALLS, at_once=1, first_token_ms=0, first_audio_ms=0)
        scripted = _shares(stack, calls=CALLS // 2, at_once=1)
        together = _shares(stack, calls=SIMULTANEOUS_CALLS, at_once=SIMULTANEOUS_CALLS)
    return {
        "turns": len(instant.shares),
        "own_share_without_delays_p50_ms": statistics.median(instant.shares),
        "own_share_without_delays_p95_ms": _p95(instant.shares),
        "own_share_p95_ms": _p95(scripted.shares),
        "answer_to_first_audio_p50_ms": statistics.median(scripted.first_audio),
        "end_to_end_p95_ms": _p95(scripted.end_to_end),
        "end_to_end_p95_ms_of_10_calls_at_once": _p95(together.end_to_end),
        "ten_calls_to_one_ratio": _p95(together.end_to_end) / _p95(scripted.end_to_end),
    }


class _Shares:
    def __init__(self) -> None:
        self.shares: list[float] = []
        self.end_to_end: list[float] = []
        self.first_audio: list[float] = []


def _shares(
    stack: Running,
    *,
    calls: int,
    at_once: int,
    first_token_ms: int = FIRST_TOKEN_MS,
    first_audio_ms: int = FIRST_AUDIO_MS,
) -> _Shares:
    bolti = Bolti(api_key=stack.api_key, base_url=stack.base_url, workspace_id=stack.workspace_id)
    bolti.agents.update(
        stack.agent_id,
        stt={"provider": "simulated"},
        llm={"provider": "simulated", "first_token_delay_ms": first_token_ms},
        tts={"provider": "simulated", "voice": "speech", "first_audio_delay_ms": first_audio_ms},
    )
    found = _Shares()
    for start in range(0, calls, at_once):
        placed = [
            bolti.agents.outbound_call(
                stack.agent_id,
                to_number="+12025550100",
                allow_concurrent_to_callee=True,
                variable_values={"name": "Asha"},
            )
            for _ in range(min(at_once, calls - start))
        ]
        for call in placed:
            conversation = bolti.conversations.wait_until_ended(
                call.conversation_id, timeout_seconds=120
            )
            if conversation.latency is not None and conversation.latency.first_audio_ms is not None:
                found.first_audio.append(conversation.latency.first_audio_ms)
            for turn in conversation.transcript:
                latency = turn.latency
                if (
                    turn.role == "agent"
                    and latency is not None
                    and latency.end_to_end_ms is not None
                ):
                    found.end_to_end.append(latency.end_to_end_ms)
                    waited = latency.end_of_turn_ms or 0
                    found.shares.append(
                        latency.end_to_end_ms - waited - first_token_ms - first_audio_ms
                    )
    return found


def _p95(values: list[float]) -> float:
    return sorted(values)[max(0, round(0.95 * len(values)) - 1)]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
