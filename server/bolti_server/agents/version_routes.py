"""An agent's versions: list, read, compare, restore."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from bolti_server.agents import queries, reading, versions
from bolti_server.base.db import Tx
from bolti_server.base.errors import not_found
from bolti_server.contract import structs
from bolti_server.web.authentication import Caller
from bolti_server.web.idempotency import Answer, idempotently
from bolti_server.web.paging import numbered_page_request
from bolti_server.web.parameters import query_of
from bolti_server.web.preconditions import if_match
from bolti_server.web.responses import json_response
from bolti_server.world import World

AnyRequest = Request[Any, Any, Any]
_VERSIONS = "/workspaces/{workspace_id:str}/agents/{agent_id:str}/versions"
_VERSION = _VERSIONS + "/{version:str}"


@get(_VERSIONS, operation_id="listAgentVersions")
async def list_agent_versions(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
) -> Response[bytes]:
    async with world.db.transaction(is_readonly=True) as tx:
        if not await reading.is_agent(tx, caller.workspace_id, agent_id):
            raise not_found("agent")
        limit, before = numbered_page_request(request)
        found = await queries.list_versions(
            tx, caller.workspace_id, agent_id, limit=limit + 1, before_version=before
        )
    shown = [versions.record(each) for each in found[:limit]]
    cursor = str(shown[-1].version) if len(found) > limit else None
    return json_response(structs.AgentVersionPage(data=shown, next=cursor))


@get(_VERSION, operation_id="getAgentVersion")
async def get_agent_version(
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
    version: FromPath[str],
) -> Response[bytes]:
    async with world.db.transaction(is_readonly=True) as tx:
        found = await versions.version_of(tx, caller.workspace_id, agent_id, int(version))
    return json_response(found)


@get(_VERSION + "/changes", operation_id="compareAgentVersions")
async def compare_agent_versions(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
    version: FromPath[str],
) -> Response[bytes]:
    since = query_of(request).get("since")
    async with world.db.transaction(is_readonly=True) as tx:
        changes = await versions.compare(
            tx, caller.workspace_id, agent_id, int(version), since=since
        )
    return json_response(changes)


@post(_VERSION + "/restore", operation_id="restoreAgentVersion")
async def restore_agent_version(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
    version: FromPath[str],
) -> Response[Any]:
    async def work(tx: Tx) -> Answer:
        stored = await versions.restore(
            tx, world, caller.workspace_id, agent_id, int(version), expected=if_match(request)
        )
        agent = await reading.record(tx, caller.workspace_id, stored)
        location = f"/workspaces/{caller.workspace_id}/agents/{agent_id}"
        return Answer(201, agent, {"Location": location, "ETag": reading.etag(stored, agent)})

    return await idempotently(world, request, caller, work)


ROUTES: list[HTTPRouteHandler] = [
    list_agent_versions,
    get_agent_version,
    compare_agent_versions,
    restore_agent_version,
]
