"""GET /health."""

from __future__ import annotations

import attrs
import httpx2
from tests.server.conftest import client_for

from bolti_server.base.db import Database
from bolti_server.bootstrap.web import build_app
from bolti_server.world import World


class UnreachableDatabase(Database):
    def __init__(self) -> None:
        pass

    async def fetchval(self, sql: str, *args: object) -> object:
        raise ConnectionRefusedError("nobody listens")


async def test_a_server_that_reaches_its_database_is_well(anonymous: httpx2.AsyncClient) -> None:
    answer = await anonymous.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": "0.1.0", "database": "ok"}


async def test_a_server_without_its_database_says_so(world: World) -> None:
    app = build_app(attrs.evolve(world, db=UnreachableDatabase()))
    async with client_for(app) as anonymous:
        answer = await anonymous.get("/health")
    assert answer.status_code == 503
    assert answer.json()["status"] == "degraded"
    assert answer.headers["retry-after"] == "1"
