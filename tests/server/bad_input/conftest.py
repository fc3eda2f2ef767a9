"""An agent that can call, and a worker that says what a test tells it to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import BASE_URL, Home
from tests.server.support.calls_public import Desk, make_desk
from tests.server.support.worker_side import ScriptedWorker

from bolti_server.world import World


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


@pytest.fixture
async def worker(app: Litestar) -> AsyncIterator[ScriptedWorker]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL, timeout=30) as http:
        yield ScriptedWorker(http)
