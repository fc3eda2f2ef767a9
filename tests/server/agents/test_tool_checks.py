"""A tool that can't work is refused when it is saved, with everything that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from bolti_server.agents.tool_authorization import Authorization, AuthorizationKind
from bolti_server.agents.tool_checks import faults_of_authorization, faults_of_tool
from bolti_server.agents.tool_requests import HttpTool
from bolti_server.agents.tool_schemas import argument_errors, closed, schema_faults


def pointers(**fields: Any) -> list[str]:
    tool = HttpTool(**{"name": "look_up", "url": "https://api.example.com/{{ id }}", **fields})
    return [fault.pointer for fault in faults_of_tool(tool)]


def test_a_good_tool_has_no_faults() -> None:
    assert pointers(
        method="POST",
        headers=(("X-Of", "{{ agent_name }}"), ("Content-Type", "application/json")),
        body_template='{"a": {{ a }}, "b": "{{ b | default: "x" }}"}',
        input_schema={"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        response_mapping={"status": "/order/status"},
    ) == []  # fmt: skip


def test_everything_wrong_is_listed_at_once() -> None:
    assert pointers(
        name="Look Up",
        url="ftp://x/{{ a | upcase }}",
        headers=(("Bad Name", "ok"), ("Host", "evil"), ("X", "{{ open")),
        body_template="{{ }}",
        input_schema={"type": "array"},
        response_mapping={"a": "no/slash"},
    ) == [
        "/name", "/url", "/url", "/headers/0/name", "/headers/1/name", "/headers/2/value",
        "/body_template", "/input_schema/type", "/response_mapping/a",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["cut_call", "transfer_call", "schedule_callback", "send_dtmf"])
def test_a_built_in_tool_can_not_be_shadowed(name: str) -> None:
    assert pointers(name=name) == ["/name"]


@pytest.mark.parametrize("name", ["", "1a", "A", "a-b", "a b", "é", "a" * 256, "_a"])
def test_a_name_is_snake_case(name: str) -> None:
    assert pointers(name=name) == ["/name"]


@pytest.mark.parametrize(
    "url", ["", "example.com", "javascript:alert(1)", "https://", "https:///x", "http://u:p@h/"]
)
def test_a_url_has_a_scheme_and_a_host_and_no_password(url: str) -> None:
    assert set(pointers(url=url)) == {"/url"}


@pytest.mark.parametrize("body", ['{"a": }', '{"a": "{{ b }}', "[1,]"])
def test_a_body_that_is_no_json_is_found(body: str) -> None:
    assert pointers(method="POST", body_template=body) == ["/body_template"]
    text = (("Content-Type", "text/plain"),)
    assert pointers(method="POST", body_template=body, headers=text) == []


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        (
            {"type": "object", "properties": {"a": {"type": "strin"}}},
            "/input_schema/properties/a/type",
        ),
        ({"$ref": "http://127.0.0.1:1/x"}, "/input_schema"),
        ({"$ref": "file:///etc/passwd"}, "/input_schema"),
        ({"$ref": "#/nowhere"}, "/input_schema"),
        ({"properties": {"a": {"description": "x" * 40_000}}}, "/input_schema"),
        ({"properties": {"a": {"pattern": "(?=x)"}}}, "/input_schema/properties/a/pattern"),
    ],
)
def test_a_schema_is_checked_and_fetches_nothing(schema: dict[str, Any], pointer: str) -> None:
    assert [fault.pointer for fault in schema_faults(schema)] == [pointer]


def test_a_schema_is_closed_unless_it_says_otherwise() -> None:
    assert closed(None) == {"type": "object", "properties": {}, "additionalProperties": False}
    assert closed({"additionalProperties": True})["additionalProperties"] is True
    assert argument_errors(None, {"x": 1}) != []


def test_wrong_arguments_are_explained() -> None:
    schema = {"properties": {"n": {"type": "integer"}}, "required": ["n", "city"]}
    errors = argument_errors(schema, {"n": "three", "zip": 1})
    assert any(error.startswith("n: ") for error in errors)
    assert any('"city" is a required property' in error for error in errors)
    assert any("zip" in error for error in errors)


@pytest.mark.parametrize(
    ("authorization", "parts"),
    [
        (Authorization(AuthorizationKind.NONE), []),
        (Authorization(AuthorizationKind.BEARER), ["token"]),
        (Authorization(AuthorizationKind.BEARER, token="a\nb"), ["token"]),
        (Authorization(AuthorizationKind.BASIC), ["username", "password"]),
        (Authorization(AuthorizationKind.BASIC, username="a:b", password="x"), ["username"]),
        (Authorization(AuthorizationKind.API_KEY_HEADER), ["name", "value"]),
        (Authorization(AuthorizationKind.API_KEY_HEADER, name="Host", value="x"), ["name"]),
        (Authorization(AuthorizationKind.API_KEY_QUERY, name="any thing", value="x"), []),
        (Authorization(AuthorizationKind.HMAC), ["secret"]),
        (Authorization(AuthorizationKind.HMAC, secret="s", name="X Y"), ["name"]),
    ],
)
def test_an_authorization_has_its_parts(authorization: Authorization, parts: list[str]) -> None:
    found = [fault.pointer for fault in faults_of_authorization(authorization)]
    assert found == [f"/authorization/{part}" for part in parts]
