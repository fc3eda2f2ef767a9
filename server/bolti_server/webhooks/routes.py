"""Webhook endpoints and their deliveries."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from bolti_server.base.db import Tx
from bolti_server.base.errors import not_found
from bolti_server.contract import structs
from bolti_server.web.authentication import Caller
from bolti_server.web.bodies import body_of, body_or_refusal
from bolti_server.web.idempotency import Answer, idempotently
from bolti_server.web.paging import page_of, page_request
from bolti_server.web.parameters import query_of
from bolti_server.web.responses import empty_response, json_response
from bolti_server.webhooks import event_routes, pinging, queries, replaying, subscribing
from bolti_server.webhooks.records import delivery_record, endpoint_record
from bolti_server.world import World

_ENDPOINTS = "/workspaces/{workspace_id:str}/webhook-endpoints"
_ENDPOINT = _ENDPOINTS + "/{webhook_endpoint_id:str}"
_DELIVERY = _ENDPOINT + "/deliveries/{webhook_delivery_id:str}"


@post(_ENDPOINTS, operation_id="createWebhookEndpoint")
async def create_webhook_endpoint(
    request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    body = await body_of(request, structs.WebhookEndpointCreate)

    async def work(tx: Tx) -> Answer:
        made = await subscribing.create_endpoint(tx, world, caller.workspace_id, body)
        headers = {
            "Location": f"/workspaces/{caller.workspace_id}/webhook-endpoints/{made.id}",
            **_warning(made.url),
        }
        return Answer(201, made, headers)

    return await idempotently(world, request, caller, work)


@get(_ENDPOINTS, operation_id="listWebhookEndpoints")
async def list_webhook_endpoints(
    request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    page = page_request(request, id_prefix="whep")
    async with world.db.transaction(is_readonly=True) as tx:
        found = await queries.list_endpoints(
            tx, caller.workspace_id, limit=page.limit + 1, before_id=page.before_id
        )
    endpoints, cursor = page_of(found, page, lambda each: each.id)
    data = [endpoint_record(each) for each in endpoints]
    return json_response(structs.WebhookEndpointPage(data=data, next=cursor))


@get(_ENDPOINT, operation_id="getWebhookEndpoint")
async def get_webhook_endpoint(
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    webhook_endpoint_id: FromPath[str],
) -> Response[bytes]:
    async with world.db.transaction(is_readonly=True) as tx:
        found = await queries.find_endpoint(tx, caller.workspace_id, webhook_endpoint_id)
    if found is None:
        raise not_found("webhook endpoint")
    return json_response(endpoint_record(found))


@patch(_ENDPOINT, operation_id="updateWebhookEndpoint")
async def update_webhook_endpoint(
    request: Request[Any, Any, Any],
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    webhook_endpoint_id: FromPath[str],
) -> Response[bytes]:
    body = await body_or_refusal(request, structs.WebhookEndpointUpdate)
    async with world.db.transaction() as tx:
        changed = await subscribing.change_endpoint(
            tx, world, caller.workspace_id, webhook_endpoint_id, body
        )
    return json_response(changed, headers=_warning(changed.url))


@delete(_ENDPOINT, operation_id="deleteWebhookEndpoint", status_code=204)
async def delete_webhook_endpoint(
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    webhook_endpoint_id: FromPath[str],
) -> Response[None]:
    async with world.db.transaction() as tx:
        await subscribing.delete_endpoint(tx, caller.workspace_id, webhook_endpoint_id)
    return empty_response()


@post(_ENDPOINT + "/test", operation_id="testWebhookEndpoint")
async def test_webhook_endpoint(
    request: Request[Any, Any, Any],
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    webhook_endpoint_id: FromPath[str],
) -> Response[bytes]:
    async def work(tx: Tx) -> Answer:
        made = await pinging.ping_endpoint(tx, caller.workspace_id, webhook_endpoint_id)
        return Answer(202, made)

    return await idempotently(world, request, caller, work)


@get(_ENDPOINT + "/deliveries", operation_id="listWebhookDeliveries")
async def list_webhook_deliveries(
    request: Request[Any, Any, Any],
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    webhook_endpoint_id: FromPath[str],
) -> Response[bytes]:
    page = page_request(request, id_prefix="whdel")
    async with world.db.transaction(is_readonly=True) as tx:
        if await queries.find_endpoint(tx, caller.workspace_id, webhook_endpoint_id) is None:
            raise not_found("webhook endpoint")
        found = await queries.list_deliveries(
            tx,
            caller.workspace_id,
            webhook_endpoint_id,
            status=query_of(request).get("status"),
            limit=page.limit + 1,
            before_id=page.before_id,
        )
    deliveries, cursor = page_of(found, page, lambda each: each.id)
    data = [delivery_record(each) for each in deliveries]
    return json_response(structs.WebhookDeliveryPage(data=data, next=cursor))


@post(_DELIVERY + "/replay", operation_id="replayWebhookDelivery")
async def replay_webhook_delivery(
    request: Request[Any, Any, Any],
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    webhook_endpoint_id: FromPath[str],
    webhook_delivery_id: FromPath[str],
) -> Response[bytes]:
    async def work(tx: Tx) -> Answer:
        again = await replaying.replay_delivery(
            tx, caller.workspace_id, webhook_endpoint_id, webhook_delivery_id
        )
        return Answer(202, again)

    return await idempotently(world, request, caller, work)


def _warning(url: str) -> dict[str, str]:
    text = subscribing.url_warning(url)
    return {} if text is None else {"Warning": f'299 bolti "{text}"'}


ROUTES: list[HTTPRouteHandler] = [
    *event_routes.ROUTES,
    create_webhook_endpoint,
    list_webhook_endpoints,
    get_webhook_endpoint,
    update_webhook_endpoint,
    delete_webhook_endpoint,
    test_webhook_endpoint,
    list_webhook_deliveries,
    replay_webhook_delivery,
]
