"""What every answer carries, whichever way it was made; `/v1`, HEAD and OPTIONS."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home
from tests.server.support.serving import serving


@pytest.mark.parametrize("path", ["/health", "/workspaces/current", "/nothing/here", "/docs"])
async def test_every_answer_names_its_request(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.headers["request-id"].startswith("req_")
    kept = await client.get(path, headers={"Request-Id": "order-17_b"})
    assert kept.headers["request-id"] == "order-17_b"


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "<script>", "a\tb"])
async def test_a_request_id_that_could_do_harm_is_replaced(
    client: httpx2.AsyncClient, name: str
) -> None:
    answer = await client.get("/health", headers={"Request-Id": name})
    assert answer.headers["request-id"].startswith("req_")


async def test_the_api_answers_under_its_version_too(client: httpx2.AsyncClient) -> None:
    plain = await client.get("/workspaces/current")
    versioned = await client.get("/v1/workspaces/current")
    assert versioned.json() == plain.json()
    assert (await client.get("/v1/health")).status_code == 200
    assert (await client.get("/v1x/health")).status_code == 404
    missing = await client.get("/v1/workspaces/current/agents/agent_x")
    assert missing.json()["instance"] == "/v1/workspaces/current/agents/agent_x"


async def test_a_path_that_does_not_exist_is_a_problem(client: httpx2.AsyncClient) -> None:
    for path in ("/nothing", "/workspaces", "/workspaces/current/nothing", "/v1", "/v1/"):
        answer = await client.get(path)
        if path == "/v1/":
            assert answer.status_code == 307
            continue
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        assert answer.headers["content-type"].startswith("application/problem+json")


async def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(
    client: httpx2.AsyncClient,
) -> None:
    answer = await client.put("/workspaces/current", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, PATCH"


async def test_head_is_get_without_the_body(client: httpx2.AsyncClient) -> None:
    got = await client.get("/workspaces/current")
    head = await client.head("/workspaces/current")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]
    assert (await client.head("/workspaces/current/agents/agent_x")).status_code == 404


async def test_a_connection_serves_on_after_head(app: Litestar, home: Home) -> None:
    """The ASGI transport keeps no connection: only a real server counts the bytes of an answer."""
    ask = f"/workspaces/current HTTP/1.1\r\nHost: bolti\r\nAuthorization: Bearer {home.api_key}\r\n\r\n"
    async with serving(app) as url, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(f"HEAD {ask}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(f"GET {ask}".encode())
        got = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(got))
        writer.close()
        await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 200")
    assert _length(head) == _length(got)
    assert home.workspace_id.encode() in body


def _length(head: bytes) -> int:
    (line,) = [line for line in head.splitlines() if line.lower().startswith(b"content-length:")]
    return int(line.split(b":")[1])


async def test_options_says_what_a_path_takes_and_needs_no_key(
    anonymous: httpx2.AsyncClient,
) -> None:
    answer = await anonymous.options("/workspaces/current")
    assert answer.status_code == 204
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, PATCH"
    assert (await anonymous.options("/nothing")).status_code == 404


async def test_an_id_with_odd_bytes_is_an_id_that_does_not_exist(
    client: httpx2.AsyncClient,
) -> None:
    for odd in ("%00", "%ff", "..%2f", "key_%0A", "%F0%9F%98%80", "a" * 4000):
        answer = await client.delete(f"/workspaces/current/api-keys/{odd}")
        assert answer.status_code in (404, 405), odd


async def test_what_a_key_opened_is_kept_by_no_cache(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/workspaces/current")).headers["cache-control"] == "no-store"
