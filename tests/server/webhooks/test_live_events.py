"""The event log live, over a real HTTP server: nothing is lost, whenever the stream is cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import attrs
import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home
from tests.server.support.serving import serving
from tests.server.support.webhooks import log

from bolti_server.base.clock import SystemClock
from bolti_server.base.db import Database, spawn
from bolti_server.base.ids import new_id
from bolti_server.web.authentication import Caller
from bolti_server.webhooks.live import KEEP_ALIVE_SECONDS, Wanted, live_events
from bolti_server.world import World


@pytest.fixture
async def address(app: Litestar) -> AsyncIterator[str]:
    async with serving(app) as url:
        yield f"{url}/workspaces/current/events"


@attrs.frozen
class Frame:
    fields: dict[str, str]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.fields["data"])
        return found


@asynccontextmanager
async def listening(
    address: str, home: Home, *, last: str | None = None, **query: str
) -> AsyncIterator[AsyncIterator[Frame]]:
    """The events of a stream that is open when the block begins."""
    headers = {"Authorization": f"Bearer {home.api_key}", "Accept": "text/event-stream"}
    if last is not None:
        headers["Last-Event-ID"] = last
    async with (
        httpx2.AsyncClient(timeout=10) as client,
        client.stream("GET", address, headers=headers, params=query) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Request-Id"]
        async with aclosing(_frames(response)) as frames:
            yield frames


async def _frames(response: httpx2.Response) -> AsyncIterator[Frame]:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line:
            if "data" in fields:
                yield Frame(fields)
            fields = {}


async def take(frames: AsyncIterator[Frame], count: int) -> list[Frame]:
    async with asyncio.timeout(10):
        return [await anext(frames) for _ in range(count)]


async def the_end(frames: AsyncIterator[Frame]) -> None:
    """Returns when the server has ended the stream."""
    async with asyncio.timeout(3):
        async for frame in frames:
            raise AssertionError(f"there was another event: {frame}")


async def test_a_stream_gives_what_is_there_and_goes_on_live(
    world: World, home: Home, address: str
) -> None:
    first = await log(world, home)
    async with listening(address, home) as frames:
        [frame] = await take(frames, 1)
        assert frame.fields["id"] == first
        assert frame.fields["event"] == "conversation.ended"
        assert frame.event["id"] == first
        assert frame.event["data"]["object"]["id"].startswith("conv_")
        ids = [await log(world, home) for _ in range(3)]
        assert [each.fields["id"] for each in await take(frames, 3)] == ids


async def test_events_of_another_process_come_too(world: World, home: Home, address: str) -> None:
    # A process of its own would wake nobody here either.
    elsewhere = attrs.evolve(world, db=Database(world.db._pool, wake=lambda _topic: None))
    async with listening(address, home) as frames:
        event_id = await log(elsewhere, home)
        [frame] = await take(frames, 1)
        assert frame.fields["id"] == event_id


async def test_a_stream_can_be_filtered_and_started_anywhere(
    world: World, home: Home, address: str
) -> None:
    one = new_id("conv")
    ids = [await log(world, home, "conversation.turn", one) for _ in range(3)]
    await log(world, home, "conversation.turn")
    async with listening(
        address, home, after=ids[0], conversation_id=one, type="conversation.turn"
    ) as frames:
        assert [each.fields["id"] for each in await take(frames, 2)] == ids[1:]
        await log(world, home, "conversation.turn")
        await log(world, home, "conversation.ended", one)
        ids.append(await log(world, home, "conversation.turn", one))
        assert [each.fields["id"] for each in await take(frames, 1)] == ids[3:]


async def test_last_event_id_wins_over_after(world: World, home: Home, address: str) -> None:
    ids = [await log(world, home) for _ in range(3)]
    async with listening(address, home, last=ids[1], after=ids[0]) as frames:
        assert [each.fields["id"] for each in await take(frames, 1)] == [ids[2]]


async def test_other_workspaces_events_do_not_come(
    world: World, home: Home, other_home: Home, address: str
) -> None:
    async with listening(address, home) as frames:
        await log(world, other_home)
        mine = await log(world, home)
        assert [each.fields["id"] for each in await take(frames, 1)] == [mine]


async def test_nothing_is_lost_or_repeated_when_a_stream_is_cut_again_and_again_while_many_commit(
    world: World, home: Home, address: str
) -> None:
    writers, each_writes = 5, 30

    async def write(n: int) -> None:
        for _ in range(each_writes):
            await log(world, home, subject_id=f"conv_{n}")

    got: list[str] = []
    tasks = [spawn(write(n), name="writer") for n in range(writers)]
    pieces = iter([1, 7, 2, 20, 3, 11, 40, 5, 60, 1])
    while len(got) < writers * each_writes:
        wanted = min(next(pieces), writers * each_writes - len(got))
        async with listening(address, home, **({"last": got[-1]} if got else {})) as frames:
            got += [each.fields["id"] for each in await take(frames, wanted)]
    await asyncio.gather(*tasks)
    rows = await world.db.fetch("select id from events order by position")
    assert got == [row["id"] for row in rows]


async def test_a_long_log_comes_whole(world: World, home: Home, address: str) -> None:
    ids = [await log(world, home) for _ in range(230)]
    async with listening(address, home) as frames:
        assert [each.fields["id"] for each in await take(frames, 230)] == ids


async def test_a_stream_ends_when_the_server_stops(world: World, home: Home, address: str) -> None:
    async with listening(address, home) as frames:
        event_id = await log(world, home)
        assert [each.fields["id"] for each in await take(frames, 1)] == [event_id]
        world.wakeups.stop()
        await the_end(frames)


async def test_a_stream_ends_when_its_key_is_revoked(
    world: World, home: Home, client: httpx2.AsyncClient, address: str
) -> None:
    made = await client.post(
        "/workspaces/current/api-keys", json={"name": "brief", "scopes": ["events:read"]}
    )
    assert made.status_code == 201, made.text
    brief = attrs.evolve(home, api_key=made.json()["token"])
    async with listening(address, brief) as frames:
        await log(world, home)
        await take(frames, 1)
        await client.delete(f"/workspaces/current/api-keys/{made.json()['id']}")
        await the_end(frames)


async def test_a_stream_that_its_client_left_listens_no_more(
    world: World, home: Home, address: str
) -> None:
    async with listening(address, home) as frames:
        await log(world, home)
        await take(frames, 1)
        assert world.wakeups._listeners
    async with asyncio.timeout(10):
        while world.wakeups._listeners:
            await log(world, home)  # writing to it shows the server that it has gone


class FastClock(SystemClock):
    """Each look at it is 10 s later than the one before."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 10.0
        return self._now


async def test_where_there_is_nothing_to_say_a_comment_keeps_the_stream_alive(
    world: World, home: Home
) -> None:
    key_id = await world.db.fetchval("select id from api_keys")
    caller = Caller(key_id, home.workspace_id, home.organization_id, frozenset())
    fast = attrs.evolve(world, clock=FastClock())
    assert KEEP_ALIVE_SECONDS <= 20
    async with aclosing(live_events(fast, caller, 0, Wanted())) as stream:
        assert b": listening\n" in await anext(stream)
        async with asyncio.timeout(5):
            assert await anext(stream) == b": keep-alive\n\n"
