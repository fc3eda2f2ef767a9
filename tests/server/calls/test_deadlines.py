"""Whatever dies, and when: the call ends within its deadline, its hold is resolved, its end is told."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk
from tests.server.support.worker_side import (
    ScriptedWorker,
    beat,
    events_of,
    hold_of,
    is_claimable,
    row_of,
    run_deadlines,
)

from bolti_server.calls import commands, deadlines
from bolti_server.calls.jobs import Ears, due_jobs
from bolti_server.calls.lifecycle import Status
from bolti_server.world import World

STEPS = ["placed", "claimed", "queued", "dialing", "ringing", "in_progress"]


async def play_to(desk: Desk, worker: ScriptedWorker, step: str) -> str:
    """A call that came to `step` and whose worker is never heard of again."""
    conversation_id = await desk.placed()
    if step != "placed":
        call = await worker.claim()
        if step != "claimed":
            await call.reach(step)
        if step == "in_progress":
            await call.turn(0, "agent", "Hello.")
    return conversation_id


# Seconds until nothing keeps it alive any more (the second is the one that ends it), and the code.
CRASHES = [
    ("placed", [59.5, 1], "agent_unavailable", "released"),
    ("claimed", [14.5, 1], "agent_unavailable", "released"),
    ("queued", [14.5, 1, 13, 2], "agent_unavailable", "released"),  # given back once
    ("dialing", [14, 1.5], "outcome_unknown", "released"),
    ("ringing", [14, 1.5], "outcome_unknown", "released"),
    ("in_progress", [14, 1.5], "agent_lost", "released"),
]


@pytest.mark.parametrize(("step", "waits", "code", "resolution"), CRASHES)
async def test_a_worker_that_dies_silently_at_any_step_ends_the_call_in_time(
    world: World,
    desk: Desk,
    worker: ScriptedWorker,
    move_time: MoveTime,
    step: str,
    waits: list[float],
    code: str,
    resolution: str,
) -> None:
    conversation_id = await play_to(desk, worker, step)
    for seconds in waits[:-1]:
        await move_time(seconds)
        await run_deadlines(world)
        assert (await row_of(world, conversation_id))["ended_at"] is None
    await move_time(waits[-1])
    await run_deadlines(world)
    record = await desk.conversation(conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", code)
    assert record["hangup"]["detail"]
    assert await hold_of(world, conversation_id) == resolution
    events = await events_of(world, conversation_id)
    assert events[-1] == "conversation.ended"
    assert "conversation.completed" not in events
    if step == "in_progress":
        assert [turn["text"] for turn in record["transcript"]] == ["Hello."]
        assert record["answered_at"] is not None
        assert record["cost"]["amount_micros"] == 0


async def test_a_call_whose_agent_died_before_the_dial_gets_another_agent(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    first = await worker.claim()
    await first.report("agent_ready")
    await move_time(16)
    assert await run_deadlines(world) == 1
    assert (await first.intent()).status_code == 409, "should it wake up, it must not dial"
    second = await worker.claim()
    assert second.conversation_id == conversation_id
    assert second.epoch > first.epoch
    await second.reach("in_progress")
    await second.ended("agent_hangup")
    assert (await row_of(world, conversation_id))["status"] == "completed"


async def test_a_call_that_kills_every_agent_gets_no_fourth(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    for _ in range(3):
        call = await worker.claim()
        await call.report("agent_ready")
        await cut(world, call.conversation_id, call.epoch)
        await move_time(1.1)
        assert await deadlines.end_lost(world) == 1
    assert not await is_claimable(world)
    assert (await row_of(world, conversation_id))["hangup_code"] == "agent_unavailable"


# What the worker's deadline is where it lives on and the line never says anything more.
OVERDUE = [
    ("queued", 60, "agent_unavailable", "failed"),
    ("dialing", 15, "outcome_unknown", "failed"),
    ("ringing", 35, "no_answer", "no_answer"),
    ("in_progress", 605, "max_duration", "completed"),
]


@pytest.mark.parametrize(("status", "seconds", "code", "terminal"), OVERDUE)
async def test_a_status_that_nothing_ends_is_ended_by_its_deadline(
    world: World,
    desk: Desk,
    worker: ScriptedWorker,
    move_time: MoveTime,
    status: str,
    seconds: int,
    code: str,
    terminal: str,
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach(status)
    await move_time(seconds - 1)
    await beat(world, call)
    assert await run_deadlines(world) == 0
    await move_time(1.5)
    assert await run_deadlines(world) == 1
    record = await desk.conversation(conversation_id)
    assert (record["status"], record["hangup"]["code"]) == (terminal, code)
    is_billed = status == "in_progress"
    assert await hold_of(world, conversation_id) == ("settled" if is_billed else "released")
    assert (await beat(world, call)).is_over, "the worker hangs up"


async def test_a_cap_that_the_balance_had_shortened_ends_as_credits_exhausted(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    async with world.db.transaction() as tx:
        await tx.execute("update conversations set is_cap_shortened = true")
    call = await worker.claim()
    assert (await call.spec()).json()["is_cap_shortened"] is True
    await call.reach("in_progress")
    await move_time(606)
    await beat(world, call)
    assert await run_deadlines(world) == 1
    hangup = (await desk.conversation(conversation_id))["hangup"]
    assert (hangup["code"], hangup["fault"]) == ("credits_exhausted", "funds")


async def test_a_heartbeat_keeps_a_call_alive(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    for _ in range(5):
        await move_time(14)
        assert not (await beat(world, call)).is_over
        assert await run_deadlines(world) == 0


async def cut(world: World, conversation_id: str, epoch: int) -> None:
    """The connection of the worker's poll is cut, as when its process is killed."""
    gone = asyncio.Event()
    gone.set()
    await commands.poll_commands(world, conversation_id, epoch, after=0, gone=gone)


async def test_a_cut_heartbeat_makes_a_worker_dead_after_a_second(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await cut(world, conversation_id, call.epoch)
    assert await run_deadlines(world) == 0, "suspect"
    await move_time(1.1)
    assert await run_deadlines(world) == 1
    assert (await row_of(world, conversation_id))["hangup_code"] == "agent_lost"


async def test_a_worker_that_comes_back_within_the_second_was_only_reconnecting(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await cut(world, conversation_id, call.epoch)
    await move_time(0.5)
    await beat(world, call)
    await move_time(2)
    assert await run_deadlines(world) == 0


async def test_an_old_poll_that_is_cut_late_does_not_kill_the_newer_one(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    gone = asyncio.Event()
    old = asyncio.create_task(
        commands.poll_commands(world, conversation_id, call.epoch, after=0, gone=gone)
    )
    before = (await row_of(world, conversation_id))["heartbeat_at"]
    while (await row_of(world, conversation_id))["heartbeat_at"] == before:
        await asyncio.sleep(0)
    await move_time(0.1)
    await beat(world, call)
    gone.set()
    await old
    assert (await row_of(world, conversation_id))["line_lost_at"] is None
    await move_time(2)
    assert await run_deadlines(world) == 0


async def test_a_server_that_stops_suspects_nobody(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    world.wakeups.stop()
    await cut(world, conversation_id, call.epoch)
    assert (await row_of(world, conversation_id))["line_lost_at"] is None


async def test_one_poisoned_call_holds_up_no_other(
    world: World, desk: Desk, move_time: MoveTime
) -> None:
    poisoned = await desk.placed("+12025550100")
    healthy = await desk.placed("+12025550107")
    async with world.db.transaction() as tx:
        await tx.execute(
            f"""create function poison() returns trigger language plpgsql as $$
                begin raise exception 'poisoned'; end $$;
                create trigger poison before update on conversations for each row
                when (new.id = '{poisoned}') execute function poison()"""
        )
    await move_time(61)
    assert await deadlines.end_overdue(world) == 1
    assert (await row_of(world, healthy))["ended_at"] is not None
    assert (await row_of(world, poisoned))["ended_at"] is None
    async with world.db.transaction() as tx:
        await tx.execute("drop trigger poison on conversations")
    assert await deadlines.end_overdue(world) == 1, "it is tried again"


async def test_many_servers_give_a_lost_call_back_once(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.report("agent_ready")
    await move_time(16)
    done = await asyncio.gather(*(deadlines.end_lost(world) for _ in range(5)))
    assert sum(done) == 1
    assert (await row_of(world, conversation_id))["epoch"] == 2


async def test_many_servers_end_an_overdue_call_once(
    world: World, desk: Desk, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    await move_time(61)
    done = await asyncio.gather(*(deadlines.end_overdue(world) for _ in range(5)))
    assert sum(done) == 1
    assert await events_of(world, conversation_id) == ["conversation.ended"]


async def test_the_jobs_of_a_server_do_what_is_due(
    world: World, desk: Desk, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    await move_time(61)
    for job in due_jobs(world):
        await job.run_batch()
    assert (await row_of(world, conversation_id))["status"] == Status.FAILED


@attrs.define
class StoppedClock:
    """A process's clock that a test turns on."""

    seconds: float = 100.0

    def monotonic(self) -> float:
        return self.seconds


def test_a_process_judges_a_silence_only_if_it_has_listened_for_as_long() -> None:
    clock = StoppedClock()
    ears = Ears(clock)  # type: ignore[arg-type]
    heard = []
    for _ in range(40):
        heard.append(ears.silent_seconds())
        clock.seconds += 0.5
    assert heard == [None] * 30 + [15.0] * 10
    clock.seconds += 20  # it slept, or its database was away
    assert ears.silent_seconds() is None
