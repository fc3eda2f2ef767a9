"""Which tools an agent has."""

from __future__ import annotations

from collections.abc import Sequence

from bolti_server.agents import tool_queries, tool_records
from bolti_server.agents.tool_queries import StoredTool
from bolti_server.agents.tool_requests import HttpTool
from bolti_server.base.db import Tx


async def tools_of(tx: Tx, workspace_id: str, tool_ids: Sequence[str]) -> list[HttpTool]:
    """Those of `tool_ids` that still exist, in this order."""
    return [
        tool_records.http_tool(stored.name, tool_records.configuration_of(stored))
        for stored in await _stored(tx, workspace_id, tool_ids)
    ]


async def tool_named(
    tx: Tx, workspace_id: str, tool_ids: Sequence[str], name: str
) -> StoredTool | None:
    """The one of `tool_ids` that an LLM knows by this name; a name is unique in its workspace."""
    found = await _stored(tx, workspace_id, tool_ids)
    return next((stored for stored in found if stored.name == name), None)


async def _stored(tx: Tx, workspace_id: str, tool_ids: Sequence[str]) -> list[StoredTool]:
    found = await tool_queries.tools_by_ids(tx, workspace_id, tool_ids)
    return [found[tool_id] for tool_id in tool_ids if tool_id in found]
