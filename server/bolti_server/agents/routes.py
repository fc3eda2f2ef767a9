"""Agents, tools and the catalogue. (Deleting an agent is in numbers/routes.py, because it takes its numbers away.)"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from bolti_server.agents import (
    catalogue_record,
    queries,
    reading,
    saving,
    saving_tools,
    testing_tools,
    tool_queries,
    tool_records,
    version_routes,
)
from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal, combine, not_found
from bolti_server.contract import structs
from bolti_server.web.authentication import Caller
from bolti_server.web.bodies import body_of, body_or_refusal
from bolti_server.web.idempotency import Answer, idempotently
from bolti_server.web.paging import page_of, page_request
from bolti_server.web.parameters import query_of
from bolti_server.web.preconditions import if_match, is_what_the_caller_has
from bolti_server.web.responses import empty_response, json_response
from bolti_server.world import World

AnyRequest = Request[Any, Any, Any]


@post("/workspaces/{workspace_id:str}/agents", operation_id="createAgent")
async def create_agent(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[Any]:
    body = await body_of(request, structs.AgentCreate)

    async def work(tx: Tx) -> Answer:
        stored = await saving.create_agent(tx, world, caller.workspace_id, body)
        made = await reading.record(tx, caller.workspace_id, stored)
        location = f"/workspaces/{caller.workspace_id}/agents/{made.id}"
        return Answer(201, made, {"Location": location, "ETag": reading.etag(stored, made)})

    return await idempotently(world, request, caller, work)


@get("/workspaces/{workspace_id:str}/agents", operation_id="listAgents")
async def list_agents(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    page = page_request(request, id_prefix="agent")
    query = query_of(request)
    async with world.db.transaction(is_readonly=True) as tx:
        found = await queries.list_agents(
            tx,
            caller.workspace_id,
            limit=page.limit + 1,
            before_id=page.before_id,
            is_active=query.get("is_active"),
            name=query.get("name"),
            is_oldest_first=page.is_oldest_first,
        )
        shown, cursor = page_of(found, page, lambda stored: stored.id)
        agents = await reading.records(tx, caller.workspace_id, shown)
    return json_response(structs.AgentPage(data=agents, next=cursor))


@get("/workspaces/{workspace_id:str}/agents/{agent_id:str}", operation_id="getAgent")
async def get_agent(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
) -> Response[Any]:
    async with world.db.transaction(is_readonly=True) as tx:
        stored = await queries.find_agent(tx, caller.workspace_id, agent_id)
        if stored is None:
            raise not_found("agent")
        agent = await reading.record(tx, caller.workspace_id, stored)
    etag = reading.etag(stored, agent)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}  # kept, but asked for each time
    if is_what_the_caller_has(request, etag):
        return empty_response(304, headers)
    return json_response(agent, headers=headers)


@patch("/workspaces/{workspace_id:str}/agents/{agent_id:str}", operation_id="updateAgent")
async def update_agent(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
) -> Response[bytes]:
    body = await body_or_refusal(request, structs.AgentUpdate)
    async with world.db.transaction() as tx:
        if isinstance(body, Refusal):
            is_there = await reading.is_agent(tx, caller.workspace_id, agent_id)
            raise body if is_there else combine([body, not_found("agent")])
        stored = await saving.update_agent(
            tx, world, caller.workspace_id, agent_id, body, expected=if_match(request)
        )
        agent = await reading.record(tx, caller.workspace_id, stored)
    return json_response(agent, headers={"ETag": reading.etag(stored, agent)})


@post("/workspaces/{workspace_id:str}/tools", operation_id="createTool")
async def create_tool(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[Any]:
    body = await body_of(request, structs.ToolCreate)

    async def work(tx: Tx) -> Answer:
        stored = await saving_tools.create_tool(tx, world, caller.workspace_id, body)
        location = f"/workspaces/{caller.workspace_id}/tools/{stored.id}"
        return Answer(201, tool_records.record(stored), {"Location": location})

    return await idempotently(world, request, caller, work)


@get("/workspaces/{workspace_id:str}/tools", operation_id="listTools")
async def list_tools(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    page = page_request(request, id_prefix="tool")
    async with world.db.transaction(is_readonly=True) as tx:
        found = await tool_queries.list_tools(
            tx,
            caller.workspace_id,
            limit=page.limit + 1,
            before_id=page.before_id,
            name=query_of(request).get("name"),
            order=page.order,
        )
    shown, cursor = page_of(found, page, lambda stored: stored.id)
    tools = [tool_records.record(stored) for stored in shown]
    return json_response(structs.ToolPage(data=tools, next=cursor))


@get("/workspaces/{workspace_id:str}/tools/{tool_id:str}", operation_id="getTool")
async def get_tool(
    world: NamedDependency[World], caller: NamedDependency[Caller], tool_id: FromPath[str]
) -> Response[bytes]:
    stored = await testing_tools.find_tool(world, caller.workspace_id, tool_id)
    return json_response(tool_records.record(stored))


@patch("/workspaces/{workspace_id:str}/tools/{tool_id:str}", operation_id="updateTool")
async def update_tool(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    tool_id: FromPath[str],
) -> Response[bytes]:
    body = await body_or_refusal(request, structs.ToolUpdate)
    if isinstance(body, Refusal):
        raise await _with_missing_tool(world, caller.workspace_id, tool_id, body)
    async with world.db.transaction() as tx:
        stored = await saving_tools.update_tool(tx, world, caller.workspace_id, tool_id, body)
    return json_response(tool_records.record(stored))


@delete(
    "/workspaces/{workspace_id:str}/tools/{tool_id:str}",
    operation_id="deleteTool",
    status_code=204,
)
async def delete_tool(
    world: NamedDependency[World], caller: NamedDependency[Caller], tool_id: FromPath[str]
) -> Response[None]:
    async with world.db.transaction() as tx:
        await saving_tools.delete_tool(tx, caller.workspace_id, tool_id)
    return empty_response()


@post(
    "/workspaces/{workspace_id:str}/tools/{tool_id:str}/test",
    operation_id="testTool",
    status_code=200,
)
async def test_tool(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    tool_id: FromPath[str],
) -> Response[bytes]:
    body = await body_or_refusal(request, structs.ToolTestRequest)
    if isinstance(body, Refusal):
        raise await _with_missing_tool(world, caller.workspace_id, tool_id, body)
    stored = await testing_tools.find_tool(world, caller.workspace_id, tool_id)
    return json_response(await testing_tools.test_tool(world, stored, body))


@get("/workspaces/{workspace_id:str}/catalogue", operation_id="getCatalogue")
async def get_catalogue(caller: NamedDependency[Caller]) -> Response[bytes]:
    return json_response(catalogue_record.record())


async def _with_missing_tool(
    world: World, workspace_id: str, tool_id: str, refusal: Refusal
) -> Refusal:
    """The refusal of a body, and 404 before it where there is no such tool."""
    async with world.db.transaction(is_readonly=True) as tx:
        stored = await tool_queries.find_tool(tx, workspace_id, tool_id)
    return refusal if stored is not None else combine([refusal, not_found("tool")])


ROUTES: list[HTTPRouteHandler] = [
    create_agent,
    list_agents,
    get_agent,
    update_agent,
    *version_routes.ROUTES,
    create_tool,
    list_tools,
    get_tool,
    update_tool,
    delete_tool,
    test_tool,
    get_catalogue,
]
