"""What may be expected of a recording when a call ends, and what is said where it does not come.

Rule: a call that was answered, by an agent that records, on a line that has sound, has a recording, or says why not.
"""

from __future__ import annotations

from bolti_server.agents import reading as agents
from bolti_server.base.db import Tx
from bolti_server.calls import artifact_queries
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.hangups import Status
from bolti_server.calls.worker_queries import LiveCall

MISSING_DETAIL = "The agent worker could not record the call."


async def is_expected(tx: Tx, call: LiveCall) -> bool:
    """Whether this call, as it is before its end, should have been recorded from its answer on."""
    if call.status is not Status.IN_PROGRESS or call.line == "text":
        return False
    agent = await agents.version_for_call(tx, call.workspace_id, call.agent_id, call.agent_version)
    return agent is not None and agent.configuration.is_recording_enabled


async def will_not_come(tx: Tx, call: LiveCall) -> LiveCall:
    """The worker of a call that is over says that it has no recording: one that was awaited has failed.

    Returns the call after it. Nothing changes where none was awaited.
    """
    parts = await artifact_queries.list_parts(tx, call.workspace_id, call.id)
    if call.recording_status != "pending" or parts:
        return call
    return await give_up(tx, call, "The agent worker came back without a recording of this call.")


async def give_up(tx: Tx, call: LiveCall, detail: str) -> LiveCall:
    """Nobody waits for its recording any more; `detail`: why. The call after it."""
    changes = {"recording_status": "failed", "recording_detail": detail, "next_at": None}
    return await queries.change_call(tx, call.workspace_id, call.id, changes)
