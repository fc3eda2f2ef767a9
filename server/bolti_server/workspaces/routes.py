"""Routes of the workspace and its API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import UNSET

from bolti_server.base.clock import rfc3339
from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal, not_found
from bolti_server.contract import structs
from bolti_server.web.authentication import Caller
from bolti_server.web.bodies import body_of
from bolti_server.web.idempotency import Answer, idempotently
from bolti_server.web.paging import page_of, page_request
from bolti_server.web.responses import empty_response, json_response
from bolti_server.workspaces import queries
from bolti_server.workspaces.creating import create_api_key
from bolti_server.workspaces.key_powers import key_powers
from bolti_server.workspaces.queries import StoredKey, StoredWorkspace
from bolti_server.world import World


@get("/workspaces/{workspace_id:str}", operation_id="getWorkspace")
async def get_workspace(
    world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    async with world.db.transaction(is_readonly=True) as tx:
        found = await queries.find_workspace(tx, caller.workspace_id)
    if found is None:
        raise not_found("workspace")
    return json_response(_workspace(found))


@patch("/workspaces/{workspace_id:str}", operation_id="updateWorkspace")
async def update_workspace(
    request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    body = await body_of(request, structs.WorkspaceUpdate)
    async with world.db.transaction() as tx:
        changed = await queries.change_workspace(
            tx,
            caller.workspace_id,
            name=None if body.name is UNSET else body.name,
            max_concurrent_calls=(
                None if body.max_concurrent_calls is UNSET else body.max_concurrent_calls
            ),
        )
    if changed is None:
        raise not_found("workspace")
    return json_response(_workspace(changed))


@post("/workspaces/{workspace_id:str}/api-keys", operation_id="createApiKey")
async def create_key(
    request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[Any]:
    body = await body_of(request, structs.ApiKeyCreate)
    kind, origins, scopes = key_powers(body, caller)
    expires_at = _expiry(body.expires_at)

    async def work(tx: Tx) -> Answer:
        made = await create_api_key(
            tx,
            world.vault,
            caller.workspace_id,
            name=body.name,
            kind=kind,
            origins=origins,
            scopes=scopes,
            expires_at=expires_at,
        )
        return Answer(201, structs.ApiKeyCreated(**_key(made.stored), token=made.token))

    return await idempotently(world, request, caller, work)


@get("/workspaces/{workspace_id:str}/api-keys", operation_id="listApiKeys")
async def list_keys(
    request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    page = page_request(request, id_prefix="key")
    async with world.db.transaction(is_readonly=True) as tx:
        found = await queries.list_keys(
            tx, caller.workspace_id, limit=page.limit + 1, before_id=page.before_id
        )
    keys, cursor = page_of(found, page, lambda key: key.id)
    data = [structs.ApiKey(**_key(key)) for key in keys]
    return json_response(structs.ApiKeyPage(data=data, next=cursor))


@delete(
    "/workspaces/{workspace_id:str}/api-keys/{api_key_id:str}",
    operation_id="revokeApiKey",
    status_code=204,
)
async def revoke_key(
    world: NamedDependency[World], caller: NamedDependency[Caller], api_key_id: FromPath[str]
) -> Response[None]:
    async with world.db.transaction() as tx:
        if not await queries.revoke_key(tx, caller.workspace_id, api_key_id):
            raise not_found("API key")
    return empty_response()


ROUTES: list[HTTPRouteHandler] = [
    get_workspace,
    update_workspace,
    create_key,
    list_keys,
    revoke_key,
]


def _expiry(text: str | None) -> datetime | None:
    """The contract has checked the shape; what is left are instants that no calendar has (a 61st second, year 0)."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        detail = "There is no such instant."
        fault = Fault("invalid_format", detail, "/expires_at")
        raise Refusal(400, "validation_failed", f"expires_at: {detail}", faults=[fault]) from None


def _workspace(stored: StoredWorkspace) -> structs.Workspace:
    return structs.Workspace(
        id=stored.id,
        organization_id=stored.organization_id,
        name=stored.name,
        max_concurrent_calls=stored.max_concurrent_calls,
        created_at=rfc3339(stored.created_at),
    )


def _key(stored: StoredKey) -> dict[str, Any]:
    """The members of structs.ApiKey, which ApiKeyCreated has too."""
    return {
        "id": stored.id,
        "name": stored.name,
        "kind": stored.kind,
        "origins": list(stored.origins),
        "token_hint": stored.token_hint,
        "scopes": list(stored.scopes),
        "created_at": rfc3339(stored.created_at),
        "expires_at": _instant(stored.expires_at),
        "revoked_at": _instant(stored.revoked_at),
        "last_used_at": _instant(stored.last_used_at),
    }


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339(instant)
