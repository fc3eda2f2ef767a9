"""Every kind of authorization × every method, in a call and in its Test: the same bytes, and no secret is shown.

"In a call" is `agents.calling.call_tool`, which is what a worker's request for a tool runs (calls/tool_calls.py).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from tests.server.conftest import Home
from tests.server.support.listeners import answer, listening

from bolti_server.agents.calling import ToolContext, call_tool
from bolti_server.contract import structs
from bolti_server.world import World

TOOLS = "/workspaces/current/tools"
SECRET = "s3cret/of+the clinic="
SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}}}

Headers = dict[str, str]
Check = Callable[[str, Headers, bytes], None]


def nothing(_: str, headers: Headers, __: bytes) -> None:
    assert not {"authorization", "x-key", "bolti-signature"} & set(headers)


def bearer(_: str, headers: Headers, __: bytes) -> None:
    assert headers["authorization"] == "Bearer t0ken-of-the-clinic"


def basic(_: str, headers: Headers, __: bytes) -> None:
    expected = b64encode(f"clinic:{SECRET}".encode()).decode()
    assert headers["authorization"] == f"Basic {expected}"


def key_in_header(_: str, headers: Headers, __: bytes) -> None:
    assert headers["x-key"] == SECRET


def key_in_query(target: str, _: Headers, __: bytes) -> None:
    assert httpx2.URL(f"http://host{target}").params["api_key"] == SECRET


def signature(target: str, headers: Headers, body: bytes) -> None:
    stamp, digest = (part.partition("=")[2] for part in headers["bolti-signature"].split(","))
    signed = f"{stamp}.{headers[':method']}.{target}.".encode() + body
    assert digest == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


KINDS: dict[str, tuple[dict[str, Any], Check]] = {
    "none": ({}, nothing),
    "bearer": ({"token": "t0ken-of-the-clinic"}, bearer),
    "basic": ({"username": "clinic", "password": SECRET}, basic),
    "api_key_header": ({"name": "X-Key", "value": SECRET}, key_in_header),
    "api_key_query": ({"name": "api_key", "value": SECRET}, key_in_query),
    "hmac": ({"secret": SECRET}, signature),
}
METHODS = [method.value for method in structs.HttpMethod]


def test_every_kind_of_the_contract_is_tried() -> None:
    assert set(KINDS) == {kind.value for kind in structs.ToolAuthorizationKind}


def read(request: bytes) -> tuple[str, Headers, bytes]:
    """(target, headers by lower-case name with `:method`, body)."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return target, {**headers, ":method": method}, body


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_and_its_test_prove_themselves_alike_and_show_no_secret(
    client: httpx2.AsyncClient, world: World, home: Home, kind: str
) -> None:
    parts, check = KINDS[kind]
    variables = {"name": "Asha", "conversation_id": "conv_1"}
    asked = {"arguments": {"day": "mon"}, "variable_values": variables}
    async with listening(answer(b'{"slots": ["10:00"]}')) as server:
        for method in METHODS:
            body = {
                "name": f"look_up_{method.lower()}",
                "description": "Looks.",
                "url": server.url + "slots?of={{ name }}",
                "method": method,
                "headers": [{"name": "X-Call", "value": "{{ conversation_id }}"}],
                "input_schema": SCHEMA,
                "authorization": {"kind": kind, **parts},
            }
            made = await client.post(TOOLS, json=body)
            assert made.status_code == 201, made.text
            tool_id = made.json()["id"]
            context = ToolContext("conv_1", [tool_id], variables)
            called = await call_tool(
                world, home.workspace_id, context, str(body["name"]), {"day": "mon"}
            )
            tested = await client.post(f"{TOOLS}/{tool_id}/test", json=asked)
            live, trial = server.requests[-2:]
            target, headers, sent = read(live)
            assert headers[":method"] == method
            check(target, headers, sent)
            check(*read(trial))
            if kind != "hmac":  # whose signature bears the second in which it was made
                assert live == trial
            has_body = method not in ("GET", "DELETE")
            assert json.loads(sent or b"null") == ({"day": "mon"} if has_body else None)
            _shows_all_but_the_secrets(tested, parts, sent if has_body else None)
            assert tested.json()["request"]["method"] == method
            assert tested.json()["result"] == called.result == {"slots": ["10:00"]}
            assert ("•••" in tested.text) == (kind != "none")
    assert len(server.requests) == 2 * len(METHODS)


def _shows_all_but_the_secrets(
    tested: httpx2.Response, parts: dict[str, Any], body: bytes | None
) -> None:
    """Request, variables, body and response are there (product.md, section 4); what authorizes is masked."""
    assert tested.status_code == 200, tested.text
    shown = tested.json()
    assert shown["request"]["body"] == (None if body is None else body.decode())
    assert {"name": "X-Call", "value": "conv_1"} in shown["request"]["headers"]
    assert "of=Asha" in shown["request"]["url"]
    assert shown["variables"]["day"] == "mon"
    assert shown["response"]["status"] == 200
    assert shown["response"]["body"] == '{"slots": ["10:00"]}'
    for name in ("token", "password", "value", "secret"):
        secret = parts.get(name, "t0ken-of-the-clinic")
        assert secret not in tested.text
        assert quote_plus(secret) not in tested.text
        assert quote(secret, safe="") not in tested.text
    assert b64encode(f"clinic:{SECRET}".encode()).decode() not in tested.text


async def test_a_tool_that_answers_nothing_shows_why(client: httpx2.AsyncClient) -> None:
    async with listening(answer(b"")) as server:
        url = server.url
    made = await client.post(TOOLS, json={"name": "gone", "description": "Looks.", "url": url})
    tested = await client.post(f"{TOOLS}/{made.json()['id']}/test", json={})
    shown = tested.json()
    assert (tested.status_code, shown["response"], shown["is_error"]) == (200, None, True)
    assert shown["request"]["method"] == "GET"
    assert shown["result"]
