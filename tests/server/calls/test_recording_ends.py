"""However a call ends: what its record says of its recording is so, then and for good."""

from __future__ import annotations

import pytest
from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk, instant_in
from tests.server.support.worker_side import Leased, ScriptedWorker, events_of, run_deadlines

from bolti_server.calls import recordings
from bolti_server.calls.hangups import HANGUPS
from bolti_server.calls.lifecycle import HangupCode, Status
from bolti_server.world import World

REACHED = (Status.QUEUED, Status.DIALING, Status.RINGING, Status.IN_PROGRESS)


def codes_in(status: Status) -> list[HangupCode]:
    """Those with which a worker can end a call that is `status`. An agent that is lost before the intent is replaced."""
    return [
        code
        for code in HangupCode
        if status in HANGUPS[code].possible_in and (code, status) != ("agent_lost", "queued")
    ]


async def reached(desk: Desk, worker: ScriptedWorker, status: Status) -> Leased:
    await desk.placed()
    call = await worker.claim()
    await call.reach(status)
    return call


async def recording_of(desk: Desk, call: Leased) -> tuple[str, bool, bool]:
    """(status, whether there is a link, whether it says why not); a link leads somewhere."""
    record = await desk.conversation(call.conversation_id)
    has_link = record["recording_url"] is not None
    downloaded = await desk.client.get(
        f"/workspaces/current/conversations/{call.conversation_id}/recording"
    )
    assert downloaded.is_success == has_link
    return record["recording_status"], has_link, record["recording_detail"] is not None


NONE = ("none", False, False)
PENDING = ("pending", False, False)
AVAILABLE = ("available", True, False)
FAILED = ("failed", False, True)


def test_every_code_is_in_the_table() -> None:
    seen = {code for status in REACHED for code in codes_in(status)}
    never_by_a_worker = {
        code for code in HangupCode if not HANGUPS[code].possible_in & set(REACHED)
    }
    assert seen | never_by_a_worker == set(HangupCode)
    assert len(seen) > 25


@pytest.mark.parametrize("status", REACHED[:-1])
async def test_an_end_before_the_answer_that_the_worker_tells(
    desk: Desk, worker: ScriptedWorker, status: Status
) -> None:
    for code in codes_in(status):
        call = await reached(desk, worker, status)
        await call.ended(code, has_recording=False)
        assert (await desk.conversation(call.conversation_id))["hangup"]["code"] == code
        assert await recording_of(desk, call) == NONE, code


async def test_an_end_after_the_answer_that_the_worker_tells(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    """Announced and come, announced and never come, not announced although the agent records."""
    never_came: dict[str, Leased] = {}
    for code in codes_in(Status.IN_PROGRESS):
        comes = await reached(desk, worker, Status.IN_PROGRESS)
        await comes.ended(code, has_recording=True)
        assert (await desk.conversation(comes.conversation_id))["hangup"]["code"] == code
        assert await recording_of(desk, comes) == PENDING, code
        await comes.put_recording()
        assert await recording_of(desk, comes) == AVAILABLE, code
        lacks = await reached(desk, worker, Status.IN_PROGRESS)
        await lacks.ended(code, has_recording=False)
        assert await recording_of(desk, lacks) == FAILED, code
        never_came[code] = await reached(desk, worker, Status.IN_PROGRESS)
        await never_came[code].ended(code, has_recording=True)
    await move_time(901)
    while await recordings.fail_overdue(world):
        pass
    for code, call in never_came.items():
        assert await recording_of(desk, call) == FAILED, code
        assert "conversation.recording_ready" not in await events_of(world, call.conversation_id)


@pytest.mark.parametrize("status", REACHED)
async def test_an_end_by_the_deadline(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime, status: Status
) -> None:
    call = await reached(desk, worker, status)
    await move_time(700)
    await run_deadlines(world)
    assert (await desk.conversation(call.conversation_id))["ended_at"] is not None
    is_talking = status is Status.IN_PROGRESS
    assert await recording_of(desk, call) == (PENDING if is_talking else NONE)
    await move_time(901)
    await recordings.fail_overdue(world)
    assert await recording_of(desk, call) == (FAILED if is_talking else NONE)


@pytest.mark.parametrize("status", REACHED[1:])
async def test_an_end_by_the_loss_of_the_worker(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime, status: Status
) -> None:
    call = await reached(desk, worker, status)
    await move_time(16)
    await run_deadlines(world)
    is_talking = status is Status.IN_PROGRESS
    assert await recording_of(desk, call) == (PENDING if is_talking else NONE)
    if is_talking:
        await call.put_recording()
        assert await recording_of(desk, call) == AVAILABLE


@pytest.mark.parametrize("status", REACHED)
async def test_an_end_by_the_user(
    world: World, desk: Desk, worker: ScriptedWorker, status: Status
) -> None:
    call = await reached(desk, worker, status)
    await desk.client.post(f"/workspaces/current/conversations/{call.conversation_id}/end", json={})
    record = await desk.conversation(call.conversation_id)
    if record["ended_at"] is None:
        is_talking = status is Status.IN_PROGRESS
        if is_talking:
            await call.put_recording()
        code = "ended_by_user" if is_talking else "cancelled_by_user"
        await call.ended(code, has_recording=is_talking)
    assert await recording_of(desk, call) == (AVAILABLE if status is Status.IN_PROGRESS else NONE)


async def test_an_agent_that_does_not_record_has_none_however_it_ends(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    await desk.change_agent(is_recording_enabled=False)
    told = await reached(desk, worker, Status.IN_PROGRESS)
    await told.ended("remote_hangup", has_recording=False)
    lost = await reached(desk, worker, Status.IN_PROGRESS)
    await move_time(16)
    await run_deadlines(world)
    assert await recording_of(desk, told) == await recording_of(desk, lost) == NONE


async def test_a_scheduled_call_that_never_was_has_none(world: World, desk: Desk) -> None:
    placed = await desk.call(scheduled_at=await instant_in(world, 3600))
    conversation_id = placed.json()["conversation_id"]
    await desk.client.post(f"/workspaces/current/conversations/{conversation_id}/end", json={})
    record = await desk.conversation(conversation_id)
    assert (record["status"], record["recording_status"]) == ("cancelled", "none")
