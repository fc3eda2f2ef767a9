"""Searching, buying and releasing numbers."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal
from bolti_server.contract import structs
from bolti_server.numbers import buying
from bolti_server.numbers.records import number_record
from bolti_server.numbers.simulated_network import COUNTRY
from bolti_server.web.authentication import Caller
from bolti_server.web.bodies import body_of
from bolti_server.web.idempotency import Answer, idempotently
from bolti_server.web.parameters import query_of
from bolti_server.web.responses import empty_response, json_response
from bolti_server.world import World

AnyRequest = Request[Any, Any, Any]
_DIGITS = re.compile("[1-9][0-9]{6,14}")  # of a phone number: the cursor of its list


@get("/workspaces/{workspace_id:str}/available-numbers", operation_id="listAvailableNumbers")
async def list_available_numbers(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    query = query_of(request)
    after = _after(query.get("after"))
    async with world.db.transaction(is_readonly=True) as tx:
        cost = await buying.monthly_cost(tx, caller.workspace_id)
        found = await buying.offers(
            tx, caller.workspace_id, country=query.get("country"), contains=query.get("contains")
        )
    rest = [each for each in found if each > after]
    shown = rest[: query["limit"]]
    data = [
        structs.AvailableNumber(
            phone_number=each,
            country=COUNTRY,
            can_inbound=True,
            can_outbound=True,
            simulated=True,
            monthly_cost_micros=cost.amount_micros,
            currency=cost.currency,
        )
        for each in shown
    ]
    cursor = shown[-1].removeprefix("+") if len(rest) > len(shown) else None
    return json_response(structs.AvailableNumberPage(data=data, next=cursor))


@post("/workspaces/{workspace_id:str}/numbers", operation_id="buyNumber")
async def buy_number(
    request: AnyRequest, world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[Any]:
    body = await body_of(request, structs.BuyNumberRequest)

    async def work(tx: Tx) -> Answer:
        number = await buying.buy_number(
            tx,
            organization_id=caller.organization_id,
            workspace_id=caller.workspace_id,
            phone_number=body.phone_number,
        )
        location = f"/workspaces/{caller.workspace_id}/numbers/{number.id}"
        return Answer(201, number_record(number), {"Location": location})

    return await idempotently(world, request, caller, work)


@delete(
    "/workspaces/{workspace_id:str}/numbers/{number_id:str}",
    operation_id="releaseNumber",
    status_code=204,
)
async def release_number(
    world: NamedDependency[World], caller: NamedDependency[Caller], number_id: FromPath[str]
) -> Response[None]:
    async with world.db.transaction() as tx:
        await buying.release_number(tx, caller.workspace_id, number_id)
    return empty_response()


def _after(cursor: str | None) -> str:
    """The phone number after which the page begins."""
    if cursor is None:
        return ""
    if _DIGITS.fullmatch(cursor) is None:
        detail = "Not a cursor of this list. Hand back the `next` of the page before, unchanged."
        fault = Fault("invalid_cursor", detail, "query:after")
        raise Refusal(400, "validation_failed", f"after: {detail}", faults=[fault])
    return f"+{cursor}"


ROUTES: list[HTTPRouteHandler] = [list_available_numbers, buy_number, release_number]
