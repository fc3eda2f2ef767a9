"""A whole worker in this process, against the real app over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from litestar import Litestar
from tests.server.conftest import BASE_URL, WORKER_TOKEN
from tests.server.support.calls_public import Desk
from tests.server.support.waiting import until

from bolti_server.bootstrap.worker import Stopping, Worker, WorkerSettings, build_models
from bolti_server.voice.models import Models
from bolti_server.worker_api.client import WorkerClient


@asynccontextmanager
async def running(
    app: Litestar, folder: Path, models: Models | None = None, **settings: Any
) -> AsyncIterator[None]:
    """Without `models`, one whose voices are not started: text needs none."""
    worker_settings = WorkerSettings(
        internal_url=BASE_URL,
        worker_token=WORKER_TOKEN,
        data_dir=folder,
        worker_drain_seconds=0.0,
        **settings,
    )
    client = WorkerClient(BASE_URL, WORKER_TOKEN, httpx2.ASGITransport(app=app))
    stopping = Stopping()
    worker = Worker(worker_settings, client, models or build_models())
    task = asyncio.create_task(worker.run(stopping))
    try:
        yield
    finally:
        stopping.stop(0.0)
        await asyncio.wait_for(task, 30)
        await client.aclose()


async def ended(desk: Desk, conversation_id: str, *, seconds: float = 20) -> dict[str, Any]:
    """Its record, when it is over."""

    async def look() -> dict[str, Any] | None:
        conversation = await desk.conversation(conversation_id)
        return conversation if conversation["hangup"] else None

    found = await until(look, seconds=seconds, what="the end of the call")
    assert found is not None
    return found
