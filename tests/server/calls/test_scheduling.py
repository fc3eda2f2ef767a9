"""Scheduled calls and calls that wait for a place: queued once at their time, or ended with the reason."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from tests.server.conftest import Home, MoveTime
from tests.server.support.calls_public import (
    Desk,
    end_call,
    instant_in,
    is_claimable,
    make_desk,
    set_balance,
    set_limit,
    traces,
)

from bolti_server.base.db import decode_json, spawn
from bolti_server.calls import worker_queries
from bolti_server.calls.lifecycle import HangupCode
from bolti_server.calls.scheduling import dispatch_due, let_in_waiting
from bolti_server.world import World


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


async def status_of(world: World, conversation_id: str) -> str:
    found: str = await world.db.fetchval(
        "select status from conversations where id = $1", conversation_id
    )
    return found


async def events_of(world: World, subject_id: str) -> list[tuple[str, dict[str, Any]]]:
    """(type, data.object) of what the log tells about a subject, in order."""
    rows = await world.db.fetch(
        "select type, data::text as data from events where subject_id = $1 order by sequence",
        subject_id,
    )
    return [(row["type"], decode_json(row["data"])["object"]) for row in rows]


async def test_a_scheduled_call_waits_without_money_and_is_told(desk: Desk, world: World) -> None:
    at = await instant_in(world, 3600)
    answer = await desk.call(scheduled_at=at)
    assert answer.status_code == 201, answer.text
    call = answer.json()
    assert call["status"] == "scheduled"
    record = await desk.conversation(call["conversation_id"])
    assert record["status"] == "scheduled"
    assert record["scheduled_at"] == at
    assert record["scheduled_call_id"] == call["scheduled_call_id"]
    assert (await traces(world))["ledger_holds"] == 0
    [(event_type, scheduled)] = await events_of(world, call["scheduled_call_id"])
    assert event_type == "scheduled_call.created"
    assert scheduled["status"] == "pending"
    assert scheduled["conversation_id"] == call["conversation_id"]
    assert scheduled["scheduled_at"] == at
    assert scheduled["failure_code"] is None


@pytest.mark.parametrize(
    ("scheduled_at", "timezone", "instant"),
    [
        ("2027-03-01T09:30:00+05:30", None, "2027-03-01T04:00:00.000Z"),
        ("2027-03-01T09:30:00+05:30", "Europe/Berlin", "2027-03-01T04:00:00.000Z"),
        ("2027-03-01T09:30:00", "Asia/Kolkata", "2027-03-01T04:00:00.000Z"),
        ("2027-03-28T02:30:00", "Europe/Berlin", "2027-03-28T01:00:00.000Z"),
    ],
)
async def test_the_instant_of_a_scheduled_call_is_understood(
    desk: Desk,
    world: World,
    move_time: MoveTime,
    scheduled_at: str,
    timezone: str | None,
    instant: str,
) -> None:
    now: datetime = await world.db.fetchval("select bolti_now()")
    await move_time((datetime(2027, 2, 1, tzinfo=UTC) - now).total_seconds())
    conversation_id = await desk.placed(scheduled_at=scheduled_at, timezone=timezone)
    assert (await desk.conversation(conversation_id))["scheduled_at"] == instant


async def test_nothing_is_placed_before_its_instant(desk: Desk, world: World) -> None:
    conversation_id = await desk.placed(scheduled_at=await instant_in(world, 60))
    assert await dispatch_due(world) == 0
    assert await status_of(world, conversation_id) == "scheduled"


async def test_at_its_instant_a_call_is_queued_with_the_money_for_its_cap(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    answer = await desk.call(scheduled_at=await instant_in(world, 3600), max_duration_seconds=120)
    conversation_id = answer.json()["conversation_id"]
    await move_time(3601)
    assert await dispatch_due(world) == 1
    assert await dispatch_due(world) == 0
    row = await world.db.fetchrow(
        """select c.status, c.deadline_at - bolti_now() as left, c.next_at, h.covered_seconds
           from conversations c join ledger_holds h on h.reference = c.id where c.id = $1""",
        conversation_id,
    )
    assert row is not None
    assert row["status"] == "queued"
    assert timedelta(seconds=55) < row["left"] <= timedelta(seconds=60)
    assert row["next_at"] is None
    assert row["covered_seconds"] == 120
    told = await events_of(world, answer.json()["scheduled_call_id"])
    assert [event_type for event_type, _ in told] == [
        "scheduled_call.created",
        "scheduled_call.dispatched",
    ]
    assert told[1][1]["status"] == "dispatched"


async def test_many_dispatchers_place_a_call_once(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    at = await instant_in(world, 60)
    for index in range(10):
        await desk.placed(f"+120255501{index:02d}", scheduled_at=at)
    await move_time(61)
    done = await asyncio.gather(*(dispatch_due(world) for _ in range(5)))
    assert sum(done) == 10
    assert (await traces(world))["ledger_holds"] == 10
    dispatched = await world.db.fetchval(
        "select count(*) from events where type = 'scheduled_call.dispatched'"
    )
    assert dispatched == 10


async def failed(desk: Desk, world: World, conversation_id: str) -> tuple[str, str]:
    """(hangup code, detail), the same in the record and in what was told."""
    record = await desk.conversation(conversation_id)
    assert record["status"] == "failed"
    told = await events_of(world, record["scheduled_call_id"])
    assert [event_type for event_type, _ in told] == [
        "scheduled_call.created",
        "scheduled_call.failed",
    ]
    assert told[1][1]["status"] == "failed"
    assert told[1][1]["failure_code"] == record["hangup"]["code"]
    assert told[1][1]["failure_detail"] == record["hangup"]["detail"]
    of_conversation = [kind for kind, _ in await events_of(world, conversation_id)]
    assert of_conversation == ["conversation.ended"]
    return record["hangup"]["code"], record["hangup"]["detail"]


async def test_without_credit_at_its_instant_it_fails_with_the_reason(
    desk: Desk, world: World, home: Home, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(scheduled_at=await instant_in(world, 60))
    await set_balance(world, home.organization_id, "test", 1_500_000)
    await move_time(61)
    assert await dispatch_due(world) == 1
    code, detail = await failed(desk, world, conversation_id)
    assert code == "insufficient_credits"
    assert "15 s" in detail


async def test_the_balance_of_its_instant_shortens_the_cap(
    desk: Desk, world: World, home: Home, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(scheduled_at=await instant_in(world, 60))
    await set_balance(world, home.organization_id, "test", 9_000_000)
    await move_time(61)
    await dispatch_due(world)
    assert (await desk.conversation(conversation_id))["max_duration_seconds"] == 90


async def test_an_agent_that_became_inactive_places_no_scheduled_call(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(scheduled_at=await instant_in(world, 60))
    await desk.change_agent(is_active=False)
    await move_time(61)
    await dispatch_due(world)
    assert (await failed(desk, world, conversation_id))[0] == "agent_inactive"


async def test_a_deleted_agent_places_no_scheduled_call(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(scheduled_at=await instant_in(world, 60))
    assert (await desk.client.delete(desk.agent_path)).status_code == 204
    await move_time(61)
    await dispatch_due(world)
    assert (await failed(desk, world, conversation_id))[0] == "agent_inactive"


async def test_a_number_that_was_taken_away_is_not_called_from(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(scheduled_at=await instant_in(world, 60))
    await desk.client.delete(f"{desk.agent_path}/phone-numbers/{desk.agent_phone_number_id}")
    await move_time(61)
    await dispatch_due(world)
    assert (await failed(desk, world, conversation_id))[0] == "destination_not_allowed"


async def test_a_callee_in_another_call_is_not_called_a_second_time(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(scheduled_at=await instant_in(world, 30))
    live = await desk.placed()
    await move_time(31)
    await dispatch_due(world)
    code, detail = await failed(desk, world, conversation_id)
    assert code == "concurrency_limit"
    assert live in detail


async def test_five_minutes_late_is_too_late(desk: Desk, world: World, move_time: MoveTime) -> None:
    conversation_id = await desk.placed(scheduled_at=await instant_in(world, 60))
    await move_time(60 + 301)
    await dispatch_due(world)
    assert (await failed(desk, world, conversation_id))[0] == "expired"


async def test_after_an_outage_of_less_than_that_it_is_still_placed(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(scheduled_at=await instant_in(world, 60))
    await move_time(60 + 290)
    await dispatch_due(world)
    assert await status_of(world, conversation_id) == "queued"


async def test_a_cancelled_call_is_never_placed(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    answer = await desk.call(scheduled_at=await instant_in(world, 60))
    conversation_id = answer.json()["conversation_id"]
    ended = await desk.client.post(
        f"/workspaces/current/conversations/{conversation_id}/end", json={}
    )
    assert ended.status_code == 202, ended.text
    await move_time(61)
    assert await dispatch_due(world) == 0
    record = await desk.conversation(conversation_id)
    assert record["status"] == "cancelled"
    told = await events_of(world, answer.json()["scheduled_call_id"])
    assert [event_type for event_type, _ in told] == [
        "scheduled_call.created",
        "scheduled_call.cancelled",
    ]
    assert told[1][1]["status"] == "cancelled"
    assert told[1][1]["failure_code"] is None


async def test_scheduling_needs_credit_today_too(desk: Desk, world: World, home: Home) -> None:
    await set_balance(world, home.organization_id, "test", 0)
    before = await traces(world)
    answer = await desk.call(scheduled_at=await instant_in(world, 60))
    assert answer.status_code == 402
    assert await traces(world) == before


async def test_a_callee_may_be_scheduled_while_in_a_call_and_twice(
    desk: Desk, world: World
) -> None:
    await desk.placed()
    await desk.placed(scheduled_at=await instant_in(world, 60))
    await desk.placed(scheduled_at=await instant_in(world, 60))


async def test_a_scheduled_call_takes_no_place_before_its_instant(
    desk: Desk, world: World, home: Home
) -> None:
    await set_limit(world, home.workspace_id, 1)
    await desk.placed("+12025550101", scheduled_at=await instant_in(world, 60))
    await desk.placed("+12025550102")


async def test_without_a_free_place_at_its_instant_it_fails_unless_it_may_wait(
    desk: Desk, world: World, home: Home, move_time: MoveTime
) -> None:
    await set_limit(world, home.workspace_id, 1)
    at = await instant_in(world, 30)
    refusing = await desk.placed("+12025550101", scheduled_at=at)
    patient = await desk.placed(
        "+12025550102", scheduled_at=at, when_limited="queue", queue_timeout_seconds=600
    )
    live = await desk.placed()
    await move_time(31)
    assert await dispatch_due(world) == 2
    assert (await failed(desk, world, refusing))[0] == "concurrency_limit"
    assert await status_of(world, patient) == "queued"
    assert await let_in_waiting(world) == 0
    assert await is_claimable(world, patient) is False
    await end_call(world, desk.workspace_id, live, HangupCode.CANCELLED_BY_USER)
    assert await let_in_waiting(world) == 1
    assert await is_claimable(world, patient) is True


async def test_a_due_call_that_someone_works_on_is_left_for_the_next_time(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed(scheduled_at=await instant_in(world, 60))
    await move_time(61)
    async with world.db.transaction() as tx:
        await worker_queries.lock_call(tx, desk.workspace_id, conversation_id)
        async with asyncio.timeout(5):
            assert await spawn(dispatch_due(world), name="dispatch") == 0
    assert await dispatch_due(world) == 1


async def test_a_poisoned_row_is_put_off_and_holds_up_nobody(
    desk: Desk, world: World, move_time: MoveTime
) -> None:
    at = await instant_in(world, 60)
    poisoned = await desk.placed("+12025550101", scheduled_at=at)
    sound = await desk.placed("+12025550102", scheduled_at=at)
    async with (
        world.db.transaction() as tx
    ):  # whose organization nobody knows: no ledger to hold from
        await tx.execute(
            "update conversations set organization_id = 'org_x' where id = $1", poisoned
        )
    await move_time(61)
    assert await dispatch_due(world) == 1
    assert await status_of(world, sound) == "queued"
    assert await status_of(world, poisoned) == "scheduled"
    assert await dispatch_due(world) == 0, "it is looked at again later"
    await move_time(301)
    assert await dispatch_due(world) == 1
    assert (await failed(desk, world, poisoned))[0] == "expired"
