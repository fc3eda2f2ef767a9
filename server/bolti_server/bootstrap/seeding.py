"""What a newcomer's workspace holds: an agent that can talk at once, two simulated numbers, an API key.

Rule: repeating changes nothing but a lost key, which is replaced (keys are stored hashed, so it can't be shown again).
"""

from __future__ import annotations

import attrs

from bolti_server.agents import saving
from bolti_server.base.db import Tx
from bolti_server.contract import structs
from bolti_server.numbers import assigning, creating
from bolti_server.workspaces.creating import create_api_key, create_organization
from bolti_server.world import World

AGENT_NAME = "Bolti's front desk"
FROM_NUMBERS = ("+12025550199", "+12025550198")

# Rules are tried in order, on what the callee said last.
RULES: tuple[structs.LlmRule, ...] = ()


@attrs.frozen
class Seeded:
    organization_id: str
    workspace_id: str
    agent_id: str
    api_key: str
