"""What other slices read of agents: the configuration that a call is going to use, or did use."""

from __future__ import annotations

import attrs
import msgspec

from bolti_server.agents import queries
from bolti_server.agents.queries import StoredAgent
from bolti_server.base.db import Tx
from bolti_server.contract.structs import AgentConfiguration


@attrs.frozen
class AgentForCall:
    """One version of an agent. `is_active` is that version's flag."""

    id: str
    name: str
    is_active: bool
    version: int
    configuration: AgentConfiguration
    required_variables: tuple[str, ...]


async def for_call(tx: Tx, workspace_id: str, agent_id: str) -> AgentForCall | None:
    """The current version; None for an agent that is deleted, of another workspace or none at all."""
    stored = await queries.find_agent(tx, workspace_id, agent_id)
    return None if stored is None else _for_call(stored)


async def version_for_call(
    tx: Tx, workspace_id: str, agent_id: str, version: int
) -> AgentForCall | None:
    """The version that a call pinned, whatever has become of the agent since."""
    stored = await queries.find_version(tx, workspace_id, agent_id, version)
    return None if stored is None else _for_call(stored)


async def hold_agent(tx: Tx, workspace_id: str, agent_id: str) -> bool:
    """Whether there is such an agent; if so, it can't be deleted until the transaction ends."""
    return await queries.hold_agent(tx, workspace_id, agent_id)


def configuration_of(stored: StoredAgent) -> AgentConfiguration:
    return msgspec.json.decode(stored.configuration, type=AgentConfiguration)


def _for_call(stored: StoredAgent) -> AgentForCall:
    configuration = configuration_of(stored)
    return AgentForCall(
        id=stored.id,
        name=configuration.name,
        is_active=configuration.is_active,
        version=stored.version,
        configuration=configuration,
        required_variables=stored.required_variables,
    )
