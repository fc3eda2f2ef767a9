"""Strict bodies: what is not JSON, not ours, or not in the contract is refused, all at once, with nothing done."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from bolti_server.base.errors import Refusal
from bolti_server.contract import structs
from bolti_server.web.bodies import MOST_NESTING, parse_body, parse_json
from bolti_server.web.contract import BODY_LIMIT_BYTES, load_contract

AGENTS = "/workspaces/current/agents"
KEYS = "/workspaces/current/api-keys"
JSON = {"Content-Type": "application/json"}


def refusal_of(raw: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse_json(raw)
    return caught.value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"name" "x"}',
        b'{"name": "x"} trailing',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": 1e999}',
        b"{'name': 'x'}",
        b'{"name": "x", "name": "y"}',
        b'{"a": {"name": "x", "n\\u0061me": "y"}}',
        b'[{"a": 1, "b": [{"c": 1, "c": 1}]}]',
        b'{"name": "\xff"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": "\\ud800"}',
        b'{"name": "\\udc00 and so on"}',
        b'{"name": "\\ud83d and so on"}',
        b'\xef\xbb\xbf{"name": "x"}',
        b'{"name": "x"}'.decode().encode("utf-16"),
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * (MOST_NESTING + 1) + b"]" * (MOST_NESTING + 1),
        b"\0",
    ],
)
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    refusal = refusal_of(raw)
    assert (refusal.status, refusal.code) == (400, "malformed_json")
    assert len(refusal.detail) < 300


def test_what_is_json_is_read_as_it_stands() -> None:
    for value in ({"a": [1, 2.5, None, True, "é😀\u2028"]}, [], 0, "x", [[1] * 100] * 100):
        assert parse_json(json.dumps(value).encode()) == value
    deepest: Any = 1
    for _ in range(MOST_NESTING):
        deepest = [deepest]
    assert parse_json(json.dumps(deepest).encode()) == deepest
    assert parse_json(b'[{"a": 1}, {"a": 1}]') == [{"a": 1}, {"a": 1}], "in two objects, not twice"


def refused(operation_id: str, body: object, kind: type[Any]) -> Refusal:
    operation = load_contract().operations[operation_id]
    with pytest.raises(Refusal) as caught:
        parse_body(operation, json.dumps(body).encode(), kind)
    return caught.value


def found(refusal: Refusal) -> set[tuple[str, str]]:
    return {(fault.pointer, fault.code) for fault in refusal.faults}


def call(body: object) -> Refusal:
    return refused("placeOutboundCall", body, structs.OutboundCallRequest)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "12025550100",
        "+1 202 555 0100",
        "+0123456789",
        "+1202555010x",
        "+12025550100\n",
        "+1202555010\u0660",
        "+" + "1" * 16,
        "tel:+12025550100",
        12025550100,
        None,
        ["+12025550100"],
    ],
)
def test_anything_but_e164_is_an_invalid_phone_number_that_names_the_field(number: object) -> None:
    refusal = call({"to_number": number})
    assert (refusal.status, refusal.code) == (400, "invalid_phone_number")
    assert found(refusal) == {("/to_number", "invalid_phone_number")}
    assert "to_number" in refusal.detail


def test_all_faults_are_listed_at_once_with_their_pointers() -> None:
    refusal = call(
        {
            "to_number": "nonsense",
            "colour": "red",
            "a/b~c": 1,
            "max_duration_seconds": 0,
            "queue_timeout_seconds": "soon",
            "when_limited": "wait",
            "allow_concurrent_to_callee": 1,
            "agent_phone_number_id": "apn",
            "variable_values": {"name": [], "9th": 1},
            "simulation": {"scenario": "unheard", "speed": 2},
            "timezone": "",
        }
    )
    assert (refusal.status, refusal.code) == (400, "validation_failed")
    assert found(refusal) == {
        ("/to_number", "invalid_phone_number"),
        ("/colour", "unknown_field"),
        ("/a~1b~0c", "unknown_field"),
        ("/max_duration_seconds", "too_small"),
        ("/queue_timeout_seconds", "wrong_type"),
        ("/when_limited", "not_allowed"),
        ("/allow_concurrent_to_callee", "wrong_type"),
        ("/agent_phone_number_id", "invalid_format"),
        ("/variable_values/name", "wrong_type"),
        ("/variable_values", "invalid_name"),
        ("/simulation/scenario", "not_allowed"),
        ("/simulation/speed", "unknown_field"),
        ("/timezone", "too_short"),
    }


def test_of_something_that_may_be_null_the_fault_is_told_not_the_alternatives() -> None:
    refusal = call({"to_number": "+12025550100", "simulation": "fast"})
    assert [(f.pointer, f.code, f.detail) for f in refusal.faults] == [
        ("/simulation", "wrong_type", "Expected an object.")
    ]


@pytest.mark.parametrize("body", [None, [], "x", 1, True])
def test_a_body_that_is_no_object_is_of_the_wrong_type(body: object) -> None:
    assert found(call(body)) == {("", "wrong_type")}


def test_a_whole_number_may_be_written_with_a_point() -> None:
    operation = load_contract().operations["placeOutboundCall"]
    raw = b'{"to_number": "+12025550100", "max_duration_seconds": 60.0}'
    body = parse_body(operation, raw, structs.OutboundCallRequest)
    assert body.max_duration_seconds == 60
    assert isinstance(body.max_duration_seconds, int)


def test_text_that_the_database_can_not_hold_is_refused_wherever_it_stands() -> None:
    refusal = refused(
        "testTool",
        {"arguments": {"a": [{"b\0": 1}, "x\0"]}, "variable_values": {}},
        structs.ToolTestRequest,
    )
    assert ("/arguments/a/1", "invalid_format") in found(refusal)
    assert ("/arguments/a/0", "invalid_name") in found(refusal)


def test_every_request_example_of_the_contract_is_accepted_shape_wise() -> None:
    document = load_contract().document
    seen = 0
    for item in document["paths"].values():
        for entry in item.values():
            if not isinstance(entry, dict) or "requestBody" not in entry:
                continue
            media = entry["requestBody"]["content"]["application/json"]
            kind = getattr(structs, media["schema"]["$ref"].rpartition("/")[2])
            for example in media["examples"].values():
                name = example["$ref"].rpartition("/")[2]
                value = document["components"]["examples"][name]["value"]
                operation = load_contract().operations[entry["operationId"]]
                parse_body(operation, json.dumps(value).encode(), kind)
                seen += 1
    assert seen >= 12


async def test_nothing_is_made_of_a_bad_body(client: httpx2.AsyncClient) -> None:
    bad = [
        (b"{", "malformed_json"),
        (b'{"name": "x", "name": "y"}', "malformed_json"),
        (b'{"name": "x", "colour": 1}', "validation_failed"),
        (b'{"name": 7}', "validation_failed"),
        (b"[]", "validation_failed"),
    ]
    for raw, code in bad:
        answer = await client.post(KEYS, content=raw, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert len((await client.get(KEYS)).json()["data"]) == 1


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
    ],
)
async def test_what_is_not_sent_as_json_is_an_unsupported_media_type(
    client: httpx2.AsyncClient, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await client.post(KEYS, content=b'{"name": "x"}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_json_may_name_its_charset(client: httpx2.AsyncClient) -> None:
    for content_type in ("application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'):
        headers = {"Content-Type": content_type}
        answer = await client.post(KEYS, content=b'{"name": "x"}', headers=headers)
        assert answer.status_code == 201


async def test_a_body_beyond_the_limit_is_too_large_with_and_without_its_length(
    client: httpx2.AsyncClient,
) -> None:
    big = b'{"name": "' + b"x" * BODY_LIMIT_BYTES + b'"}'
    with_length = await client.post(KEYS, content=big, headers=JSON)
    assert (with_length.status_code, with_length.json()["code"]) == (413, "body_too_large")

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 65_536):
            yield big[start : start + 65_536]

    streamed = await client.post(KEYS, content=parts(), headers=JSON)
    assert (streamed.status_code, streamed.json()["code"]) == (413, "body_too_large")


async def test_a_body_of_exactly_the_limit_is_read(client: httpx2.AsyncClient) -> None:
    body = b'{"name": "x"}'
    full = body + b" " * (BODY_LIMIT_BYTES - len(body))
    assert (await client.post(AGENTS, content=full, headers=JSON)).status_code == 201
