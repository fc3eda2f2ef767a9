"""Trunks, and adding numbers on them."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal, combine, not_found
from bolti_server.contract import structs
from bolti_server.numbers import adding, saving_trunks, trunk_queries
from bolti_server.numbers.records import number_record
from bolti_server.numbers.trunk_queries import TrunkFilter
from bolti_server.numbers.trunk_records import etag, trunk_record
from bolti_server.web.authentication import Caller
from bolti_server.web.bodies import body_of, body_or_refusal
from bolti_server.web.idempotency import Answer, idempotently
from bolti_server.web.paging import page_of, page_request
from bolti_server.web.parameters import query_of
from bolti_server.web.preconditions import if_match
from bolti_server.web.responses import empty_response, json_response
from bolti_server.world import World

AnyRequest = Request[Any, Any, Any]


@post("/workspaces/{workspace_id:str}/trunks", operation_id="createTrunk")
async def create_trunk(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[Any]:
    body = await body_of(request, structs.TrunkCreate)

    async def work(tx: Tx) -> Answer:
        stored = await saving_trunks.create_trunk(tx, world, caller.workspace_id, body)
        location = f"/workspaces/{caller.workspace_id}/trunks/{stored.id}"
        return Answer(201, trunk_record(stored), {"Location": location, "ETag": etag(stored)})

    return await idempotently(world, request, caller, work)


@get("/workspaces/{workspace_id:str}/trunks", operation_id="listTrunks")
async def list_trunks(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    page = page_request(request, id_prefix="trunk")
    query = query_of(request)
    wanted = TrunkFilter(
        kind=query.get("kind"),
        name=query.get("name"),
        inbound_status=query.get("inbound_status"),
    )
    async with world.db.transaction(is_readonly=True) as tx:
        found = await trunk_queries.list_trunks(
            tx,
            caller.workspace_id,
            wanted,
            limit=page.limit + 1,
            before_id=page.before_id,
            order=page.order,
        )
    shown, cursor = page_of(found, page, lambda stored: stored.id)
    return json_response(
        structs.TrunkPage(data=[trunk_record(each) for each in shown], next=cursor)
    )


@get("/workspaces/{workspace_id:str}/trunks/{trunk_id:str}", operation_id="getTrunk")
async def get_trunk(
    world: NamedDependency[World], caller: NamedDependency[Caller], trunk_id: FromPath[str]
) -> Response[bytes]:
    async with world.db.transaction(is_readonly=True) as tx:
        stored = await trunk_queries.find_trunk(tx, caller.workspace_id, trunk_id)
    if stored is None:
        raise not_found("trunk")
    return json_response(trunk_record(stored), headers={"ETag": etag(stored)})


@patch("/workspaces/{workspace_id:str}/trunks/{trunk_id:str}", operation_id="updateTrunk")
async def update_trunk(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    trunk_id: FromPath[str],
) -> Response[bytes]:
    body = await body_or_refusal(request, structs.TrunkUpdate)
    if isinstance(body, Refusal):
        raise await _with_missing_trunk(world, caller.workspace_id, trunk_id, body)
    async with world.db.transaction() as tx:
        stored = await saving_trunks.update_trunk(
            tx, world, caller.workspace_id, trunk_id, body, expected=if_match(request)
        )
    return json_response(trunk_record(stored), headers={"ETag": etag(stored)})


@delete(
    "/workspaces/{workspace_id:str}/trunks/{trunk_id:str}",
    operation_id="deleteTrunk",
    status_code=204,
)
async def delete_trunk(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    trunk_id: FromPath[str],
) -> Response[None]:
    async with world.db.transaction() as tx:
        await saving_trunks.delete_trunk(
            tx, caller.workspace_id, trunk_id, expected=if_match(request)
        )
    return empty_response()


@post("/workspaces/{workspace_id:str}/trunks/{trunk_id:str}/numbers", operation_id="addTrunkNumber")
async def add_trunk_number(
    request: AnyRequest,
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    trunk_id: FromPath[str],
) -> Response[Any]:
    body = await body_or_refusal(request, structs.TrunkNumberCreate)
    if isinstance(body, Refusal):
        raise await _with_missing_trunk(world, caller.workspace_id, trunk_id, body)
    phone_number = body.phone_number

    async def work(tx: Tx) -> Answer:
        number = await adding.add_number(tx, caller.workspace_id, trunk_id, phone_number)
        location = f"/workspaces/{caller.workspace_id}/numbers/{number.id}"
        return Answer(201, number_record(number), {"Location": location})

    return await idempotently(world, request, caller, work)


async def _with_missing_trunk(
    world: World, workspace_id: str, trunk_id: str, refusal: Refusal
) -> Refusal:
    """The refusal of a body, and 404 before it where there is no such trunk."""
    async with world.db.transaction(is_readonly=True) as tx:
        stored = await trunk_queries.find_trunk(tx, workspace_id, trunk_id)
    return refusal if stored is not None else combine([refusal, not_found("trunk")])


ROUTES: list[HTTPRouteHandler] = [
    create_trunk,
    list_trunks,
    get_trunk,
    update_trunk,
    delete_trunk,
    add_trunk_number,
]
