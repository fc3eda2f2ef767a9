"""The contract as the server uses it: which operations there are, what each needs, and validators for it.

Rule: nothing about an operation's parameters, body or scope is written in Python; it is read from
contracts/openapi.yaml, once per process (60 ms), so that the running server can't drift from what is published.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import attrs
import jsonschema_rs
import yaml

_METHODS = ("get", "post", "put", "patch", "delete")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_BASE = "urn:bolti:contract"

BODY_LIMIT_BYTES = 1 << 20  # where an operation names no `x-max-body-bytes` of its own

JsonSchema = Mapping[str, Any]


@attrs.frozen
class Parameter:
    """Of a query or a header. `kind` is the JSON type of its value (that of its items where it `is_list`)."""

    name: str
    kind: str
    is_list: bool
    is_required: bool
    default: Any
    validator: jsonschema_rs.Validator


@attrs.frozen(eq=False)
class Operation:
    """One operation of the contract. `body` is None where it takes none."""

    id: str
    method: str
    path: str
    scope: str | None
    is_public: bool
    takes_signed_link: bool
    has_cors: bool  # pages of a public key's origins may ask it
    takes_idempotency_key: bool
    path_patterns: Mapping[str, re.Pattern[str]]
    query: Mapping[str, Parameter]
    headers: Mapping[str, Parameter]
    body: jsonschema_rs.Validator | None
    is_body_required: bool
    most_body_bytes: int


@attrs.frozen(eq=False)
class Contract:
    """`document` is the parsed file, `source` the file as it is."""

    source: bytes
    document: Mapping[str, Any]
    operations: Mapping[str, Operation]


@functools.cache
def load_contract() -> Contract:
    """The contract that this server serves. Raises FileNotFoundError where neither wheel nor checkout has it."""
    source = _file().read_bytes()
    # The C loader is 20 times as fast; a PyYAML without it (built from source) does too.
    document = yaml.load(source, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  both are safe
    return Contract(
        source, document, {operation.id: operation for operation in _operations(document)}
    )


def _file() -> Path:
    package = Path(str(resources.files("bolti_server")))
    installed = package / "api" / "openapi.yaml"  # put there by server/hatch_build.py
    return installed if installed.exists() else package.parents[1] / "contracts" / "openapi.yaml"


def _operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield _operation(document, path, method, item)


def _operation(
    document: Mapping[str, Any], path: str, method: str, item: Mapping[str, Any]
) -> Operation:
    entry = item[method]
    parameters = [
        _resolved(document, each)
        for each in (*item.get("parameters", ()), *entry.get("parameters", ()))
    ]
    security = entry.get("security", document["security"])
    headers = _parameters(document, parameters, "header")
    body = entry.get("requestBody")
    return Operation(
        id=entry["operationId"],
        method=method.upper(),
        path=path,
        scope=entry["x-scope"],
        is_public=security == [],
        takes_signed_link={"recordingSignature": []} in security,
        has_cors=entry.get("x-cors", False),
        takes_idempotency_key="Idempotency-Key" in headers,
        path_patterns={
            each["name"]: re.compile(_resolved(document, each["schema"])["pattern"])
            for each in parameters
            if each["in"] == "path"
        },
        query=_parameters(document, parameters, "query"),
        headers=headers,
        body=body and _validator(document, body["content"]["application/json"]["schema"]),
        is_body_required=bool(body and body.get("required", False)),
        most_body_bytes=entry.get("x-max-body-bytes", BODY_LIMIT_BYTES),
    )


def _parameters(
    document: Mapping[str, Any], parameters: list[Mapping[str, Any]], place: str
) -> dict[str, Parameter]:
    found = {}
    for each in parameters:
        if each["in"] == place:
            schema = _resolved(document, each["schema"])
            is_list = schema["type"] == "array"
            found[each["name"]] = Parameter(
                name=each["name"],
                kind=_resolved(document, schema["items"])["type"] if is_list else schema["type"],
                is_list=is_list,
                is_required=each.get("required", False),
                default=each["schema"].get("default", schema.get("default")),
                validator=_validator(document, each["schema"]),
            )
    return found


def _resolved(document: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _validator(document: Mapping[str, Any], schema: JsonSchema) -> jsonschema_rs.Validator:
    """Formats are checked (`date-time` refuses a naive time). Compiling takes about a millisecond."""
    return jsonschema_rs.validator_for(
        {"$schema": _DIALECT, **_with_base(schema)},
        registry=_registry(id(document), document),
        validate_formats=True,
    )


def _with_base(node: Any) -> Any:
    """References into the contract made absolute: a validator's own schema is another document."""
    if isinstance(node, dict):
        return {
            key: _BASE + value if key == "$ref" and value.startswith("#") else _with_base(value)
            for key, value in node.items()
        }
    return [_with_base(each) for each in node] if isinstance(node, list) else node


_registries: dict[int, jsonschema_rs.Registry] = {}


def _registry(key: int, document: Mapping[str, Any]) -> jsonschema_rs.Registry:
    if key not in _registries:
        schemas = {
            "$schema": _DIALECT,
            "components": {"schemas": document["components"]["schemas"]},
        }
        _registries[key] = jsonschema_rs.Registry([(_BASE, schemas)])
    return _registries[key]
