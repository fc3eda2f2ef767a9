"""The tenant matrix, made from the contract: every operation × every way not to be allowed. Nothing changes by any."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import EVERY_SCOPE, Home, MoveTime, client_for
from tests.server.support.tenants import (
    NUMBERED,
    PREFIXES,
    asked,
    everything,
    furnish,
    guarded_operations,
    without_names,
)

from bolti_server.base.crypto import make_token
from bolti_server.bootstrap.web import build_app
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.workspaces.creating import create_api_key
from bolti_server.world import World


@pytest.fixture
def app(world: World) -> Litestar:
    """A matrix asks more often than a key may."""
    return build_app(world, rate=RatePolicy(burst=100_000, window_seconds=1))


async def key_of(world: World, workspace_id: str, scopes: list[str], **more: datetime) -> str:
    async with world.db.transaction() as tx:
        made = await create_api_key(
            tx, world.vault, workspace_id, name="matrix", scopes=scopes, **more
        )
    return made.token


async def test_without_a_working_key_every_operation_is_401(
    app: Litestar,
    world: World,
    client: httpx2.AsyncClient,
    home: Home,
    move_time: MoveTime,
) -> None:
    ids = await furnish(world, client, home.workspace_id)
    revoked = await key_of(world, home.workspace_id, EVERY_SCOPE)
    expired = await key_of(
        world, home.workspace_id, EVERY_SCOPE, expires_at=datetime(2100, 1, 1, tzinfo=UTC)
    )
    keys = (await client.get("/workspaces/current/api-keys")).json()["data"]
    gone = next(each["id"] for each in keys if each["token_hint"].endswith(revoked[-4:]))
    assert (await client.delete(f"/workspaces/current/api-keys/{gone}")).status_code == 204
    before = await everything(world)
    await move_time(80 * 366 * 86_400)
    before["bolti_clock"] = (await everything(world))["bolti_clock"]
    unknown = make_token("bolti_sk_")
    for name, token in (
        ("none", None),
        ("unknown", unknown),
        ("revoked", revoked),
        ("expired", expired),
    ):
        async with client_for(app, token) as stranger:
            for operation in guarded_operations():
                for workspace_id in ("current", home.workspace_id):
                    answer = await asked(operation, workspace_id, ids).send(stranger)
                    assert answer.status_code == 401, (name, operation.id, answer.text)
    assert await everything(world) == before


async def test_another_workspaces_key_finds_nothing(
    app: Litestar, world: World, client: httpx2.AsyncClient, home: Home, other_home: Home
) -> None:
    ids = await furnish(world, client, home.workspace_id)
    before = await everything(world)
    async with client_for(app, other_home.api_key) as other:
        for operation in guarded_operations():
            answer = await asked(operation, home.workspace_id, ids).send(other)
            missing = await asked(operation, "ws_01kavqm3t8e6zb2c4d5f7g9h0w", {}).send(other)
            assert answer.status_code == missing.status_code == 404, (operation.id, answer.text)
            assert without_names(answer) == without_names(missing)
    assert await everything(world) == before


async def test_another_workspaces_id_is_an_id_that_does_not_exist(
    app: Litestar, world: World, client: httpx2.AsyncClient, home: Home, other_home: Home
) -> None:
    """Own workspace in the path, one of the others' ids in it; the rest of the path is one's own, where there is such."""
    async with client_for(app, other_home.api_key) as other:
        theirs = await furnish(world, other, other_home.workspace_id)
    own = await furnish(world, client, home.workspace_id)
    assert set(theirs) == set(PREFIXES)
    before = await everything(world)
    tried = 0
    for operation in guarded_operations():
        for name in set(operation.path_patterns) - {"workspace_id", *NUMBERED}:
            answer = await asked(operation, "current", {**own, name: theirs[name]}).send(client)
            missing = await asked(operation, "current", {**own, name: ""}).send(client)
            assert answer.status_code == missing.status_code == 404, (
                operation.id,
                name,
                answer.text,
            )
            assert without_names(answer) == without_names(missing), (operation.id, name)
            tried += 1
    assert tried >= 20
    assert await everything(world) == before


async def test_a_key_without_the_scope_is_403_and_names_it(
    app: Litestar, world: World, client: httpx2.AsyncClient, home: Home
) -> None:
    ids = await furnish(world, client, home.workspace_id)
    operations = guarded_operations()
    keys = {
        scope: await key_of(
            world, home.workspace_id, [each for each in EVERY_SCOPE if each != scope]
        )
        for scope in {str(each.scope) for each in operations}
    }
    before = await everything(world)
    for operation in operations:
        async with client_for(app, keys[str(operation.scope)]) as narrow:
            answer = await asked(operation, "current", ids).send(narrow)
            assert answer.status_code == 403, (operation.id, answer.text)
            assert answer.json()["required_scope"] == operation.scope
    assert await everything(world) == before


def test_every_operation_but_health_needs_a_key_and_a_scope() -> None:
    operations = guarded_operations()
    assert len(operations) >= 35
    assert all(each.scope in EVERY_SCOPE for each in operations)
