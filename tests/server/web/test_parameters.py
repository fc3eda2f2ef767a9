"""Query and header parameters are as strict as bodies."""

from __future__ import annotations

import httpx2
import pytest

from bolti_server.web.contract import load_contract
from bolti_server.web.parameters import read_query

KEYS = "/workspaces/current/api-keys"


def read(operation_id: str, query: bytes) -> tuple[dict[str, object], set[tuple[str, str]]]:
    values, faults = read_query(load_contract().operations[operation_id], query)
    return values, {(fault.pointer, fault.code) for fault in faults}


def test_values_are_typed_by_the_contract_and_defaults_filled_in() -> None:
    query = b"status=queued&status=ringing&simulated=true&limit=7&to_number=%2B12025550100"
    values, faults = read("listConversations", query)
    assert not faults
    assert values == {
        "limit": 7,
        "status": ["queued", "ringing"],
        "simulated": True,
        "to_number": "+12025550100",
        "sort": "newest",
    }
    assert read("listApiKeys", b"") == ({"limit": 20}, set())


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        (b"limit=0", "query:limit", "too_small"),
        (b"limit=101", "query:limit", "too_large"),
        (b"limit=ten", "query:limit", "wrong_type"),
        (b"limit=", "query:limit", "wrong_type"),
        (b"limit=1_0", "query:limit", "wrong_type"),
        (b"limit=%201", "query:limit", "wrong_type"),
        (b"limit=%D9%A1", "query:limit", "wrong_type"),
        (b"limit=" + b"9" * 5000, "query:limit", "wrong_type"),
        (b"limit=1&limit=2", "query:limit", "repeated_parameter"),
        (b"limits=1", "query:limits", "unknown_parameter"),
        (b"after=%00", "query:after", "invalid_format"),
        (b"after=", "query:after", "too_short"),
        (b"after=%ff", "query:", "malformed_query"),
        (b"simulated=yes", "query:simulated", "wrong_type"),
        (b"status=ringing&status=sleeping", "query:status", "not_allowed"),
        (b"to_number=2025550100", "query:to_number", "invalid_phone_number"),
        (b"created_after=2026-01-01T00:00:00", "query:created_after", "invalid_format"),
        (b"agent_id=ws_1", "query:agent_id", "invalid_format"),
        (b"&".join([b"a=1"] * 300), "query:", "malformed_query"),
        ("limit=é".encode(), "query:", "malformed_query"),
    ],
)
def test_a_wrong_parameter_is_named(query: bytes, pointer: str, code: str) -> None:
    assert (pointer, code) in read("listConversations", query)[1]


async def test_all_wrong_parameters_are_listed_at_once(client: httpx2.AsyncClient) -> None:
    answer = await client.get(KEYS, params={"limit": "x", "after": "", "sort": "name"})
    assert answer.status_code == 400
    assert {each["pointer"] for each in answer.json()["errors"]} == {
        "query:limit",
        "query:after",
        "query:sort",
    }


async def test_a_cursor_of_another_list_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.get(KEYS, params={"after": "conv_01kavqm3t8e6zb2c4d5f7g9h2c"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "invalid_cursor"


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "schlüssel"])
async def test_a_wrong_idempotency_key_is_named(client: httpx2.AsyncClient, key: str) -> None:
    headers = [("Idempotency-Key", key.encode("latin-1"))]
    answer = await client.post(KEYS, json={"name": "x"}, headers=headers)
    assert answer.status_code == 400
    assert {each["pointer"] for each in answer.json()["errors"]} == {"header:Idempotency-Key"}
