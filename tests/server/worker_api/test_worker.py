"""A whole worker against the real app over ASGI: what a user of the API sees of its calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import BASE_URL, WORKER_TOKEN, Home
from tests.server.support.calls_public import Desk, make_desk
from tests.server.support.waiting import until

from bolti_server.bootstrap.worker import run_worker
from bolti_server.bootstrap.worker_settings import Stopping, WorkerSettings
from bolti_server.world import World

GOODBYE = {
    "provider": "simulated",
    "rules": [
        {"hear": "appointment", "say": "It is booked. Goodbye.", "tool": {"name": "cut_call"}}
    ],
}
AGENT: dict[str, Any] = {
    "first_message": "Hello {{ name }}.",
    "built_in_tools": ["cut_call"],
    "stt": {"provider": "simulated"},
    "llm": GOODBYE,
    "tts": {"provider": "simulated"},
}


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id, **AGENT)


@pytest.fixture
def worker_settings(tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(
        internal_url=BASE_URL,
        worker_token=WORKER_TOKEN,
        data_dir=tmp_path / "worker",
        worker_capacity=4,
        worker_drain_seconds=0.0,
    )


@asynccontextmanager
async def running(settings: WorkerSettings, app: Litestar) -> AsyncIterator[Stopping]:
    """A worker in this process; leaving drains it."""
    stopping = Stopping()
    transport = httpx2.ASGITransport(app=app)
    task = asyncio.create_task(run_worker(settings, stopping, transport))
    try:
        yield stopping
    finally:
        stopping.stop(settings.worker_drain_seconds)
        await asyncio.wait_for(task, 60)


async def ended(desk: Desk, conversation_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        conversation = await desk.conversation(conversation_id)
        return conversation if conversation["hangup"] else None

    found = await until(look, seconds=40, what="the end of the call")
    assert found is not None
    return found


async def test_a_call_placed_over_the_api_is_talked_and_told_to_its_end(
    desk: Desk, app: Litestar, worker_settings: WorkerSettings
) -> None:
    async with running(worker_settings, app):
        conversation_id = await desk.placed(variable_values={"name": "Asha"})
        conversation = await ended(desk, conversation_id)

        async def recording() -> bool:
            return (await desk.conversation(conversation_id))["recording_status"] == "available"

        await until(recording, seconds=10, what="the recording")

    assert (conversation["status"], conversation["hangup"]["code"]) == ("completed", "agent_hangup")
    assert [(turn["role"], turn["text"]) for turn in conversation["transcript"]] == [
        ("agent", "Hello Asha."),
        ("user", "Hi. I would like to book an appointment for tomorrow, please."),
        ("agent", "It is booked. Goodbye."),
    ]
    assert conversation["transcript"][2]["tool_calls"][0]["name"] == "cut_call"
    assert conversation["latency"]["first_audio_ms"] <= 300
    assert conversation["duration_seconds"] >= 5
    assert {item["component"] for item in conversation["usage"]} == {"stt", "llm", "tts"}
    assert list(worker_settings.spool_root.iterdir()) == []


async def test_a_draining_worker_says_goodbye_and_leaves_nothing_behind(
    desk: Desk, app: Litestar, worker_settings: WorkerSettings
) -> None:
    async with running(worker_settings, app):
        conversation_id = await desk.placed("+12025550109", variable_values={"name": "Asha"})

        async def has_greeted() -> bool:
            return bool((await desk.conversation(conversation_id))["transcript"])

        await until(has_greeted, seconds=20, what="the greeting")

    conversation = await desk.conversation(conversation_id)
    assert conversation["hangup"]["code"] == "agent_lost"
    assert conversation["answered_at"] is not None
    assert conversation["transcript"][-1]["text"].startswith("I am sorry, I have to end this call")
    assert list(worker_settings.spool_root.iterdir()) == []


async def test_calls_that_are_not_answered_end_with_their_code(
    desk: Desk, app: Litestar, worker_settings: WorkerSettings
) -> None:
    async with running(worker_settings, app):
        placed = {
            number: await desk.placed(number, variable_values={"name": "Asha"})
            for number in ("+12025550101", "+12025550103", "+12025550104")
        }
        codes = {
            number: (await ended(desk, conversation_id))["hangup"]["code"]
            for number, conversation_id in placed.items()
        }

    assert list(codes.values()) == ["busy", "declined", "invalid_number"]


async def test_a_worker_that_is_told_to_stop_lets_its_calls_finish_within_the_grace(
    desk: Desk, app: Litestar, worker_settings: WorkerSettings
) -> None:
    async with running(worker_settings, app) as stopping:
        conversation_id = await desk.placed(variable_values={"name": "Asha"})

        async def is_answered() -> bool:
            return (await desk.conversation(conversation_id))["answered_at"] is not None

        await until(is_answered, seconds=20, what="the answer")
        stopping.stop(30)
        conversation = await ended(desk, conversation_id)

    assert conversation["hangup"]["code"] == "agent_hangup"
