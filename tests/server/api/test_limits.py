"""Made from the contract: every answer tells the caller's limits, and no operation takes a body beyond its own."""

from __future__ import annotations

import json
import re

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home
from tests.server.support.tenants import asked, everything, furnish, guarded_operations

from bolti_server.bootstrap.web import build_app
from bolti_server.web.contract import BODY_LIMIT_BYTES, Operation, load_contract
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.world import World

BURST = 10_000
LEFT = re.compile(r'"default";r=(\d+);t=\d+')


@pytest.fixture
def app(world: World) -> Litestar:
    return build_app(world, rate=RatePolicy(burst=BURST, window_seconds=1_000_000))


def left(answer: httpx2.Response) -> int:
    """Requests that are left, by the RateLimit header."""
    assert answer.headers["ratelimit-policy"] == f'"default";q={BURST};w=1000000'
    found = LEFT.fullmatch(answer.headers["ratelimit"])
    assert found is not None, answer.headers["ratelimit"]
    return int(found[1])


async def test_every_answer_of_every_operation_tells_what_is_left(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    ids = await furnish(world, client, home.workspace_id)
    before = left(await client.get("/workspaces/current"))
    statuses = set()
    for operation in guarded_operations():
        there, missing = asked(operation, "current", ids), asked(operation, "current", {})
        for path in (f"{there.path}?colour=red", missing.path, f"/v1{missing.path}"):
            answer = await client.request(operation.method, path, json=there.body)
            statuses.add(answer.status_code)
            assert left(answer) == before - 1, (operation.id, answer.status_code)
            before -= 1
    assert {400, 404} <= statuses
    assert statuses & {200, 201}


async def test_who_has_no_key_learns_the_policy_only(anonymous: httpx2.AsyncClient) -> None:
    for path in ("/workspaces/current", "/health", "/nothing", "/v1/workspaces/current/agents"):
        answer = await anonymous.get(path)
        assert answer.headers["ratelimit-policy"]
        assert "ratelimit" not in answer.headers


async def test_over_the_limit_there_is_nothing_left_and_a_time_to_come_again(
    world: World, client: httpx2.AsyncClient, home: Home
) -> None:
    tight = build_app(world, rate=RatePolicy(burst=1, window_seconds=60))
    transport = httpx2.ASGITransport(app=tight)
    headers = {"Authorization": f"Bearer {home.api_key}"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://bolti.test", headers=headers
    ) as hasty:
        await hasty.get("/workspaces/current")
        for operation in guarded_operations():
            request = asked(operation, "current", {})
            answer = await hasty.request(operation.method, request.path, json=request.body)
            assert answer.status_code == 429, operation.id
            assert answer.headers["ratelimit"].startswith('"default";r=0;t=')
            assert int(answer.headers["retry-after"]) >= 1


def _with_body() -> list[Operation]:
    return [each for each in load_contract().operations.values() if each.body is not None]


def test_every_operation_with_a_body_documents_that_it_may_be_too_large() -> None:
    document = load_contract().document
    for operation in _with_body():
        entry = document["paths"][operation.path][operation.method.lower()]
        assert "413" in entry["responses"], operation.id
        assert operation.most_body_bytes <= BODY_LIMIT_BYTES
    assert {each.most_body_bytes for each in _with_body()} == {65_536, BODY_LIMIT_BYTES}


async def test_no_operation_takes_a_byte_more_than_it_documents(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    ids = await furnish(world, client, home.workspace_id)
    before = await everything(world)
    for operation in _with_body():
        request = asked(operation, "current", ids)
        body = json.dumps(request.body).encode()
        answer = await client.request(
            operation.method,
            request.path,
            content=body + b" " * (operation.most_body_bytes + 1 - len(body)),
            headers={"Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large"), operation.id
    assert await everything(world) == before


async def test_a_body_of_exactly_the_limit_is_read(client: httpx2.AsyncClient) -> None:
    limit = load_contract().operations["createApiKey"].most_body_bytes
    body = b'{"name": "k"}'
    for size, status in ((limit, 201), (limit + 1, 413)):
        answer = await client.post(
            "/workspaces/current/api-keys",
            content=body + b" " * (size - len(body)),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == status
