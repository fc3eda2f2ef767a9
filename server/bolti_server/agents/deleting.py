"""Deleting an agent: it takes no calls any more, and its versions stay for the records of the calls it had.

The public operation is `numbers.retiring.delete_agent_and_unassign`, which takes its numbers away too.
"""

from __future__ import annotations

from bolti_server.agents import queries
from bolti_server.base.db import Tx
from bolti_server.base.errors import not_found
from bolti_server.web.preconditions import IfMatch


async def delete_agent(
    tx: Tx, workspace_id: str, agent_id: str, *, expected: IfMatch | None = None
) -> None:
    """Raises Refusal 404 where there is no such agent (any more), 412 where it is not in an `expected` version."""
    if expected is not None:
        stored = await queries.lock_agent(tx, workspace_id, agent_id)
        stale = None if stored is None else expected.refusal("agent", stored.version)
        if stale is not None:
            raise stale
    if not await queries.mark_deleted(tx, workspace_id, agent_id):
        raise not_found("agent")
