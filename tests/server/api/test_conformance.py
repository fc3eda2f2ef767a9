"""Contract and running app are one thing, compared in both directions by identity."""

from __future__ import annotations

import inspect
import re
from typing import Any

import httpx2
import msgspec
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from tests.server.support.conforming import conforming, operation_at, resolved, validator

from bolti_server.contract import structs
from bolti_server.web.contract import load_contract

# What the server answers beside the contract: the contract itself, its page, and what workers ask.
BESIDE = ("/openapi.yaml", "/openapi.json", "/docs", "/docs/assets/{name}", "/")


def routes_of(app: Litestar) -> dict[tuple[str, str], HTTPRouteHandler]:
    """(method, path as the contract writes it) → handler, without OPTIONS."""
    found = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods - {"OPTIONS"}:
                found[method, re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)] = handler
    return found


def test_every_operation_has_its_route(app: Litestar) -> None:
    routes = routes_of(app)
    lacking = []
    for operation in load_contract().operations.values():
        handler = routes.get((operation.method, operation.path))
        if handler is None or handler.operation_id != operation.id:
            lacking.append(f"{operation.method} {operation.path} ({operation.id})")
    assert not lacking


def test_every_route_is_an_operation_or_known_to_be_beside_the_contract(app: Litestar) -> None:
    operations = {(each.method, each.path): each.id for each in load_contract().operations.values()}
    for (method, path), handler in routes_of(app).items():
        if path in BESIDE or path.startswith(("/internal/", "/callbacks/")):
            assert handler.operation_id is None, path
        else:
            assert operations.get((method, path)) == handler.operation_id, (method, path)


def test_a_route_reads_the_struct_that_the_contract_names(app: Litestar) -> None:
    """By the text of the route's own function: `body_of(request, structs.X)` with X the operation's schema."""
    document = load_contract().document
    for handler in routes_of(app).values():
        if handler.operation_id is None:
            continue
        item = document["paths"][load_contract().operations[handler.operation_id].path]
        entry = next(
            each
            for each in item.values()
            if isinstance(each, dict) and each.get("operationId") == handler.operation_id
        )
        if "requestBody" not in entry:
            continue
        reference = entry["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        name = reference.rpartition("/")[2]
        assert re.search(rf"\bstructs\.{name}\b", _source(handler.fn)), handler.operation_id


def _source(function: Any) -> str:
    """Of a route, and of the functions of its module that it calls by name."""
    called = [function.__globals__.get(name) for name in function.__code__.co_names]
    own = [
        each
        for each in called
        if inspect.isfunction(each) and each.__module__ == function.__module__
    ]
    return "\n".join(inspect.getsource(each) for each in (function, *own))


def _schemas() -> dict[str, Any]:
    found: dict[str, Any] = load_contract().document["components"]["schemas"]
    return found


@pytest.mark.parametrize(
    "name", [n for n, s in _schemas().items() if s.get("type") == "object" and s.get("properties")]
)
def test_a_struct_has_the_fields_of_its_schema(name: str) -> None:
    kind = getattr(structs, name)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    schema = _schemas()[name]
    assert set(fields) == set(schema["properties"])
    required = {each for each, field in fields.items() if field.required}
    assert required == set(schema.get("required", ()))


def test_every_example_of_an_answer_is_what_its_schema_says() -> None:
    document = load_contract().document
    seen = 0
    for item in document["paths"].values():
        for entry in item.values():
            for answer in entry.get("responses", {}).values() if isinstance(entry, dict) else ():
                for media in answer.get("content", {}).values():
                    for example in media.get("examples", {}).values():
                        value = document["components"]["examples"][
                            example["$ref"].rpartition("/")[2]
                        ]
                        if media["schema"].get("$ref") and not isinstance(value["value"], str):
                            validator(media["schema"]["$ref"]).validate(value["value"])
                            seen += 1
    assert seen > 20


def test_every_json_body_that_an_operation_takes_or_gives_has_an_example() -> None:
    document = load_contract().document
    lacking, seen = [], 0
    for item in document["paths"].values():
        for entry in item.values():
            if not isinstance(entry, dict) or "operationId" not in entry:
                continue
            bodies = {"request": resolved(entry.get("requestBody", {}))}
            bodies |= {
                status: resolved(answer)
                for status, answer in entry["responses"].items()
                if status.startswith("2")
            }
            for what, body in bodies.items():
                media = body.get("content", {}).get("application/json")
                if media is None:
                    continue
                seen += 1
                if not (media.get("examples") or "example" in media):
                    lacking.append(f"{entry['operationId']} {what}")
    assert seen > 40
    assert not lacking


async def test_the_hook_of_the_test_client_notices_what_does_not_conform() -> None:
    """A guard that never closes is none."""

    def answer(status: int, body: object, **headers: str) -> httpx2.Response:
        request = httpx2.Request("GET", "http://bolti.test/workspaces/current")
        return httpx2.Response(status, json=body, headers=headers, request=request)

    wrong = [
        answer(200, {"id": "ws_1"}, **{"request-id": "r"}),
        answer(418, {}, **{"request-id": "r"}),
        answer(404, {"code": "not_found"}, **{"request-id": "r"}),
        answer(200, {}),
    ]
    for each in wrong:
        with pytest.raises(AssertionError):
            await conforming(each)
    assert operation_at("GET", "/v1/workspaces/current") is not None
