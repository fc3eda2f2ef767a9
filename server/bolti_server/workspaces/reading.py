"""What other slices ask about a workspace."""

from __future__ import annotations

from bolti_server.base.db import Tx
from bolti_server.workspaces import queries


async def organization_of(tx: Tx, workspace_id: str) -> str:
    """The organization that pays for the workspace. The workspace must exist."""
    found = await queries.find_organization_id(tx, workspace_id)
    assert found is not None, f"there is no workspace {workspace_id}"
    return found
