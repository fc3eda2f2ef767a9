"""Numbers, which agent has which, and deleting an agent (it takes its numbers away)."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from bolti_server.agents import reading as agents
from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal, combine, not_found
from bolti_server.contract import structs
from bolti_server.numbers import buying_routes, queries, trunk_routes
from bolti_server.numbers.assigning import assign_number, unassign_number
from bolti_server.numbers.queries import NumberFilter
from bolti_server.numbers.records import binding_record, number_record
from bolti_server.numbers.retiring import delete_agent_and_unassign
from bolti_server.web.authentication import Caller
from bolti_server.web.bodies import body_or_refusal
from bolti_server.web.idempotency import Answer, idempotently
from bolti_server.web.paging import page_of, page_request
from bolti_server.web.parameters import query_of
from bolti_server.web.preconditions import if_match
from bolti_server.web.responses import empty_response, json_response
from bolti_server.world import World

AnyRequest = Request[Any, Any, Any]


@get("/workspaces/{workspace_id:str}/numbers", operation_id="listNumbers")
async def list_numbers(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    page = page_request(request, id_prefix="num")
    query = query_of(request)
    wanted = NumberFilter(
        is_assigned=query.get("is_assigned"),
        agent_id=query.get("agent_id"),
        country=query.get("country"),
        phone_number=query.get("phone_number"),
        simulated=query.get("simulated"),
        trunk_id=query.get("trunk_id"),
    )
    async with world.db.transaction(is_readonly=True) as tx:
        found = await queries.list_numbers(
            tx,
            caller.workspace_id,
            wanted,
            limit=page.limit + 1,
            before_id=page.before_id,
            order=page.order,
        )
    shown, cursor = page_of(found, page, lambda number: number.id)
    return json_response(
        structs.NumberPage(data=[number_record(each) for each in shown], next=cursor)
    )


@get("/workspaces/{workspace_id:str}/numbers/{number_id:str}", operation_id="getNumber")
async def get_number(
    world: NamedDependency[World], caller: NamedDependency[Caller], number_id: FromPath[str]
) -> Response[bytes]:
    async with world.db.transaction(is_readonly=True) as tx:
        number = await queries.find_number(tx, caller.workspace_id, number_id)
    if number is None:
        raise not_found("number")
    return json_response(number_record(number))


@get(
    "/workspaces/{workspace_id:str}/agents/{agent_id:str}/phone-numbers",
    operation_id="listAgentPhoneNumbers",
)
async def list_agent_phone_numbers(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
) -> Response[bytes]:
    async with world.db.transaction(is_readonly=True) as tx:
        if not await agents.is_agent(tx, caller.workspace_id, agent_id):
            raise not_found("agent")
        page = page_request(request, id_prefix="apn")
        found = await queries.list_bindings(
            tx, caller.workspace_id, agent_id, limit=page.limit + 1, before_id=page.before_id
        )
    shown, cursor = page_of(found, page, lambda binding: binding.id)
    bindings = [binding_record(each) for each in shown]
    return json_response(structs.AgentPhoneNumberPage(data=bindings, next=cursor))


@post(
    "/workspaces/{workspace_id:str}/agents/{agent_id:str}/phone-numbers",
    operation_id="assignPhoneNumber",
)
async def assign_phone_number(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
) -> Response[Any]:
    body = await body_or_refusal(request, structs.AssignPhoneNumberRequest)
    if isinstance(body, Refusal):
        async with world.db.transaction(is_readonly=True) as tx:
            is_there = await agents.is_agent(tx, caller.workspace_id, agent_id)
        raise body if is_there else combine([body, not_found("agent")])
    assert isinstance(body, structs.AssignPhoneNumberRequest)
    number_id, direction = body.number_id, body.direction.value

    async def work(tx: Tx) -> Answer:
        binding = await assign_number(tx, caller.workspace_id, agent_id, number_id, direction)
        return Answer(201, binding_record(binding))

    return await idempotently(world, request, caller, work)


@delete(
    "/workspaces/{workspace_id:str}/agents/{agent_id:str}/phone-numbers/{agent_phone_number_id:str}",
    operation_id="unassignPhoneNumber",
    status_code=204,
)
async def unassign_phone_number(
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
    agent_phone_number_id: FromPath[str],
) -> Response[None]:
    async with world.db.transaction() as tx:
        await unassign_number(tx, caller.workspace_id, agent_id, agent_phone_number_id)
    return empty_response()


@delete(
    "/workspaces/{workspace_id:str}/agents/{agent_id:str}",
    operation_id="deleteAgent",
    status_code=204,
)
async def delete_agent(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
) -> Response[None]:
    async with world.db.transaction() as tx:
        await delete_agent_and_unassign(
            tx, caller.workspace_id, agent_id, expected=if_match(request)
        )
    return empty_response()


ROUTES: list[HTTPRouteHandler] = [
    list_numbers,
    get_number,
    *buying_routes.ROUTES,
    *trunk_routes.ROUTES,
    list_agent_phone_numbers,
    assign_phone_number,
    unassign_phone_number,
    delete_agent,
]
