"""The workspace, its API keys, and the state of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from bolti import _operations as operations
from bolti._async.core import AsyncCore
from bolti._async.pages import AsyncListing
from bolti._models import ApiKey, ApiKeyCreated, ApiKeyKind, Health, Scope, Workspace
from bolti._requests import Instant, WorkspaceUpdate
from bolti._sending import given


class AsyncWorkspaceResource:
    """`bolti.workspace`: the one that this client works in."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def get(self) -> Workspace:
        """Name and limits. Raises NotFound where the key is another workspace's."""
        return await self._core.call(operations.GET_WORKSPACE)

    async def update(self, **changes: Unpack[WorkspaceUpdate]) -> Workspace:
        """Changes what is given: `name`, `max_concurrent_calls`."""
        return await self._core.call(operations.UPDATE_WORKSPACE, body=changes)


class AsyncApiKeys:
    """`bolti.api_keys`: of this workspace."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def create(
        self,
        *,
        name: str,
        kind: ApiKeyKind | None = None,
        origins: Sequence[str] | None = None,
        scopes: Sequence[Scope] | None = None,
        expires_at: Instant | None = None,
        idempotency_key: str | None = None,
    ) -> ApiKeyCreated:
        """Makes a key. Its `token` is shown this once: store it.

        `kind`: "secret" (the default) for programs; "public" for web pages, with the `origins` that may use it, e.g.
        ["https://www.example.com"]: it can start web calls and nothing else. `scopes`: left out, those of the key in
        use, which is also the most that can be given. `expires_at`: an aware datetime or RFC 3339. Raises
        InsufficientScope, ValidationFailed. Safe to repeat with the same `idempotency_key`.
        """
        return await self._core.call(
            operations.CREATE_API_KEY,
            body=given(name=name, kind=kind, origins=origins, scopes=scopes, expires_at=expires_at),
            idempotency_key=idempotency_key,
        )

    def list(self, *, limit: int | None = None, after: str | None = None) -> AsyncListing[ApiKey]:
        """Keys, revoked ones too, newest first, `limit` (1-100, default 20) to a page."""
        return self._core.pages(operations.LIST_API_KEYS, query=given(limit=limit, after=after))

    async def revoke(self, api_key_id: str) -> None:
        """Makes it useless everywhere within a second. Revoking a revoked key changes nothing. Raises NotFound."""
        await self._core.call(operations.REVOKE_API_KEY, api_key_id=api_key_id)


class AsyncHealthResource:
    """`bolti.health`: needs no valid key."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def get(self) -> Health:
        """Whether the server can do its work ("ok" or "degraded", which is an answer and raises nothing)."""
        return await self._core.call(operations.GET_HEALTH)
