"""The versions of an agent: what each froze, what changed between two, and one of them saved again.

Rule: a version is never changed and never goes away; restoring makes a new one. A version that is restored is checked like
any other save, because catalogue and tools may have changed since.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from bolti_server.agents import queries, saving
from bolti_server.agents.queries import StoredAgent, StoredVersion
from bolti_server.agents.reading import configuration_of
from bolti_server.base.clock import rfc3339
from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal, not_found
from bolti_server.contract import structs
from bolti_server.web.preconditions import IfMatch
from bolti_server.world import World


async def version_of(
    tx: Tx, workspace_id: str, agent_id: str, version: int
) -> structs.AgentVersion:
    """Raises Refusal 404 where there is no such agent (any more), or it has no such version."""
    return record(await _existing(tx, workspace_id, agent_id, version))


async def compare(
    tx: Tx, workspace_id: str, agent_id: str, version: int, *, since: int | None
) -> structs.AgentVersionChanges:
    """What is different in `version`, seen from `since` (None: the one before; the first has none before it and is
    compared with itself). Raises Refusal 404, or 400 where `since` is no version of the agent."""
    there = await _existing(tx, workspace_id, agent_id, version)
    base_version = max(1, version - 1) if since is None else since
    base = await queries.find_agent_version(tx, workspace_id, agent_id, base_version)
    if base is None:
        detail = f"The agent has no version {base_version}."
        fault = Fault("not_found", detail, "query:since")
        raise Refusal(400, "validation_failed", f"since: {detail}", faults=[fault])
    before = msgspec.to_builtins(configuration_of(base))
    after = msgspec.to_builtins(configuration_of(there))
    changes = [
        structs.AgentVersionChange(path=path, old=old, new=new)
        for path, old, new in _differences(before, after, "")
    ]
    return structs.AgentVersionChanges(
        agent_id=agent_id, from_version=base_version, to_version=version, changes=changes
    )


async def restore(
    tx: Tx,
    world: World,
    workspace_id: str,
    agent_id: str,
    version: int,
    *,
    expected: IfMatch | None,
) -> StoredAgent:
    """The agent in a new version that is equal to `version`, but for tools that have been deleted since.

    Raises Refusal 404, 412, and 400 with everything that would be wrong with it today.
    """
    stored = await queries.lock_agent(tx, workspace_id, agent_id)
    if stored is None:
        raise not_found("agent")
    wanted = await queries.find_agent_version(tx, workspace_id, agent_id, version)
    if wanted is None:
        raise not_found("version")
    refusal = None if expected is None else expected.refusal("agent", stored.version)
    if refusal is not None:
        raise refusal
    return await saving.save_again(
        tx, world, stored, configuration_of(wanted), restored_from=version
    )


def record(stored: StoredVersion) -> structs.AgentVersion:
    """As the API shows it: what was frozen, word for word."""
    return structs.AgentVersion(
        agent_id=stored.agent_id,
        version=stored.version,
        is_current=stored.is_current,
        restored_from=stored.restored_from,
        created_at=rfc3339(stored.created_at),
        required_variables=list(stored.required_variables),
        configuration=configuration_of(stored),
    )


async def _existing(tx: Tx, workspace_id: str, agent_id: str, version: int) -> StoredVersion:
    if await queries.find_agent(tx, workspace_id, agent_id) is None:
        raise not_found("agent")
    found = await queries.find_agent_version(tx, workspace_id, agent_id, version)
    if found is None:
        raise not_found("version")
    return found


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """(JSON pointer, old, new) of every value that is not the same. Objects are looked into, lists are one value."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            token = name.replace("~", "~0").replace("/", "~1")
            yield from _differences(before.get(name), after.get(name), f"{path}/{token}")
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield path, before, after
