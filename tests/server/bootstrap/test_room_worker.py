"""What the worker for rooms counts on inside livekit-agents, which is pinned: an upgrade has to keep it, or change us."""

from __future__ import annotations

import asyncio
import logging
import pickle
from pathlib import Path
from typing import Any, cast

import pytest
from livekit.agents import AgentServer
from livekit.protocol import agent

from bolti_server.bootstrap.room_worker import RoomWorker
from bolti_server.bootstrap.worker_settings import Stopping, WorkerSettings
from bolti_server.worker_api.messages import RoomWorker as RoomWorkerState


def settings(tmp_path: Path, **changes: Any) -> WorkerSettings:
    return WorkerSettings(
        worker_token="token",
        data_dir=tmp_path,
        livekit_url="ws://127.0.0.1:9",
        livekit_api_key="key",
        livekit_api_secret="secret-of-the-tests-0123456789abcdef",
        worker_warm=0,
        **changes,
    )


class Jobs:
    """Stands where the pool of processes does: so many calls run."""

    def __init__(self, count: int) -> None:
        self.processes = [Job() for _ in range(count)]


class Job:
    running_job = object()


def with_calls(worker: RoomWorker, count: int, *, reserved: int = 0) -> Any:
    server = cast(Any, worker)._server
    server._proc_pool = Jobs(count)
    server._reserved_slots = reserved
    server._draining = False
    server._devmode = False
    return server


async def test_a_worker_takes_calls_until_its_places_are_full(tmp_path: Path) -> None:
    worker = RoomWorker(settings(tmp_path, worker_capacity=3), lambda: 0)

    assert with_calls(worker, 0)._is_available()
    assert with_calls(worker, 0, reserved=2)._is_available(), "a burst is not held to what is warm"
    assert with_calls(worker, 2)._is_available()
    assert not with_calls(worker, 2, reserved=1)._is_available()
    assert not with_calls(worker, 3)._is_available()
    assert worker.calls == 3


async def test_simulated_calls_take_places_too(tmp_path: Path) -> None:
    worker = RoomWorker(settings(tmp_path, worker_capacity=3), lambda: 2)

    assert with_calls(worker, 0)._is_available()
    assert not with_calls(worker, 1)._is_available()


async def test_a_draining_worker_takes_none(tmp_path: Path) -> None:
    worker = RoomWorker(settings(tmp_path), lambda: 0)
    server = with_calls(worker, 0)
    server._draining = True

    assert not server._is_available()


async def test_what_a_process_is_started_with_can_be_sent_to_it(tmp_path: Path) -> None:
    worker = RoomWorker(settings(tmp_path), lambda: 0)
    server = cast(Any, worker)._server

    entrypoint, prewarm = pickle.loads(pickle.dumps((server._entrypoint_fnc, server._setup_fnc)))

    assert entrypoint.args[0].worker_token == prewarm.args[0].worker_token == "token"


async def test_before_it_has_connected_it_says_that_it_is_not_registered(tmp_path: Path) -> None:
    worker = RoomWorker(settings(tmp_path), lambda: 0)

    assert worker.state == RoomWorkerState(
        url="ws://127.0.0.1:9", is_registered=False, warm=0, warm_wanted=0
    )


async def test_a_livekit_that_is_away_is_tried_for_ever_told_once_and_left_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = RoomWorker(settings(tmp_path), lambda: 0)
    with caplog.at_level(logging.WARNING, "livekit.agents"):
        running = asyncio.create_task(worker.run())
        outage = cast(Any, worker)._outage
        async with asyncio.timeout(30):
            while not outage.is_told:
                await asyncio.sleep(0.01)
        stopping = Stopping()
        stopping.stop(0)
        await asyncio.wait_for(worker.drain(stopping), 10)
        await worker.aclose()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert not any("failed to connect" in record.message for record in caplog.records)
    assert list((tmp_path / "worker").glob("drain-*")) == []


async def test_a_call_that_the_media_server_takes_for_its_predecessor_is_not_cancelled(
    tmp_path: Path,
) -> None:
    worker = RoomWorker(settings(tmp_path), lambda: 0)
    server = with_calls(worker, 1)
    assert "_handle_termination" in vars(AgentServer), "what we override is still called so"

    # A pool that is asked for the job would fail here: it has no such method.
    await server._handle_termination(agent.JobTermination(job_id="AJ_of_the_successor"))

    assert worker.calls == 1
