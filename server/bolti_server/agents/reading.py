"""What is read of agents: the configuration that a call is going to use, or did use, and what the API shows."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import msgspec

from bolti_server.agents import queries, tool_queries
from bolti_server.agents.queries import StoredAgent, StoredVersion
from bolti_server.base.clock import rfc3339
from bolti_server.base.db import Tx
from bolti_server.contract import structs
from bolti_server.contract.structs import AgentConfiguration
from bolti_server.web.preconditions import etag_of


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


async def is_agent(tx: Tx, workspace_id: str, agent_id: str) -> bool:
    """Whether there is such an agent now."""
    return await queries.find_agent(tx, workspace_id, agent_id) is not None


async def hold_agent(tx: Tx, workspace_id: str, agent_id: str) -> bool:
    """Whether there is such an agent; if so, it can't be deleted until the transaction ends."""
    return await queries.hold_agent(tx, workspace_id, agent_id)


async def records(tx: Tx, workspace_id: str, agents: Sequence[StoredAgent]) -> list[structs.Agent]:
    """As the API shows them: without the tools that have been deleted since."""
    configurations = [configuration_of(stored) for stored in agents]
    named = {tool_id for configuration in configurations for tool_id in configuration.tool_ids}
    existing = await tool_queries.existing_ids(tx, workspace_id, sorted(named))
    return [
        _record(stored, configuration, existing)
        for stored, configuration in zip(agents, configurations, strict=True)
    ]


async def record(tx: Tx, workspace_id: str, stored: StoredAgent) -> structs.Agent:
    """As `records`, of one."""
    return (await records(tx, workspace_id, [stored]))[0]


def etag(stored: StoredAgent, shown: structs.Agent) -> str:
    """Of the answer `shown`. Beside a save only the deletion of a tool changes it, and none ever comes back."""
    return etag_of(stored.version, len(configuration_of(stored).tool_ids) - len(shown.tool_ids))


def configuration_of(stored: StoredAgent | StoredVersion) -> AgentConfiguration:
    return msgspec.json.decode(stored.configuration, type=AgentConfiguration)


def _record(
    stored: StoredAgent, configuration: AgentConfiguration, existing: frozenset[str]
) -> structs.Agent:
    fields = {name: getattr(configuration, name) for name in configuration.__struct_fields__}
    fields["tool_ids"] = [each for each in configuration.tool_ids if each in existing]
    return structs.Agent(
        id=stored.id,
        workspace_id=stored.workspace_id,
        version=stored.version,
        created_at=rfc3339(stored.created_at),
        updated_at=rfc3339(stored.updated_at),
        required_variables=list(stored.required_variables),
        **fields,
    )


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
