"""Every answer that a test sees is held against the contract: status, media type, headers and body.

`conforming` is an httpx2 response hook; the shared client fixtures carry it, so that each test is a conformance test too.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import jsonschema_rs

from bolti_server.web.contract import load_contract

_BASE = "urn:bolti:contract"
_STREAMS = ("text/event-stream", "audio/ogg", "audio/wav")
_OURS_BESIDE_THE_CONTRACT = (
    "/internal/",
    "/callbacks/",
    "/docs",
    "/openapi.",
    "/v1/docs",
    "/v1/openapi.",
)


class NotConforming(AssertionError):
    """Names the operation and what its answer lacks."""


async def conforming(response: httpx2.Response) -> None:
    """Raises NotConforming. Streams are checked by their head only, so that a test can read them as they come."""
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if media_type not in _STREAMS:
        await response.aread()
    complaints = list(_complaints(response, media_type))
    if complaints:
        request = response.request
        body = "" if media_type in _STREAMS else response.text[:2000]
        raise NotConforming(
            f"{request.method} {request.url.path} → {response.status_code}: {'; '.join(complaints)}\n{body}"
        )


def _complaints(response: httpx2.Response, media_type: str) -> Iterator[str]:
    if "request-id" not in response.headers:
        yield "no Request-Id"
    operation = operation_at(response.request.method, response.request.url.path)
    if operation is None:
        if media_type == "application/problem+json":
            yield from _problem(response)
        return
    answers = operation["responses"]
    status = str(response.status_code)
    if status == "405":
        yield from _problem(response)
        return
    if status not in answers:
        yield f"{operation['operationId']} has no {status} in the contract, which knows {sorted(answers)}"
        return
    answer = resolved(answers[status])
    if status[0] == "2":
        yield from _headers(answer, response)
    yield from _limits(operation, response)
    content = answer.get("content", {})
    if not content:
        if media_type not in _STREAMS and response.content:
            yield "a body where the contract has none"
        return
    if response.request.method == "HEAD":
        return
    if media_type not in content:
        yield f"is {media_type!r}, the contract has {sorted(content)}"
    elif media_type == "application/problem+json":
        yield from _problem(response)
    elif media_type == "application/json":
        yield from _body(content[media_type]["schema"], response)


def _headers(answer: Mapping[str, Any], response: httpx2.Response) -> Iterator[str]:
    for name in answer.get("headers", {}):
        if name in ("RateLimit", "RateLimit-Policy", "Location") and name not in response.headers:
            yield f"no {name}"


def _limits(operation: Mapping[str, Any], response: httpx2.Response) -> Iterator[str]:
    """Whoever's key is known learns with every answer what is left of its limit."""
    if "ratelimit-policy" not in response.headers:
        yield "no RateLimit-Policy"
    has_key = operation.get("security") != [] and "authorization" in response.request.headers
    if (
        has_key
        and response.status_code < 500
        and response.status_code != 401
        and "ratelimit" not in response.headers
    ):
        yield "no RateLimit"


def _problem(response: httpx2.Response) -> Iterator[str]:
    yield from _body({"$ref": "#/components/schemas/Problem"}, response)
    problem = response.json()
    known = load_contract().document["components"]["schemas"]["ProblemCode"]["enum"]
    if problem.get("code") not in known:
        yield f"code {problem.get('code')!r} is not in ProblemCode"
    if problem.get("status") != response.status_code:
        yield f"status {problem.get('status')} in the body"
    if problem.get("request_id") != response.headers.get("request-id"):
        yield "request_id is not the Request-Id"
    comes_again = response.status_code == 503 or problem.get("code") == "rate_limited"
    if comes_again and "retry-after" not in response.headers:
        yield "no Retry-After"
    if response.status_code == 401 and "www-authenticate" not in response.headers:
        yield "no WWW-Authenticate"


def _body(schema: Mapping[str, Any], response: httpx2.Response) -> Iterator[str]:
    for error in validator(_key(schema)).iter_errors(response.json()):
        yield f"at {'/'.join(map(str, error.instance_path)) or '(root)'}: {error.message[:300]}"


def _key(schema: Mapping[str, Any]) -> str:
    assert set(schema) <= {"$ref", "description"}, f"an anonymous schema: {schema}"
    return str(schema["$ref"])


@functools.cache
def validator(reference: str) -> jsonschema_rs.Validator:
    """Of a schema of the contract. Answers may hold fields that the contract does not know."""
    schemas = {"components": {"schemas": load_contract().document["components"]["schemas"]}}
    registry = jsonschema_rs.Registry([(_BASE, schemas)])
    return jsonschema_rs.validator_for(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": _BASE + reference},
        registry=registry,
        validate_formats=True,
    )


def resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """`node`, or what it refers to."""
    while "$ref" in node:
        found: Any = load_contract().document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


@functools.cache
def _templates() -> tuple[tuple[re.Pattern[str], Mapping[str, Any]], ...]:
    return tuple(
        (re.compile("(/v1)?" + re.sub(r"\{[^}]+\}", "[^/]+", path)), item)
        for path, item in load_contract().document["paths"].items()
    )


def operation_at(method: str, path: str) -> Mapping[str, Any] | None:
    """The contract's operation there; HEAD is its GET. None: not of the contract."""
    if path.startswith(_OURS_BESIDE_THE_CONTRACT):
        return None
    verb = "get" if method == "HEAD" else method.lower()
    for pattern, item in _templates():
        if pattern.fullmatch(path):
            found: Mapping[str, Any] | None = item.get(verb)
            return found
    return None
