"""Making, changing and deleting workspace HTTP tools.

Rule: what is saved can be called, so everything that is wrong is found here and listed at once. A kept secret goes only
to the host that it was given for: whoever moves a tool to another host gives the authorization again, so that no one who
may edit tools can have somebody else's secret sent to himself.
"""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec
from msgspec import UNSET

from bolti_server.agents import tool_queries, tool_records
from bolti_server.agents.tool_authorization import (
    NO_AUTHORIZATION,
    Authorization,
    AuthorizationKind,
)
from bolti_server.agents.tool_checks import faults_of_authorization, faults_of_tool
from bolti_server.agents.tool_queries import StoredTool
from bolti_server.agents.tool_records import ToolConfiguration
from bolti_server.agents.tool_requests import url_host
from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal, combine, not_found
from bolti_server.base.ids import new_id
from bolti_server.contract import structs
from bolti_server.web.bodies import validation_failed
from bolti_server.world import World

_PARTS_OF: dict[AuthorizationKind, frozenset[str]] = {
    AuthorizationKind.NONE: frozenset(),
    AuthorizationKind.BEARER: frozenset({"token"}),
    AuthorizationKind.BASIC: frozenset({"username", "password"}),
    AuthorizationKind.API_KEY_HEADER: frozenset({"name", "value"}),
    AuthorizationKind.API_KEY_QUERY: frozenset({"name", "value"}),
    AuthorizationKind.HMAC: frozenset({"name", "secret"}),
}
_PARTS = ("token", "username", "password", "name", "value", "secret")


async def create_tool(
    tx: Tx, world: World, workspace_id: str, body: structs.ToolCreate
) -> StoredTool:
    """The new tool. Raises Refusal 400 (everything that is wrong), 409 name_taken."""
    given = NO_AUTHORIZATION if body.authorization is UNSET else _authorization(body.authorization)
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    configuration = _configuration(fields, given.kind)
    faults = _faults(world, body.name, configuration)
    faults += [] if body.authorization is UNSET else _authorization_faults(body.authorization)
    await _refuse(tx, workspace_id, body.name, faults)
    tool_id = new_id("tool")
    sealed = tool_records.seal(world.vault, workspace_id, tool_id, given)
    try:
        await tool_queries.insert_tool(
            tx,
            workspace_id,
            tool_id,
            name=body.name,
            configuration=configuration,
            secret_encrypted=sealed,
        )
    except asyncpg.UniqueViolationError:  # somebody else took the name a moment ago
        raise _name_taken(body.name) from None
    return await _found(tx, workspace_id, tool_id)


async def update_tool(
    tx: Tx, world: World, workspace_id: str, tool_id: str, body: structs.ToolUpdate
) -> StoredTool:
    """The tool as it is now; calls in progress use it from their next tool call on.

    Raises Refusal 404, 400 (everything that is wrong), 409 name_taken.
    """
    stored = await tool_queries.find_tool(tx, workspace_id, tool_id, is_to_change=True)
    if stored is None:
        raise not_found("tool")
    before = tool_records.configuration_of(stored)
    changes = {
        name: getattr(body, name)
        for name in body.__struct_fields__
        if getattr(body, name) is not UNSET
    }
    name = changes.pop("name", stored.name)
    faults: list[Fault] = []
    kind, sealed = AuthorizationKind(before.authorization_kind), stored.secret_encrypted
    if body.authorization is not UNSET:
        given = _authorization(body.authorization)
        faults += _authorization_faults(body.authorization)
        kind, sealed = given.kind, tool_records.seal(world.vault, workspace_id, tool_id, given)
    configuration = _configuration({**msgspec.structs.asdict(before), **changes}, kind)
    faults = [*_faults(world, name, configuration), *faults]
    is_moved = url_host(configuration.url) != url_host(before.url)
    if is_moved and body.authorization is UNSET and sealed is not None:
        detail = "The URL has another host now: give the authorization for it again."
        faults.append(Fault("required", detail, "/authorization"))
    await _refuse(tx, workspace_id, name, faults, except_tool_id=tool_id)
    try:
        await tool_queries.replace_tool(
            tx,
            workspace_id,
            tool_id,
            name=name,
            configuration=configuration,
            secret_encrypted=sealed,
        )
    except asyncpg.UniqueViolationError:
        raise _name_taken(name) from None
    return await _found(tx, workspace_id, tool_id)


async def delete_tool(tx: Tx, workspace_id: str, tool_id: str) -> None:
    """Agents that have it lose it, also in calls in progress. Raises Refusal 404."""
    if not await tool_queries.mark_deleted(tx, workspace_id, tool_id):
        raise not_found("tool")


def _configuration(fields: dict[str, Any], kind: AuthorizationKind) -> ToolConfiguration:
    """Of a request's fields, or of the stored ones with a request's over them."""
    headers = [
        (header.name, header.value) if isinstance(header, structs.HttpHeaderInput) else header
        for header in fields["headers"]
    ]
    return ToolConfiguration(
        description=fields["description"],
        url=fields["url"],
        method=str(fields["method"]),
        timeout_ms=fields["timeout_ms"],
        headers=headers,
        body_template=fields["body_template"],
        input_schema=fields["input_schema"],
        response_mapping=fields["response_mapping"],
        authorization_kind=kind.value,
    )


def _faults(world: World, name: str, configuration: ToolConfiguration) -> list[Fault]:
    faults = faults_of_tool(tool_records.http_tool(name, configuration))
    host = url_host(configuration.url)
    if not faults and host is not None and "{{" not in host:
        complaint = world.http.check_url(host + "/")
        if complaint is not None:
            faults.append(Fault("forbidden_address", complaint, "/url"))
    return faults


def _authorization(given: structs.ToolAuthorization) -> Authorization:
    parts = {name: getattr(given, name) or "" for name in _PARTS}
    return Authorization(AuthorizationKind(given.kind.value), **parts)


def _authorization_faults(given: structs.ToolAuthorization) -> list[Fault]:
    kind = AuthorizationKind(given.kind.value)
    foreign = [
        Fault(
            "unexpected",
            f"{kind.value} authorization has no {part}. Leave it out.",
            f"/authorization/{part}",
        )
        for part in _PARTS
        if getattr(given, part) is not None and part not in _PARTS_OF[kind]
    ]
    return [*faults_of_authorization(_authorization(given)), *foreign]


async def _refuse(
    tx: Tx,
    workspace_id: str,
    name: str,
    faults: list[Fault],
    *,
    except_tool_id: str | None = None,
) -> None:
    """Raises everything that is wrong, also across kinds."""
    refusals = [validation_failed(faults)] if faults else []
    if await tool_queries.is_name_taken(tx, workspace_id, name, except_tool_id=except_tool_id):
        refusals.append(_name_taken(name))
    if refusals:
        raise combine(refusals)


def _name_taken(name: str) -> Refusal:
    detail = f"This workspace has a tool called {name} already. Choose another name."
    return Refusal(409, "name_taken", detail, faults=[Fault("name_taken", detail, "/name")])


async def _found(tx: Tx, workspace_id: str, tool_id: str) -> StoredTool:
    stored = await tool_queries.find_tool(tx, workspace_id, tool_id)
    assert stored is not None, "written a line above, in this transaction"
    return stored
