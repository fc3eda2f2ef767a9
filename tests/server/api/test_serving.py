"""`serve`: what it refuses to start with, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.server.conftest import WORKER_TOKEN, Home
from tests.server.support.waiting import until

from bolti_server.base.settings import Settings
from bolti_server.bootstrap.web import build_app
from bolti_server.entrypoints.serve import STOP_SECONDS, HttpServer, complaints_about
from bolti_server.world import World

GOOD: dict[str, Any] = {
    "database_url": "postgresql://bolti@db.internal/bolti",
    "secret_key": "b7Qf0sZk2LhXw9RtYp4Nc6Vm8Jd1Ga3Ue5",
    "worker_token": "q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7",
    "public_url": "https://bolti.example.com",
}


def complaints(**changed: Any) -> list[str]:
    given = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    return complaints_about(Settings(**given))


def test_good_settings_start() -> None:
    assert complaints() == []
    assert complaints(public_url="http://localhost:8000") == []


@pytest.mark.parametrize(
    ("changed", "variable"),
    [
        ({"database_url": None}, "BOLTI_DATABASE_URL"),
        ({"database_url": "sqlite:///bolti.db"}, "BOLTI_DATABASE_URL"),
        ({"secret_key": None}, "BOLTI_SECRET_KEY"),
        ({"secret_key": "secret"}, "BOLTI_SECRET_KEY"),
        ({"secret_key": "a" * 64}, "BOLTI_SECRET_KEY"),
        ({"worker_token": None}, "BOLTI_WORKER_TOKEN"),
        ({"worker_token": "changeme" * 2}, "BOLTI_WORKER_TOKEN"),
        ({"worker_token": GOOD["secret_key"]}, "BOLTI_WORKER_TOKEN"),
        ({"public_url": None}, "BOLTI_PUBLIC_URL"),
        ({"public_url": "bolti.example.com"}, "BOLTI_PUBLIC_URL"),
        ({"public_url": "http://bolti.example.com"}, "BOLTI_PUBLIC_URL"),
    ],
)
def test_a_missing_or_dangerous_setting_is_named_with_what_to_do(
    changed: dict[str, Any], variable: str
) -> None:
    found = complaints(**changed)
    assert len(found) == 1
    assert variable in found[0]


def test_all_that_is_wrong_is_told_at_once_and_no_secret_is_repeated() -> None:
    found = complaints(database_url=None, secret_key="hunter2", worker_token=None, public_url=None)
    assert len(found) == 4
    assert "hunter2" not in " ".join(found)


@contextlib.asynccontextmanager
async def a_listener() -> AsyncIterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener


async def test_open_streams_and_long_polls_do_not_hold_up_the_stop(
    world: World, home: Home
) -> None:
    app = build_app(world)
    async with a_listener() as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {home.api_key}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
            server = HttpServer(app, listener)
            await server.__aenter__()
            poll = asyncio.create_task(
                client.post(
                    "/internal/claim",
                    json={
                        "worker_id": "worker_01kavqm3t8e6zb2c4d5f7g9h6q",
                        "name": "w",
                        "capacity": 1,
                    },
                    headers={
                        "Authorization": f"Bearer {WORKER_TOKEN}",
                        "Bolti-Worker-Protocol": "1",
                    },
                )
            )
            events = client.stream(
                "GET", "/workspaces/current/events", headers={"Accept": "text/event-stream"}
            )
            async with events as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")

                async def polls() -> bool:
                    return bool(world.wakeups._listeners.get("claimable"))

                await until(polls, what="the long poll")
                assert not poll.done()
                began = time.monotonic()
                stop = asyncio.create_task(server.__aexit__(None, None, None))
                async for _ in stream.aiter_bytes():
                    pass
                await stop
            assert time.monotonic() - began < STOP_SECONDS, "it did not wait for its time-out"
            assert (await poll).status_code == 200
            with pytest.raises(httpx2.ConnectError):
                await client.get("/health")


async def test_background_jobs_run_while_the_server_does(world: World, home: Home) -> None:
    async with a_listener() as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {home.api_key}"}
        async with (
            HttpServer(build_app(world), listener),
            httpx2.AsyncClient(base_url=url, headers=headers, timeout=30) as client,
        ):
            made = await client.post(
                "/workspaces/current/webhook-endpoints",
                json={"url": "http://127.0.0.1:40009/nobody", "event_types": ["test.ping"]},
            )
            path = f"/workspaces/current/webhook-endpoints/{made.json()['id']}"
            await client.post(f"{path}/test")

            async def tried() -> bool:
                found = (await client.get(f"{path}/deliveries")).json()["data"]
                return bool(found and found[0]["attempts"])

            await until(tried, seconds=20, what="the delivery")


async def test_a_lifespan_that_fails_is_told_to_whoever_starts_the_server(world: World) -> None:
    app = build_app(world)

    @contextlib.asynccontextmanager
    async def failing(_app: object) -> AsyncIterator[None]:
        raise ZeroDivisionError
        yield

    app._lifespan_managers = [failing]
    async with a_listener() as listener:
        with pytest.raises(ExceptionGroup):
            async with HttpServer(app, listener):
                pass
