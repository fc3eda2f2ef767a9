"""Made from the contract: every POST that creates or dials has one effect per Idempotency-Key."""

from __future__ import annotations

import json
from typing import Any

import attrs
import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home
from tests.server.support.media import FakeMedia
from tests.server.support.tenants import Asked, asked, everything, furnish

from bolti_server.bootstrap.web import build_app
from bolti_server.web.contract import Operation, load_contract
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.world import World

# What neither creates nor dials: repeating the first changes nothing, the second is meant to be sent each time.
NOT_KEYED = {"endConversation", "testTool"}
# Where the contract's example names what only the example has.
BODIES: dict[str, dict[str, Any]] = {
    "createAgent": {"name": "Another", "goal": "Book."},
    "createTool": {
        "name": "another",
        "description": "Looks.",
        "url": "https://example.com/x",
        "timeout_ms": 2000,
    },
    "placeOutboundCall": {"to_number": "+12025550101", "when_limited": "refuse"},
    "buyNumber": {"phone_number": "+12025550142"},
    "assignPhoneNumber": {"direction": "inbound"},
}
OTHER: dict[str, dict[str, Any]] = {
    "placeOutboundCall": {"to_number": "+12025550102"},
    "assignPhoneNumber": {"direction": "both"},
}


@pytest.fixture
def app(world: World) -> Litestar:
    """With a media server: a call in a browser needs one."""
    settings = world.settings.model_copy(update={"livekit_url": "wss://livekit.bolti.test"})
    roomy = attrs.evolve(world, media=FakeMedia(), settings=settings)
    return build_app(roomy, rate=RatePolicy(burst=100_000, window_seconds=1))


def posts() -> list[Operation]:
    return [each for each in load_contract().operations.values() if each.method == "POST"]


def keyed() -> list[Operation]:
    return [each for each in posts() if each.takes_idempotency_key]


def test_every_post_that_creates_or_dials_takes_a_key() -> None:
    assert {each.id for each in posts()} - {each.id for each in keyed()} == NOT_KEYED


def test_every_operation_with_a_key_documents_what_may_come_of_it() -> None:
    document = load_contract().document
    for operation in keyed():
        answers = document["paths"][operation.path]["post"]["responses"]
        assert {"409", "422"} <= set(answers), operation.id
        success = answers[min(code for code in answers if code[0] == "2")]
        assert "Idempotency-Replayed" in success["headers"], operation.id


def test_nothing_but_a_post_takes_a_key() -> None:
    assert [
        each.id for each in load_contract().operations.values() if each.takes_idempotency_key
    ] == [each.id for each in keyed()]


def _bodies(
    operation: Operation, request: Asked, ids: dict[str, str]
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """(a body, another one that is valid too)."""
    if operation.body is None:
        return None, {"a body": "where none belongs"}
    body = BODIES.get(operation.id, request.body)
    if operation.id == "assignPhoneNumber":
        body = {**body, "number_id": ids["number_id"]}
    if operation.id in OTHER:
        return body, {**body, **OTHER[operation.id]}
    if "phone_number" in body:
        return body, {**body, "phone_number": "+12025550143"}
    for name in body:
        other = {key: value for key, value in body.items() if key != name}
        if operation.body.is_valid(other):
            return body, other
    raise AssertionError(f"{operation.id}: name another valid body in OTHER")


async def _send(
    client: httpx2.AsyncClient, request: Asked, body: dict[str, Any] | None, key: str
) -> httpx2.Response:
    headers = {"Idempotency-Key": key}
    if body is not None:
        headers["Content-Type"] = "application/json"
    content = None if body is None else json.dumps(body).encode()
    return await client.post(request.path, content=content, headers=headers)


@pytest.mark.parametrize("operation", keyed(), ids=lambda operation: operation.id)
async def test_the_same_key_has_one_effect_and_another_body_none(
    client: httpx2.AsyncClient, world: World, home: Home, operation: Operation
) -> None:
    ids = await furnish(world, client, home.workspace_id)
    request = asked(operation, "current", ids)
    body, other = _bodies(operation, request, ids)
    before = await everything(world)
    first = await _send(client, request, body, "k1")
    assert first.status_code in (201, 202), first.text
    assert "idempotency-replayed" not in first.headers
    after = await everything(world)
    assert after != before, "an operation without an effect needs no key"

    again = await _send(client, request, body, "k1")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    for name in ("location", "etag"):
        assert again.headers.get(name) == first.headers.get(name)
    assert await everything(world) == after

    mismatch = await _send(client, request, other, "k1")
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency_mismatch")
    assert await everything(world) == after

    fresh = await _send(client, request, body, "k2")
    assert "idempotency-replayed" not in fresh.headers
