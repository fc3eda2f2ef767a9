"""What an agent was: every save is a version, and none ever changes."""

from __future__ import annotations

from bolti import _operations as operations
from bolti._async.core import AsyncCore
from bolti._async.pages import AsyncListing
from bolti._models import Agent, AgentVersion, AgentVersionChanges
from bolti._sending import given


class AsyncAgentVersions:
    """`bolti.agent_versions`: the frozen configurations of an agent. A conversation names the one that it used."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self, agent_id: str, *, limit: int | None = None, after: str | None = None
    ) -> AsyncListing[AgentVersion]:
        """The agent's versions, newest first, `limit` (1-100, default 20) to a page. Raises NotFound."""
        query = given(limit=limit, after=after)
        return self._core.pages(operations.LIST_AGENT_VERSIONS, query=query, agent_id=agent_id)

    async def get(self, agent_id: str, version: int) -> AgentVersion:
        """One version. Raises NotFound."""
        return await self._core.call(
            operations.GET_AGENT_VERSION, agent_id=agent_id, version=str(version)
        )

    async def compare(
        self, agent_id: str, version: int, *, since: int | None = None
    ) -> AgentVersionChanges:
        """Every field that is different in `version`, seen from `since` (left out: the version before).

        Each of `changes` has the `path` of the field (a JSON pointer into the configuration), and its `old` and `new` value.
        Raises NotFound, and ValidationFailed where the agent has no version `since`.
        """
        return await self._core.call(
            operations.COMPARE_AGENT_VERSIONS,
            query=given(since=since),
            agent_id=agent_id,
            version=str(version),
        )

    async def restore(
        self,
        agent_id: str,
        version: int,
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Agent:
        """Makes a new version that is equal to this one, but for tools that have been deleted since.

        Raises NotFound, ValidationFailed (it could not hold a call any more), and PreconditionFailed where the agent is
        in another version than `expected_version`. Safe to repeat with the same `idempotency_key`.
        """
        return await self._core.call(
            operations.RESTORE_AGENT_VERSION,
            idempotency_key=idempotency_key,
            expected_version=expected_version,
            agent_id=agent_id,
            version=str(version),
        )
