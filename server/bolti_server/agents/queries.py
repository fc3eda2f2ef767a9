"""Questions about agents and their versions, one function each. Deleted agents are found by version only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from bolti_server.agents.tables import AgentRow
from bolti_server.base.db import Tx, encode_json


@attrs.frozen
class StoredAgent:
    """An agent with one of its versions. `configuration` is encoded AgentConfiguration."""

    id: str
    workspace_id: str
    version: int
    configuration: str
    required_variables: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    is_deleted: bool = False


@attrs.frozen
class StoredVersion:
    """One version of an agent that is not deleted. `configuration` is encoded AgentConfiguration."""

    agent_id: str
    version: int
    is_current: bool
    restored_from: int | None
    created_at: datetime
    configuration: str
    required_variables: tuple[str, ...]


_VERSION = """
    select v.agent_id, v.version, v.version = a.version as is_current, v.restored_from, v.created_at,
           v.configuration::text as configuration, v.required_variables
    from agent_versions v join agents a on a.id = v.agent_id
    where a.workspace_id = $1 and a.id = $2 and a.deleted_at is null"""

_SELECT = """
    select a.id, a.workspace_id, v.version, v.configuration::text as configuration, v.required_variables,
           a.created_at, a.updated_at, a.deleted_at is not null as is_deleted
    from agents a join agent_versions v on v.agent_id = a.id"""
_CURRENT = f"{_SELECT} and v.version = a.version"


async def find_agent(tx: Tx, workspace_id: str, agent_id: str) -> StoredAgent | None:
    row = await tx.fetchrow(
        f"{_CURRENT} where a.workspace_id = $1 and a.id = $2 and a.deleted_at is null",
        workspace_id,
        agent_id,
    )
    return None if row is None else _stored(row)


async def find_version(
    tx: Tx, workspace_id: str, agent_id: str, version: int
) -> StoredAgent | None:
    """A version, current or not, also of a deleted agent: records of calls point at it."""
    row = await tx.fetchrow(
        f"{_SELECT} where a.workspace_id = $1 and a.id = $2 and v.version = $3",
        workspace_id,
        agent_id,
        version,
    )
    return None if row is None else _stored(row)


async def find_agent_version(
    tx: Tx, workspace_id: str, agent_id: str, version: int
) -> StoredVersion | None:
    row = await tx.fetchrow(f"{_VERSION} and v.version = $3", workspace_id, agent_id, version)
    return None if row is None else _version(row)


async def list_versions(
    tx: Tx, workspace_id: str, agent_id: str, *, limit: int, before_version: int | None
) -> list[StoredVersion]:
    """Newest first; `before_version` is the last one of the page before."""
    rows = await tx.fetch(
        f"{_VERSION} and ($3::integer is null or v.version < $3) order by v.version desc limit $4",
        workspace_id,
        agent_id,
        before_version,
        limit,
    )
    return [_version(row) for row in rows]


async def lock_agent(tx: Tx, workspace_id: str, agent_id: str) -> StoredAgent | None:
    """The agent, held until the transaction ends: savers come one after the other."""
    is_there = await tx.fetchval(
        "select true from agents where workspace_id = $1 and id = $2 and deleted_at is null for update",
        workspace_id,
        agent_id,
    )
    # A second statement, so that it sees the version that the one who held the row before has committed.
    return await find_agent(tx, workspace_id, agent_id) if is_there else None


async def hold_agent(tx: Tx, workspace_id: str, agent_id: str) -> bool:
    """Whether it is there; if so nobody deletes it before the transaction ends (saving it waits too)."""
    found = await tx.fetchval(
        "select true from agents where workspace_id = $1 and id = $2 and deleted_at is null for share",
        workspace_id,
        agent_id,
    )
    return found is True


async def list_agents(
    tx: Tx,
    workspace_id: str,
    *,
    limit: int,
    before_id: str | None,
    is_active: bool | None,
    name: str | None,
    is_oldest_first: bool = False,
) -> list[StoredAgent]:
    """`before_id` is the last id of the page before. `name` is the whole name."""
    page = AgentRow.select(AgentRow.id).where(
        AgentRow.workspace_id == workspace_id, AgentRow.deleted_at.is_null()
    )
    if before_id is not None:
        is_past = AgentRow.id > before_id if is_oldest_first else AgentRow.id < before_id
        page = page.where(is_past)
    if is_active is not None:
        page = page.where(AgentRow.is_active == is_active)
    if name is not None:
        page = page.where(AgentRow.name == name)
    page = page.order_by(AgentRow.id, ascending=is_oldest_first).limit(limit)
    ids = [row["id"] for row in await page]
    way = "asc" if is_oldest_first else "desc"
    rows = await tx.fetch(
        f"{_CURRENT} where a.workspace_id = $1 and a.id = any($2::text[]) order by a.id {way}",
        workspace_id,
        ids,
    )
    return [_stored(row) for row in rows]


async def insert_agent(
    tx: Tx, workspace_id: str, agent_id: str, *, name: str, is_active: bool
) -> None:
    """The row of an agent whose version 1 follows in the same transaction."""
    await tx.execute(
        "insert into agents (id, workspace_id, name, is_active, version) values ($1, $2, $3, $4, 1)",
        agent_id,
        workspace_id,
        name,
        is_active,
    )


async def insert_version(
    tx: Tx,
    workspace_id: str,
    agent_id: str,
    version: int,
    *,
    configuration: object,
    required_variables: Sequence[str],
    restored_from: int | None = None,
) -> None:
    await tx.execute(
        """insert into agent_versions (
               agent_id, version, workspace_id, configuration, required_variables, restored_from)
           values ($1, $2, $3, $4, $5, $6)""",
        agent_id,
        version,
        workspace_id,
        encode_json(configuration),
        list(required_variables),
        restored_from,
    )


async def point_at_version(
    tx: Tx, workspace_id: str, agent_id: str, version: int, *, name: str, is_active: bool
) -> None:
    await tx.execute(
        """update agents set version = $3, name = $4, is_active = $5, updated_at = bolti_now()
           where workspace_id = $1 and id = $2""",
        workspace_id,
        agent_id,
        version,
        name,
        is_active,
    )


async def mark_deleted(tx: Tx, workspace_id: str, agent_id: str) -> bool:
    """Whether there was such an agent."""
    done = await tx.fetchval(
        """update agents set deleted_at = bolti_now(), updated_at = bolti_now()
           where workspace_id = $1 and id = $2 and deleted_at is null returning id""",
        workspace_id,
        agent_id,
    )
    return done is not None


def _version(row: Mapping[str, Any]) -> StoredVersion:
    return StoredVersion(
        **{**dict(row), "required_variables": tuple(row["required_variables"])},
    )


def _stored(row: Mapping[str, Any]) -> StoredAgent:
    return StoredAgent(
        id=row["id"],
        workspace_id=row["workspace_id"],
        version=row["version"],
        configuration=row["configuration"],
        required_variables=tuple(row["required_variables"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        is_deleted=row["is_deleted"],
    )
