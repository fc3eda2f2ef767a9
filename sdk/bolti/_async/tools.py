"""Tools: what agents can do beside talking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from bolti import _operations as operations
from bolti._async.core import AsyncCore
from bolti._async.pages import AsyncListing
from bolti._models import Catalogue, SortOrder, Tool, ToolTestResult
from bolti._requests import ToolCreate, ToolUpdate, Variables
from bolti._sending import given


class AsyncTools:
    """`bolti.tools`: HTTP requests that an agent can make in a call. The server sends them; secrets stay there."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def create(
        self, *, idempotency_key: str | None = None, **tool: Unpack[ToolCreate]
    ) -> Tool:
        """Makes a tool; `name`, `description` and `url` are needed, the members are those of `ToolCreate`.

        `url`, header values and `body_template` may hold `{{ variables }}`; `input_schema` is a JSON Schema of what the
        model fills in. Give it to an agent by `agents.update(…, tool_ids=[tool.id])`. Raises NameTaken,
        ValidationFailed. Safe to repeat with the same `idempotency_key`.
        """
        return await self._core.call(
            operations.CREATE_TOOL, body=tool, idempotency_key=idempotency_key
        )

    def list(
        self,
        *,
        name: str | None = None,
        sort: SortOrder | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> AsyncListing[Tool]:
        """Tools, newest first unless `sort` is "oldest", `limit` (1-100, default 20) to a page; `name` finds exactly that
        one."""
        query = given(name=name, sort=sort, limit=limit, after=after)
        return self._core.pages(operations.LIST_TOOLS, query=query)

    async def get(self, tool_id: str) -> Tool:
        """The tool, without its secrets. Raises NotFound."""
        return await self._core.call(operations.GET_TOOL, tool_id=tool_id)

    async def update(self, tool_id: str, **changes: Unpack[ToolUpdate]) -> Tool:
        """Changes what is given (members of `ToolUpdate`); lists and objects are replaced whole.

        Raises NotFound, NameTaken, ValidationFailed. Repeating it ends in the same state.
        """
        return await self._core.call(operations.UPDATE_TOOL, body=changes, tool_id=tool_id)

    async def delete(self, tool_id: str) -> None:
        """Deletes it; agents that have it lose it. Raises NotFound."""
        await self._core.call(operations.DELETE_TOOL, tool_id=tool_id)

    async def test(
        self,
        tool_id: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        variable_values: Variables | None = None,
    ) -> ToolTestResult:
        """Sends the tool's real request, as in a call, and shows what went out and came back; secrets are masked.

        May take as long as the tool's own timeout (up to 120 s). Not repeated by itself: the request is a real one.
        """
        body = given(arguments=arguments, variable_values=variable_values)
        return await self._core.call(operations.TEST_TOOL, body=body, tool_id=tool_id)


class AsyncCatalogueResource:
    """`bolti.catalogue`: the models that an agent can name."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def get(self) -> Catalogue:
        """Providers, models, languages and voices for `stt`, `llm` and `tts`."""
        return await self._core.call(operations.GET_CATALOGUE)
