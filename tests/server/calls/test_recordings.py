"""Recordings: stored whole or not at all, told once, and never a link to nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk
from tests.server.support.worker_side import (
    OGG,
    Leased,
    ScriptedWorker,
    event_data,
    events_of,
    row_of,
    run_deadlines,
)

from bolti_server.calls import recordings
from bolti_server.calls.jobs import due_jobs
from bolti_server.world import World


async def ended(desk: Desk, worker: ScriptedWorker, *, has_recording: bool = True) -> Leased:
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await call.ended("agent_hangup", has_recording=has_recording)
    return call


async def recording_of(desk: Desk, call: Leased) -> tuple[str, str | None]:
    record = await desk.conversation(call.conversation_id)
    return record["recording_status"], record["recording_url"]


async def test_a_recording_is_awaited_then_available_and_told(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await ended(desk, worker)
    assert await recording_of(desk, call) == ("pending", None)
    told = await event_data(world, call.conversation_id, "conversation.ended")
    assert (told["recording_status"], told["recording_url"]) == ("pending", None)
    answer = await call.put_recording()
    assert answer.json() == {"bytes": len(OGG)}
    status, url = await recording_of(desk, call)
    assert status == "available"
    assert url is not None
    row = await row_of(world, call.conversation_id)
    month = f"{row['created_at']:%Y/%m}"
    assert row["recording_path"] == f"{desk.workspace_id}/{month}/{call.conversation_id}.ogg"
    assert await world.objects.get_range(row["recording_path"], 0, len(OGG)) == OGG
    told = await event_data(world, call.conversation_id, "conversation.recording_ready")
    assert told["recording_status"] == "available"
    downloaded = await desk.client.get(
        f"/workspaces/current/conversations/{call.conversation_id}/recording"
    )
    assert downloaded.content == OGG


async def test_sending_it_again_changes_nothing(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await ended(desk, worker)
    await call.put_recording()
    before = await row_of(world, call.conversation_id)
    answer = await call.put_recording(OGG + b"another")
    assert answer.json() == {"bytes": len(OGG)}
    assert await row_of(world, call.conversation_id) == before
    events = await events_of(world, call.conversation_id)
    assert events.count("conversation.recording_ready") == 1


async def test_a_recording_that_comes_before_the_end_is_available_at_the_end(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await call.put_recording()
    assert await recording_of(desk, call) == ("none", None)
    await call.ended("remote_hangup", has_recording=True)
    assert (await recording_of(desk, call))[0] == "available"
    assert (await events_of(world, call.conversation_id))[-3:] == [
        "conversation.ended",
        "conversation.completed",
        "conversation.recording_ready",
    ]


async def test_a_call_that_was_not_recorded_has_none(desk: Desk, worker: ScriptedWorker) -> None:
    await desk.change_agent(is_recording_enabled=False)
    call = await ended(desk, worker, has_recording=False)
    assert await recording_of(desk, call) == ("none", None)


async def test_a_call_that_could_not_be_recorded_says_so(
    desk: Desk, worker: ScriptedWorker
) -> None:
    call = await ended(desk, worker, has_recording=False)
    record = await desk.conversation(call.conversation_id)
    assert record["recording_status"] == "failed"
    assert record["recording_detail"] == "The agent worker could not record the call."


async def test_a_recording_that_never_comes_fails_with_a_reason(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    call = await ended(desk, worker)
    await move_time(899)
    assert await recordings.fail_overdue(world) == 0
    await move_time(2)
    for job in due_jobs(world):
        await job.run_batch()
    record = await desk.conversation(call.conversation_id)
    assert record["recording_status"] == "failed"
    assert record["recording_detail"] == "The agent worker never delivered it."
    assert await recordings.fail_overdue(world) == 0


async def test_a_recording_that_was_given_up_and_comes_all_the_same_is_available(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    call = await ended(desk, worker)
    await move_time(901)
    await recordings.fail_overdue(world)
    await call.put_recording()
    record = await desk.conversation(call.conversation_id)
    assert (record["recording_status"], record["recording_detail"]) == ("available", None)


async def test_what_a_killed_worker_recorded_may_come_when_it_runs_again(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await move_time(16)
    await run_deadlines(world)
    assert (await recording_of(desk, call))[0] == "pending"
    await call.put_recording()
    record = await desk.conversation(call.conversation_id)
    assert (record["hangup"]["code"], record["recording_status"]) == ("agent_lost", "available")


async def test_a_worker_that_comes_back_without_a_recording_says_so_and_it_has_failed(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await move_time(16)
    await run_deadlines(world)
    assert (await recording_of(desk, call))[0] == "pending"
    await call.ended("agent_lost", has_recording=False)
    record = await desk.conversation(call.conversation_id)
    assert (record["hangup"]["code"], record["recording_status"]) == ("agent_lost", "failed")
    assert "without a recording" in record["recording_detail"]
    assert (await row_of(world, call.conversation_id))["next_at"] is None
    await call.put_recording()
    assert (await recording_of(desk, call))[0] == "available", "it was there all the same"


async def test_a_worker_that_comes_back_with_a_recording_is_waited_for(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await move_time(16)
    await run_deadlines(world)
    await call.ended("agent_lost", has_recording=True)
    assert (await recording_of(desk, call))[0] == "pending"


async def test_a_lost_call_of_an_agent_that_does_not_record_awaits_nothing(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    await desk.change_agent(is_recording_enabled=False)
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await move_time(16)
    await run_deadlines(world)
    assert await recording_of(desk, call) == ("none", None)


async def test_what_is_no_ogg_is_refused_and_not_stored(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await ended(desk, worker)
    for content in (b"", b"Og", b"RIFF....", b"<html>" * 1000):
        answer = await call.put_recording(content)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert (await recording_of(desk, call))[0] == "pending"
    path = (await row_of(world, call.conversation_id))["recording_path"]
    assert path is None
    assert (await call.put_recording()).status_code == 200, "the true one may come after it"


async def test_a_transfer_that_breaks_off_leaves_nothing_behind(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await ended(desk, worker)

    async def broken() -> AsyncIterator[bytes]:
        yield OGG
        raise ConnectionResetError("the worker was killed")

    try:
        await recordings.store_recording(world, call.conversation_id, call.epoch, broken())
    except ConnectionResetError:
        pass
    else:
        raise AssertionError("half a recording was taken for a whole one")
    async with world.db.transaction() as tx:
        assert await tx.fetchval("select count(*) from recording_parts") == 0
    assert (await recording_of(desk, call))[0] == "pending"
    assert (await call.put_recording()).json() == {"bytes": len(OGG)}


async def test_a_long_recording_passes_through_in_pieces(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await ended(desk, worker)
    content = OGG * 12_000  # 12 MB: more than any other body may have
    answer = await call.put_recording(content)
    assert answer.json() == {"bytes": len(content)}
    path = (await row_of(world, call.conversation_id))["recording_path"]
    assert await world.objects.size(path) == len(content)
