"""Deleting an agent, as far as its numbers go.

Rule: a deleted agent has no numbers, in the same transaction. The slices call downwards only, so the deletion that
touches both begins here and not with the agents.
"""

from __future__ import annotations

from bolti_server.agents.deleting import delete_agent
from bolti_server.base.db import Tx
from bolti_server.numbers import queries
from bolti_server.web.preconditions import IfMatch


async def delete_agent_and_unassign(
    tx: Tx, workspace_id: str, agent_id: str, *, expected: IfMatch | None = None
) -> None:
    """Calls in progress keep agent and number until they end.

    Raises Refusal 404 for an unknown agent, 412 where it is not in an `expected` version.
    """
    await delete_agent(tx, workspace_id, agent_id, expected=expected)
    await queries.end_bindings_of_agent(tx, workspace_id, agent_id)
