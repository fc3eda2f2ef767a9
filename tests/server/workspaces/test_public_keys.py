"""Public keys: bound to origins, good for browser calls alone, and from which pages they may be used (CORS)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import EVERY_SCOPE, Home, MoveTime, client_for
from tests.server.support.calls_public import Desk, faults, make_desk, traces
from tests.server.support.media import FakeMedia
from tests.server.support.tenants import asked, everything, furnish, guarded_operations
from tests.server.support.waiting import until

from bolti_server.bootstrap.web import build_app
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.world import World

KEYS = "/workspaces/current/api-keys"
PAGE = "https://www.example.com"
ELSEWHERE = "https://evil.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}


@pytest.fixture
def app(world: World) -> Litestar:
    settings = world.settings.model_copy(update={"livekit_url": "wss://livekit.bolti.test"})
    roomy = attrs.evolve(world, media=FakeMedia(), settings=settings)
    return build_app(roomy, rate=RatePolicy(burst=100_000, window_seconds=1))


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


async def made(client: httpx2.AsyncClient, *origins: str, **body: Any) -> dict[str, Any]:
    """A public key; those of the tests are for PAGE where nothing else is said."""
    body = {"name": "site", "kind": "public", "origins": list(origins or (PAGE,)), **body}
    answer = await client.post(KEYS, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
async def key(client: httpx2.AsyncClient) -> dict[str, Any]:
    return await made(client)


@pytest.fixture
async def page(app: Litestar, key: dict[str, Any]) -> AsyncIterator[httpx2.AsyncClient]:
    """A page of the key's origin, as a browser sends its requests."""
    async with client_for(app, key["token"]) as browser:
        browser.headers["Origin"] = PAGE
        yield browser


def web_call(desk: Desk) -> str:
    return f"/workspaces/current/agents/{desk.agent_id}/web-call"


def cors_of(answer: httpx2.Response) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.startswith("access-control-")}


# ---- making them ----


async def test_a_public_key_says_what_it_is(client: httpx2.AsyncClient) -> None:
    key = await made(client, PAGE, "http://localhost:3000")
    assert key["token"].startswith("bolti_pk_")
    assert key["token_hint"].startswith("bolti_pk_…")
    listed = (await client.get(KEYS)).json()["data"][0]
    assert "token" not in listed
    for shown in (key, listed):
        assert shown["kind"] == "public"
        assert shown["origins"] == [PAGE, "http://localhost:3000"]
        assert shown["scopes"] == ["web_calls:write"]


async def test_a_secret_key_has_no_origins(client: httpx2.AsyncClient) -> None:
    secret = (await client.post(KEYS, json={"name": "program"})).json()
    assert (secret["kind"], secret["origins"]) == ("secret", [])
    assert secret["token"].startswith("bolti_sk_")
    answer = await client.post(KEYS, json={"name": "program", "origins": [PAGE]})
    assert faults(answer) == {("/origins", "not_allowed")}


async def test_a_public_key_without_origins_is_refused(client: httpx2.AsyncClient) -> None:
    for body in ({}, {"origins": []}):
        answer = await client.post(KEYS, json={"name": "site", "kind": "public", **body})
        assert answer.status_code == 400
        assert faults(answer) == {("/origins", "required")}


async def test_a_public_key_is_given_no_other_scope(client: httpx2.AsyncClient) -> None:
    for scopes in (["calls:write"], ["web_calls:write", "agents:read"]):
        body = {"name": "site", "kind": "public", "origins": [PAGE], "scopes": scopes}
        answer = await client.post(KEYS, json=body)
        assert faults(answer) == {("/scopes", "not_allowed")}
    assert (await made(client, scopes=["web_calls:write"]))["scopes"] == ["web_calls:write"]


async def test_who_may_not_start_web_calls_makes_no_public_key(
    app: Litestar, client: httpx2.AsyncClient
) -> None:
    narrow = await client.post(KEYS, json={"name": "admin", "scopes": ["keys:write"]})
    async with client_for(app, narrow.json()["token"]) as admin:
        body = {"name": "site", "kind": "public", "origins": ["https://www.example.com/a"]}
        answer = await admin.post(KEYS, json=body)
    assert answer.status_code == 400, "the first that applies"
    assert {code for _, code in faults(answer)} == {"invalid", "insufficient_scope"}
    assert answer.json()["required_scope"] == "web_calls:write"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://www.example.com", "https://www.example.com"),
        ("https://WWW.Example.COM:443", "https://www.example.com"),
        ("https://shop.example.com:8443", "https://shop.example.com:8443"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("https://192.0.2.7", "https://192.0.2.7"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://localhost:80", "http://localhost"),
        ("http://app.localhost:5173", "http://app.localhost:5173"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
async def test_an_origin_is_kept_as_browsers_write_it(
    client: httpx2.AsyncClient, given: str, kept: str
) -> None:
    assert (await made(client, given))["origins"] == [kept]


async def test_an_origin_given_twice_is_kept_once(client: httpx2.AsyncClient) -> None:
    assert (await made(client, PAGE, PAGE.upper().replace("HTTPS", "https")))["origins"] == [PAGE]


@pytest.mark.parametrize(
    "origin",
    [
        "http://www.example.com",
        "http://localhost.example.com",
        "https://www.example.com/",
        "https://www.example.com/path",
        "https://www.example.com?x=1",
        "https://www.example.com#top",
        "https://user@www.example.com",
        "https://*.example.com",
        "https://www.example.com:99999",
        "https://-a.example",
        "https://a..example",
        "https://",
        "ftp://www.example.com",
        "www.example.com",
        "null",
        "*",
        "file:///index.html",
        "https://a b.example",
        "https://[::1",
        "",
    ],
)
async def test_what_is_no_origin_is_named(client: httpx2.AsyncClient, origin: str) -> None:
    body = {"name": "site", "kind": "public", "origins": [PAGE, origin]}
    answer = await client.post(KEYS, json=body)
    assert answer.status_code == 400, answer.text
    assert {pointer for pointer, _ in faults(answer)} == {"/origins/1"}


# ---- using them ----


async def test_a_page_of_its_origin_starts_a_web_call(page: httpx2.AsyncClient, desk: Desk) -> None:
    answer = await page.post(web_call(desk), json={})
    assert answer.status_code == 201, answer.text
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "Request-Id" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", [ELSEWHERE, None, "null", PAGE + ".evil.example", PAGE + ":444"])
async def test_from_anywhere_else_it_starts_none(
    page: httpx2.AsyncClient, desk: Desk, world: World, origin: str | None
) -> None:
    del page.headers["Origin"]
    headers = {} if origin is None else {"Origin": origin}
    before = await traces(world)
    answer = await page.post(web_call(desk), json={}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert not cors_of(answer)
    assert PAGE not in answer.text.replace(str(origin), ""), (
        "whose origins it has is nobody else's business"
    )
    assert await traces(world) == before


async def test_it_opens_nothing_but_web_calls(
    world: World,
    client: httpx2.AsyncClient,
    page: httpx2.AsyncClient,
    home: Home,
) -> None:
    ids = await furnish(world, client, home.workspace_id)
    before = await everything(world)
    tried = 0
    for operation in guarded_operations():
        if operation.id == "startWebCall":
            continue
        answer = await asked(operation, "current", ids).send(page)
        assert answer.status_code == 403, (operation.id, answer.text)
        assert answer.json()["required_scope"] == operation.scope
        assert not cors_of(answer), operation.id
        tried += 1
    assert tried >= 35
    assert await everything(world) == before


async def test_it_sees_no_other_workspace(
    page: httpx2.AsyncClient, world: World, app: Litestar, other_home: Home
) -> None:
    async with client_for(app, other_home.api_key) as other:
        theirs = await make_desk(world, other, other_home.workspace_id)
    assert (await page.post(web_call(theirs), json={})).status_code == 404
    path = web_call(theirs).replace("current", other_home.workspace_id)
    assert (await page.post(path, json={})).status_code == 404


async def test_a_revoked_public_key_stops_and_its_page_may_not_ask_any_more(
    page: httpx2.AsyncClient, client: httpx2.AsyncClient, key: dict[str, Any], desk: Desk
) -> None:
    assert (await page.options(web_call(desk), headers=PREFLIGHT)).headers[
        "access-control-allow-origin"
    ]
    await client.delete(f"{KEYS}/{key['id']}")

    async def stopped() -> bool:
        answer = await page.post(web_call(desk), json={})
        asking = await page.options(web_call(desk), headers=PREFLIGHT)
        return answer.status_code == 401 and not cors_of(asking)

    await until(stopped, seconds=1.0, what="the key's end")


# ---- CORS ----


async def test_a_preflight_of_a_keys_origin_is_told_what_it_may_send(
    page: httpx2.AsyncClient, desk: Desk
) -> None:
    del page.headers["Authorization"]
    for path in (web_call(desk), "/v1" + web_call(desk)):
        answer = await page.options(path, headers=PREFLIGHT)
        assert answer.status_code == 204
        assert cors_of(answer) == {
            "access-control-allow-origin": PAGE,
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "Authorization, Content-Type, Idempotency-Key, Request-Id",
            "access-control-max-age": "600",
        }
        assert "Origin" in answer.headers["vary"]


async def test_a_preflight_of_any_other_origin_is_told_nothing(
    page: httpx2.AsyncClient, desk: Desk
) -> None:
    for origin in (ELSEWHERE, "null", "*", "x" * 10_000, "https://www.example.com\u00e9"):
        headers = [("Origin", origin.encode("latin-1")), *PREFLIGHT.items()]
        del page.headers["Origin"]
        answer = await page.options(web_call(desk), headers=headers)
        page.headers["Origin"] = PAGE
        assert answer.status_code == 204
        assert not cors_of(answer)
        assert PAGE not in str(answer.headers)


async def test_a_preflight_for_another_method_is_told_nothing(
    page: httpx2.AsyncClient, desk: Desk
) -> None:
    headers = {**PREFLIGHT, "Access-Control-Request-Method": "GET"}
    assert not cors_of(await page.options(web_call(desk), headers=headers))


async def test_no_other_path_may_be_asked_from_a_page(
    page: httpx2.AsyncClient, desk: Desk, home: Home, app: Litestar
) -> None:
    agent = f"/workspaces/current/agents/{desk.agent_id}"
    for path in (agent, f"{agent}/outbound-call", KEYS, "/health", f"{web_call(desk)}/x"):
        assert not cors_of(await page.options(path, headers=PREFLIGHT)), path
    async with client_for(app, home.api_key) as program:
        answer = await program.get(agent, headers={"Origin": PAGE})
        assert answer.status_code == 200
        assert not cors_of(answer)


async def test_a_secret_key_is_of_no_use_in_a_page(
    client: httpx2.AsyncClient, key: dict[str, Any], desk: Desk
) -> None:
    """Its answer can't be read there, not even where a public key of the same origin exists."""
    answer = await client.post(web_call(desk), json={}, headers={"Origin": PAGE})
    assert answer.status_code == 201
    assert not cors_of(answer)
    assert "Origin" in answer.headers["vary"], "no cache may give it to a page"


async def test_a_page_can_read_why_it_was_refused(
    page: httpx2.AsyncClient, client: httpx2.AsyncClient, desk: Desk
) -> None:
    agent = f"/workspaces/current/agents/{desk.agent_id}"
    await client.patch(agent, json={"is_active": False})
    refused = await page.post(web_call(desk), json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "agent_inactive")
    broken = await page.post(web_call(desk), content=b"{", headers={"Content-Type": "text/plain"})
    unknown = await page.post(
        web_call(desk), json={}, headers={"Authorization": "Bearer bolti_pk_x"}
    )
    for answer, status in ((refused, 409), (broken, 415), (unknown, 401)):
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == PAGE


async def test_an_expired_keys_origin_is_no_origin_any_more(
    page: httpx2.AsyncClient, desk: Desk, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    await made(client, "https://soon.example", expires_at="2099-01-01T00:00:00Z")
    asking = {**PREFLIGHT, "Origin": "https://soon.example"}
    assert cors_of(await page.options(web_call(desk), headers=asking))
    await move_time(100 * 366 * 86_400)

    async def closed() -> bool:
        return not cors_of(await page.options(web_call(desk), headers=asking))

    await until(closed, seconds=2.0, what="the origin's end")


async def test_a_database_that_is_gone_opens_no_page(
    page: httpx2.AsyncClient, desk: Desk, world: World
) -> None:
    await world.db.close()
    asking = await page.options(web_call(desk), headers={**PREFLIGHT, "Origin": ELSEWHERE})
    assert asking.status_code == 204
    assert not cors_of(asking)


def test_the_scope_of_a_public_key_is_one_of_the_contract() -> None:
    assert "web_calls:write" in EVERY_SCOPE
