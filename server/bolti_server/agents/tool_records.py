"""A tool at rest and what becomes of it: the request's template, the API's record, the sealed authorization.

Rule: the authorization is sealed for its row and leaves it only for a request that is about to be sent.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bolti_server.agents.tool_authorization import (
    NO_AUTHORIZATION,
    Authorization,
    AuthorizationKind,
)
from bolti_server.agents.tool_queries import StoredTool
from bolti_server.agents.tool_requests import HttpTool
from bolti_server.base.clock import rfc3339
from bolti_server.base.crypto import Vault
from bolti_server.contract import structs

_SECRET_PARTS = ("token", "username", "password", "name", "value", "secret")


class ToolConfiguration(msgspec.Struct, kw_only=True, frozen=True):
    """What is stored of a tool beside its name and its secret. `headers` are [name, value]."""

    description: str
    url: str
    method: str
    timeout_ms: int
    headers: list[tuple[str, str]]
    body_template: str | None
    input_schema: dict[str, Any]
    response_mapping: dict[str, str] | None
    authorization_kind: str


def configuration_of(stored: StoredTool) -> ToolConfiguration:
    return msgspec.json.decode(stored.configuration, type=ToolConfiguration)


def http_tool(name: str, configuration: ToolConfiguration) -> HttpTool:
    return HttpTool(
        name=name,
        url=configuration.url,
        description=configuration.description,
        method=configuration.method,
        timeout_ms=configuration.timeout_ms,
        headers=tuple(configuration.headers),
        body_template=configuration.body_template,
        input_schema=configuration.input_schema,
        response_mapping=configuration.response_mapping,
    )


def record(stored: StoredTool) -> structs.Tool:
    """As the API shows it: of the authorization its kind alone."""
    configuration = configuration_of(stored)
    return structs.Tool(
        id=stored.id,
        name=stored.name,
        description=configuration.description,
        url=configuration.url,
        method=configuration.method,
        timeout_ms=configuration.timeout_ms,
        headers=[
            structs.HttpHeader(name=name, value=value) for name, value in configuration.headers
        ],
        body_template=configuration.body_template,
        input_schema=configuration.input_schema,
        authorization=structs.ToolAuthorizationSummary(kind=configuration.authorization_kind),
        response_mapping=dict(configuration.response_mapping)
        if configuration.response_mapping is not None
        else None,
        created_at=rfc3339(stored.created_at),
        updated_at=rfc3339(stored.updated_at),
    )


def seal(
    vault: Vault, workspace_id: str, tool_id: str, authorization: Authorization
) -> bytes | None:
    """What is stored of an authorization; None where there is none."""
    if authorization.kind is AuthorizationKind.NONE:
        return None
    parts = {name: getattr(authorization, name) for name in _SECRET_PARTS}
    plain = msgspec.json.encode({"kind": authorization.kind.value, **parts})
    return vault.encrypt(
        plain, workspace_id=workspace_id, table="tools", row_id=tool_id, field="secret_encrypted"
    )


def unseal(vault: Vault, stored: StoredTool) -> Authorization:
    """Raises base.crypto.Undecryptable (the server's secret key was changed)."""
    if stored.secret_encrypted is None:
        return NO_AUTHORIZATION
    plain = vault.decrypt(
        stored.secret_encrypted,
        workspace_id=stored.workspace_id,
        table="tools",
        row_id=stored.id,
        field="secret_encrypted",
    )
    parts = msgspec.json.decode(plain, type=dict[str, str])
    return Authorization(
        AuthorizationKind(parts["kind"]), **{name: parts[name] for name in _SECRET_PARTS}
    )
