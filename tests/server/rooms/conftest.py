"""Calls in rooms of a media server in memory, whose agents say what a test tells them to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import attrs
import httpx2
import msgspec
import pytest
from litestar import Litestar
from tests.server.conftest import BASE_URL, Home, MoveTime
from tests.server.support.calls_public import Desk, make_desk
from tests.server.support.media import FakeMedia
from tests.server.support.worker_side import Leased, beat, run_deadlines

from bolti_server.calls import commands, dispatching, rescuing
from bolti_server.worker_api.messages import JobMetadata
from bolti_server.world import World


@pytest.fixture
def media() -> FakeMedia:
    return FakeMedia()


@pytest.fixture
async def world(world: World, media: FakeMedia) -> World:
    settings = world.settings.model_copy(update={"livekit_url": "ws://media.test"})
    return attrs.evolve(world, media=media, settings=settings)


@attrs.frozen
class Rooms:
    """The desk of a workspace whose calls go through rooms, and the agents that the media server was asked for."""

    world: World
    desk: Desk
    media: FakeMedia
    http: httpx2.AsyncClient

    async def placed(self, **body: Any) -> str:
        """The id of a call to the simulated network by a room."""
        return await self.desk.placed(simulation={"line": "room"}, **body)

    async def dispatched(self, **body: Any) -> Leased:
        """A call that was placed, and the agent that was sent for it."""
        await self.placed(**body)
        assert await dispatching.dispatch_agents(self.world) == 1
        return self.sent()

    async def at(self, status: str, **body: Any) -> Leased:
        """A call that its first agent has brought so far; from `dialing` on the callee is in the room."""
        agent = await self.dispatched(**body)
        await agent.reach(status)
        if status != "queued":
            self.media.join(
                agent.conversation_id, "active" if status == "in_progress" else "ringing"
            )
        await beat(self.world, agent)
        return agent

    def sent(self) -> Leased:
        """The agent that was asked for last."""
        _, metadata = self.media.sent[-1]
        job = msgspec.json.decode(metadata, type=JobMetadata)
        assert job.conversation_id is not None
        assert job.token is not None
        return Leased(self.http, job.conversation_id, job.epoch, job.token)


@pytest.fixture
async def rooms(
    app: Litestar, world: World, media: FakeMedia, client: httpx2.AsyncClient, home: Home
) -> AsyncIterator[Rooms]:
    desk = await make_desk(world, client, home.workspace_id)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL, timeout=30) as http:
        yield Rooms(world, desk, media, http)


async def cut(world: World, agent: Leased, move_time: MoveTime) -> None:
    """The process of the agent is killed: its heartbeat breaks, and a second later it counts as lost."""
    gone = asyncio.Event()
    gone.set()
    await commands.poll_commands(
        world, agent.conversation_id, agent.epoch, after=0, gone=gone, wait_seconds=5
    )
    await move_time(1.05)
    await run_deadlines(world)


async def killed(world: World, agent: Leased, move_time: MoveTime) -> None:
    """The same, and the room was looked into."""
    await cut(world, agent, move_time)
    await rescuing.look_into_rooms(world)


async def browser_call(rooms: Rooms, world: World) -> Leased:
    answer = await rooms.desk.client.post(f"{rooms.desk.agent_path}/web-call", json={})
    assert answer.status_code == 201, answer.text
    assert await dispatching.dispatch_agents(world) == 1
    return rooms.sent()
