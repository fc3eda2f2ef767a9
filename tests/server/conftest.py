"""A real PostgreSQL, a World on a database of its own for each test, and the app over ASGI.

Whatever a test did, the invariants of every slice hold afterwards, or the test fails.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import attrs
import httpx2
import pytest
from litestar import Litestar
from tests.server.support.conforming import conforming
from tests.server.support.databases import TestDatabases
from tests.server.support.invariants import broken_invariants

from bolti_server.base.settings import Settings
from bolti_server.billing import ledger
from bolti_server.bootstrap.web import build_app, open_world
from bolti_server.contract import structs
from bolti_server.workspaces.creating import create_api_key, create_organization
from bolti_server.world import World

WORKER_TOKEN = "worker-token-of-the-tests"
BASE_URL = "http://bolti.test"
EVERY_SCOPE = [scope.value for scope in structs.Scope]

MoveTime = Callable[[float], Awaitable[None]]


@attrs.frozen
class Home:
    """A workspace of its own organization, with money on both ledgers and a key that may do everything."""

    organization_id: str
    workspace_id: str
    api_key: str


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """livekit-agents writes LIVEKIT_URL, key and secret of a running worker into this process's environment, for the
    processes it starts. In the next test a server would have a media server by that."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestDatabases]:
    made = TestDatabases(tmp_path_factory.mktemp("postgres"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def database_url(databases: TestDatabases) -> AsyncIterator[str]:
    """A fresh, migrated database."""
    dsn = await databases.create()
    yield dsn
    await databases.drop(dsn)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        secret_key="secret-key-of-the-tests-0123456789abcdef",
        worker_token=WORKER_TOKEN,
        internal_url=BASE_URL,
        public_url=BASE_URL,
        is_private_delivery_allowed=True,
    )


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    """The real World on the test's database. Background jobs do not run by themselves: a test runs their batches."""
    async with open_world(settings) as opened:
        yield opened
    assert settings.database_url is not None
    broken = await broken_invariants(settings.database_url)
    assert not broken, "invariants that do not hold:\n" + "\n".join(broken)


@pytest.fixture
def app(world: World) -> Litestar:
    return build_app(world)


@pytest.fixture
async def home(world: World) -> Home:
    return await make_home(world)


@pytest.fixture
async def other_home(world: World) -> Home:
    """Another organization's workspace: what it has is invisible from `home`, and the reverse."""
    return await make_home(world)


async def make_home(world: World) -> Home:
    async with world.db.transaction() as tx:
        made = await create_organization(tx, name="Home")
        await ledger.open_ledgers(tx, made.organization_id, live_grant_micros=300_000_000)
        key = await create_api_key(
            tx, world.vault, made.workspace_id, name="tests", scopes=EVERY_SCOPE
        )
    return Home(made.organization_id, made.workspace_id, key.token)


def client_for(app: Litestar, api_key: str | None = None) -> httpx2.AsyncClient:
    """Every answer is held against the contract (support/conforming.py)."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app),
        base_url=BASE_URL,
        headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
        timeout=30,
        event_hooks={"response": [conforming]},
    )


@pytest.fixture
async def anonymous(app: Litestar) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_for(app) as client:
        yield client


@pytest.fixture
async def client(app: Litestar, home: Home) -> AsyncIterator[httpx2.AsyncClient]:
    """Has the key of `home`."""
    async with client_for(app, home.api_key) as client:
        yield client


@pytest.fixture
def move_time(database_url: str) -> MoveTime:
    """Moves `bolti_now()` of the test's database forward by so many seconds."""

    async def move(seconds: float) -> None:
        connection = await asyncpg.connect(database_url, timeout=10)
        try:
            await connection.execute(
                "update bolti_clock set clock_offset = clock_offset + make_interval(secs => $1)",
                float(seconds),
            )
        finally:
            await connection.close()

    return move
