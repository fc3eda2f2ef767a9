"""Routes of the do-not-call list."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from bolti_server.base.clock import rfc3339
from bolti_server.base.db import Tx
from bolti_server.base.errors import not_found
from bolti_server.calls import checking, do_not_call
from bolti_server.calls import do_not_call_queries as queries
from bolti_server.calls.do_not_call_queries import StoredEntry
from bolti_server.contract import structs
from bolti_server.web.authentication import Caller
from bolti_server.web.bodies import body_of
from bolti_server.web.idempotency import Answer, idempotently
from bolti_server.web.paging import page_of, page_request
from bolti_server.web.responses import empty_response, json_response
from bolti_server.world import World

AnyRequest = Request[Any, Any, Any]


@get("/workspaces/{workspace_id:str}/do-not-call", operation_id="listDoNotCallEntries")
async def list_entries(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    page = page_request(request, id_prefix="dnc")
    async with world.db.transaction(is_readonly=True) as tx:
        found = await queries.list_entries(
            tx, caller.workspace_id, limit=page.limit + 1, before_id=page.before_id
        )
    shown, cursor = page_of(found, page, lambda entry: entry.id)
    return json_response(structs.DoNotCallPage(data=[_entry(each) for each in shown], next=cursor))


@post("/workspaces/{workspace_id:str}/do-not-call", operation_id="createDoNotCallEntry")
async def create_entry(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[Any]:
    body = await body_of(request, structs.DoNotCallCreate)
    refusal = checking.number_refusal(body.phone_number, field="phone_number")
    if refusal is not None:
        raise refusal

    async def work(tx: Tx) -> Answer:
        entry = await do_not_call.add(tx, caller.workspace_id, body.phone_number)
        return Answer(201, _entry(entry))

    return await idempotently(world, request, caller, work)


@delete(
    "/workspaces/{workspace_id:str}/do-not-call/{do_not_call_entry_id:str}",
    operation_id="deleteDoNotCallEntry",
    status_code=204,
)
async def delete_entry(
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    do_not_call_entry_id: FromPath[str],
) -> Response[None]:
    async with world.db.transaction() as tx:
        if not await queries.delete_entry(tx, caller.workspace_id, do_not_call_entry_id):
            raise not_found("do-not-call entry")
    return empty_response()


def _entry(stored: StoredEntry) -> structs.DoNotCallEntry:
    return structs.DoNotCallEntry(
        id=stored.id,
        phone_number=stored.phone_number,
        source=stored.source,
        conversation_id=stored.conversation_id,
        created_at=rfc3339(stored.created_at),
    )


ROUTES: list[HTTPRouteHandler] = [list_entries, create_entry, delete_entry]
