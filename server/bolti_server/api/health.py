"""`GET /health`: whether the server can do its work, told within CHECK_SECONDS whatever the database does."""

from __future__ import annotations

import asyncio

import asyncpg
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler

from bolti_server import __version__
from bolti_server.base.logging import get_logger
from bolti_server.contract import structs
from bolti_server.web.responses import json_response
from bolti_server.world import World

CHECK_SECONDS = 2.0

log = get_logger("health")


@get("/health", operation_id="getHealth")
async def get_health(world: NamedDependency[World]) -> Response[bytes]:
    if await _is_database_reached(world):
        return json_response(structs.Health(status="ok", version=__version__, database="ok"))
    health = structs.Health(status="degraded", version=__version__, database="unavailable")
    return json_response(health, 503, {"Retry-After": "1"})


ROUTES: list[HTTPRouteHandler] = [get_health]


async def _is_database_reached(world: World) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await world.db.fetchval("select 1")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.warning("health_degraded", error=repr(error))
        return False
    return True
