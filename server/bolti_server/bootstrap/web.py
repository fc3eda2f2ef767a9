"""The web process: what of the outside is real, and which work goes on in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from bolti_server.api import app as api
from bolti_server.base.clock import SystemClock
from bolti_server.base.crypto import Vault
from bolti_server.base.db import Database, spawn
from bolti_server.base.due import DueJob, run_due_jobs
from bolti_server.base.http import GuardedHttp
from bolti_server.base.settings import Settings
from bolti_server.base.storage import ObjectStore
from bolti_server.base.wakeups import Wakeups
from bolti_server.bootstrap.media import open_media
from bolti_server.calls import jobs as calls
from bolti_server.numbers import jobs as numbers
from bolti_server.web.edge import Api
from bolti_server.web.expiring import expiry_job
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.webhooks import jobs as webhooks
from bolti_server.world import World


@asynccontextmanager
async def open_world(settings: Settings) -> AsyncIterator[World]:
    """The real world: connects to the database and opens the object store; closes them in order.

    Raises OSError or asyncpg.PostgresError when the database can't be reached.
    """
    assert settings.database_url, "a server needs BOLTI_DATABASE_URL"
    wakeups = Wakeups()
    objects = ObjectStore.open(settings.object_store)
    db = await Database.open(settings.database_url, wake=wakeups.wake)
    http = GuardedHttp(allows_private=settings.is_private_delivery_allowed)
    try:
        async with open_media(settings) as media:
            yield World(
                settings=settings,
                clock=SystemClock(),
                db=db,
                http=http,
                media=media,
                objects=objects,
                vault=Vault(settings.secret_key),
                wakeups=wakeups,
            )
    finally:
        wakeups.stop()
        await http.close()
        await db.close()


def background_jobs(world: World) -> list[DueJob]:
    """Everything that a server does without being asked. Any number of servers may do it side by side."""
    return [
        *calls.due_jobs(world),
        *numbers.due_jobs(world),
        *webhooks.due_jobs(world),
        expiry_job(world),
    ]


def build_app(world: World, *, rate: RatePolicy | None = None) -> Api:
    """The app; its background jobs run from the server's start-up to its shut-down (ASGI lifespan)."""

    @asynccontextmanager
    async def run_background_jobs(_app: Litestar) -> AsyncIterator[None]:
        jobs = spawn(
            run_due_jobs(background_jobs(world), world.clock, world.wakeups), name="due jobs"
        )
        try:
            yield
        finally:
            world.wakeups.stop()
            jobs.cancel()  # a batch that runs may finish (base.due)
            await asyncio.wait({jobs})

    return api.build_app(world, rate=rate, lifespan=[run_background_jobs])
