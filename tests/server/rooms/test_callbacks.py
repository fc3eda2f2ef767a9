"""What LiveKit tells by itself is a hint: it makes us look, and changes nothing."""

from __future__ import annotations

from typing import Any

import attrs
import httpx2
import msgspec
import pytest
from tests.server.conftest import BASE_URL, MoveTime
from tests.server.rooms.conftest import Rooms, killed
from tests.server.support.media import SIGNED
from tests.server.support.worker_side import beat, row_of, run_deadlines

from bolti_server.bootstrap.web import build_app
from bolti_server.calls import rescuing
from bolti_server.world import World


async def tell(
    rooms: Rooms, room: str, kind: str = "participant_left", authorization: str = SIGNED
) -> httpx2.Response:
    return await rooms.http.post(
        "/callbacks/livekit",
        content=msgspec.json.encode({"kind": kind, "room": room}),
        headers={"Authorization": authorization, "Content-Type": "application/webhook+json"},
    )


async def state(world: World, conversation_id: str) -> dict[str, Any]:
    row = await row_of(world, conversation_id)
    return {name: value for name, value in row.items() if name != "room_look_at"}


@pytest.mark.parametrize("authorization", ["", "Bearer ", "signed by somebody else"])
async def test_a_forged_callback_is_refused_and_changes_nothing(
    rooms: Rooms, world: World, authorization: str
) -> None:
    agent = await rooms.at("in_progress")
    before = await row_of(world, agent.conversation_id)
    answer = await tell(rooms, agent.conversation_id, authorization=authorization)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"
    assert await row_of(world, agent.conversation_id) == before


async def test_a_signed_one_makes_somebody_look_and_changes_nothing_else(
    rooms: Rooms, world: World
) -> None:
    agent = await rooms.at("in_progress")
    before = await state(world, agent.conversation_id)
    assert (await tell(rooms, agent.conversation_id)).status_code == 204
    assert (await row_of(world, agent.conversation_id))["room_look_at"] is not None
    assert await state(world, agent.conversation_id) == before


@pytest.mark.parametrize("kind", ["participant_left", "room_finished"])
async def test_a_call_whose_agent_is_heard_of_is_left_to_its_agent_whatever_is_said(
    rooms: Rooms, world: World, kind: str
) -> None:
    agent = await rooms.at("in_progress")
    rooms.media.rooms.clear()
    before = await state(world, agent.conversation_id)
    for _ in range(3):
        await tell(rooms, agent.conversation_id, kind)
        assert await rescuing.look_into_rooms(world) == 1
    assert await state(world, agent.conversation_id) == before
    assert await rescuing.look_into_rooms(world) == 0, "that look is done"


async def test_a_hint_about_a_call_that_nobody_hears_is_followed_by_the_truth(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("in_progress")
    await move_time(15.5)
    rooms.media.leave(agent.conversation_id)
    await tell(rooms, agent.conversation_id)
    await rescuing.look_into_rooms(world)
    record = await rooms.desk.conversation(agent.conversation_id)
    assert record["hangup"]["code"] == "remote_hangup"


async def test_a_lying_hint_about_a_call_that_nobody_hears_changes_nothing(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("in_progress")
    await move_time(15.5)
    before = await state(world, agent.conversation_id)
    await tell(rooms, agent.conversation_id, "room_finished")
    await rescuing.look_into_rooms(world)
    assert await state(world, agent.conversation_id) == before
    assert len(rooms.media.sent) == 1, "a hint sends no agent"


async def test_hints_that_come_while_an_agent_is_on_its_way_bring_no_further_one(
    rooms: Rooms, world: World, move_time: MoveTime
) -> None:
    agent = await rooms.at("in_progress")
    await killed(world, agent, move_time)
    for kind in ("participant_left", "room_finished", "participant_left"):
        await tell(rooms, agent.conversation_id, kind)
        await rescuing.look_into_rooms(world)
    assert len(rooms.media.sent) == 2
    await move_time(4.1)
    await run_deadlines(world)
    await rescuing.look_into_rooms(world)
    assert len(rooms.media.sent) == 3, "the next epoch has an agent of its own"


async def test_late_and_strange_ones_are_taken_and_change_nothing(
    rooms: Rooms, world: World
) -> None:
    agent = await rooms.at("in_progress")
    await agent.ended("agent_hangup")
    before = await row_of(world, agent.conversation_id)
    for room in (agent.conversation_id, "conv_of_nobody", "somebody-elses", ""):
        assert (await tell(rooms, room)).status_code == 204
    assert await row_of(world, agent.conversation_id) == before
    assert await rescuing.look_into_rooms(world) == 0


@pytest.mark.parametrize("kind", ["track_published", "room_started", "a_kind_of_next_year"])
async def test_what_tells_of_nobody_who_left_is_taken_and_not_written_down(
    rooms: Rooms, world: World, kind: str
) -> None:
    agent = await rooms.at("in_progress")
    before = await row_of(world, agent.conversation_id)
    assert (await tell(rooms, agent.conversation_id, kind)).status_code == 204
    assert await row_of(world, agent.conversation_id) == before


async def test_queued_calls_are_not_looked_at(rooms: Rooms, world: World) -> None:
    agent = await rooms.dispatched()
    await beat(world, agent)
    before = await state(world, agent.conversation_id)
    await tell(rooms, agent.conversation_id)
    await rescuing.look_into_rooms(world)
    assert await state(world, agent.conversation_id) == before


async def test_a_server_without_rooms_knows_no_such_callback(rooms: Rooms, world: World) -> None:
    app = build_app(attrs.evolve(world, media=None))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        answer = await http.post("/callbacks/livekit", content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
