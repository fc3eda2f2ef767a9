"""What may be expected of a recording when a call ends.

Rule: a call that was answered, by an agent that records, on a line that has sound, has a recording, or says why not.
"""

from __future__ import annotations

from bolti_server.agents import reading as agents
from bolti_server.base.db import Tx
from bolti_server.calls.hangups import Status
from bolti_server.calls.worker_queries import LiveCall

MISSING_DETAIL = "The agent worker could not record the call."


async def is_expected(tx: Tx, call: LiveCall) -> bool:
    """Whether this call, as it is before its end, should have been recorded from its answer on."""
    if call.status is not Status.IN_PROGRESS or call.line == "text":
        return False
    agent = await agents.version_for_call(tx, call.workspace_id, call.agent_id, call.agent_version)
    return agent is not None and agent.configuration.is_recording_enabled
