"""Who gets which event: those who were subscribed when it was committed."""

from __future__ import annotations

import asyncio

import httpx2
from tests.server.conftest import Home, MoveTime
from tests.server.support.receivers import receiving
from tests.server.support.waiting import until
from tests.server.support.webhooks import ENDPOINTS, deliveries, endpoint, log, subscribe, work

from bolti_server.base.db import Tx, spawn
from bolti_server.base.events import Event, emit
from bolti_server.webhooks.fanning_out import fan_out
from bolti_server.webhooks.jobs import due_jobs, forget_dead
from bolti_server.world import World

URL = "https://hooks.example.com/x"


async def delivered_events(client: httpx2.AsyncClient, endpoint_id: str) -> set[str]:
    """The ids of the events that go to this endpoint."""
    return {each["event_id"] for each in await deliveries(client, endpoint_id, limit="100")}


async def test_an_event_from_before_the_subscription_is_not_delivered_however_late_it_is_worked_off(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    await log(world, home)
    made = await subscribe(client, URL)
    after = await log(world, home)
    assert await fan_out(world) == 2
    assert await delivered_events(client, made["id"]) == {after}


async def test_an_endpoint_gets_the_types_it_asked_for_and_a_new_one_from_then_on(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    made = await subscribe(client, URL, ["conversation.ended"])
    first = await log(world, home, "conversation.ended")
    await log(world, home, "conversation.answered")
    answer = await client.patch(
        f"{ENDPOINTS}/{made['id']}",
        json={"event_types": ["conversation.ended", "conversation.answered"]},
    )
    assert answer.json()["event_types"] == ["conversation.answered", "conversation.ended"]
    third = await log(world, home, "conversation.answered")
    await fan_out(world)
    assert await delivered_events(client, made["id"]) == {first, third}


async def test_other_workspaces_events_stay_theirs(
    world: World, home: Home, other_home: Home, client: httpx2.AsyncClient
) -> None:
    made = await subscribe(client, URL)
    await log(world, other_home)
    mine = await log(world, home)
    await fan_out(world)
    assert await delivered_events(client, made["id"]) == {mine}


async def test_a_disabled_endpoint_misses_what_happens_until_it_is_enabled(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    made = await subscribe(client, URL)
    path = f"{ENDPOINTS}/{made['id']}"
    await client.patch(path, json={"status": "disabled"})
    await log(world, home)
    answer = await client.patch(path, json={"status": "enabled"})
    assert (answer.json()["status"], answer.json()["disabled_reason"]) == ("enabled", None)
    later = await log(world, home)
    await fan_out(world)
    assert await delivered_events(client, made["id"]) == {later}


async def test_turns_and_tool_calls_are_in_the_log_only(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    made = await subscribe(client, URL)
    await log(world, home, "conversation.turn")
    await log(world, home, "conversation.tool_call")
    assert await fan_out(world) == 2
    assert await delivered_events(client, made["id"]) == set()


async def test_deliveries_are_made_once_and_in_order_while_many_commit_and_many_fan_out(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    early = await subscribe(client, URL)

    async def write(n: int) -> None:
        for _ in range(12):
            await log(world, home, subject_id=f"conv_{n}")

    async def fan() -> None:
        for _ in range(30):
            await fan_out(world)

    async def join() -> dict[str, object]:
        return await subscribe(client, URL)

    tasks = [spawn(write(n), name="writer") for n in range(4)]
    tasks += [spawn(fan(), name="fan") for _ in range(3)]
    joining = spawn(join(), name="join")
    await asyncio.gather(*tasks)
    late = await joining
    await log(world, home)
    while await fan_out(world):
        pass
    rows = await world.db.fetch("select id from events order by position")
    log_order = [row["id"] for row in rows]
    rows = await world.db.fetch(
        """select d.webhook_endpoint_id as endpoint_id, d.event_id
           from webhook_deliveries d join events e on e.id = d.event_id order by e.position"""
    )
    got = {
        each: [row["event_id"] for row in rows if row["endpoint_id"] == each]
        for each in (early["id"], late["id"])
    }
    assert got[early["id"]] == log_order
    count = len(got[late["id"]])
    assert count >= 1
    assert got[late["id"]] == log_order[len(log_order) - count :]


async def test_an_event_that_is_being_committed_when_an_endpoint_subscribes_comes_before_it(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    numbered, go_on = asyncio.Event(), asyncio.Event()

    async def pause(_tx: Tx) -> None:
        numbered.set()
        await go_on.wait()

    async def commit_slowly() -> None:
        async with world.db.transaction() as tx:
            emit(tx, Event(home.workspace_id, "conversation.ended", "conv_a", {"object": {}}))
            tx.before_commit(pause)

    async def somebody_waits() -> bool:
        return bool(
            await world.db.fetchval(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            )
        )

    await log(world, home)
    committing = spawn(commit_slowly(), name="commit")
    await numbered.wait()
    subscribing = spawn(subscribe(client, URL), name="subscribe")
    await until(somebody_waits, what="waiting for the event")
    go_on.set()
    await committing
    made = await subscribing
    later = await log(world, home)
    await fan_out(world)
    assert await delivered_events(client, made["id"]) == {later}


async def test_a_test_ping_goes_to_the_tested_endpoint_alone_and_is_in_the_log(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving() as receiver, receiving() as other:
        made = await subscribe(client, receiver.url)
        await subscribe(client, other.url, ["test.ping"])
        answer = await client.post(f"{ENDPOINTS}/{made['id']}/test")
        assert answer.status_code == 202
        shown = answer.json()
        assert (shown["status"], shown["event_type"], shown["attempts"]) == (
            "pending",
            "test.ping",
            [],
        )
        assert [each["id"] for each in await deliveries(client, made["id"])] == [shown["id"]]
        await work(world)
    assert other.received == []
    [received] = receiver.received
    assert received.id == shown["event_id"]
    assert received.event["data"] == {"object": {"webhook_endpoint_id": made["id"]}}
    [delivery] = await deliveries(client, made["id"])
    assert delivery["status"] == "delivered"
    logged = (await client.get("/workspaces/current/events")).json()["data"]
    assert [each["id"] for each in logged] == [shown["event_id"]]


async def test_a_disabled_endpoint_can_be_tested_and_stays_disabled(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving(410) as receiver:
        made = await subscribe(client, receiver.url)
        await client.patch(f"{ENDPOINTS}/{made['id']}", json={"status": "disabled"})
        await client.post(f"{ENDPOINTS}/{made['id']}/test")
        await work(world)
        assert len(receiver.received) == 1
    assert (await endpoint(client, made["id"]))["status"] == "disabled"


async def test_a_delivery_can_be_replayed_with_the_same_id_and_fresh_waits(
    world: World, home: Home, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    async with receiving() as receiver:
        made = await subscribe(client, receiver.url)
        event_id = await log(world, home)
        await work(world)
        [delivery] = await deliveries(client, made["id"])
        path = f"{ENDPOINTS}/{made['id']}/deliveries/{delivery['id']}/replay"
        answer = await client.post(path)
        assert answer.status_code == 202
        assert (answer.json()["status"], answer.json()["delivered_at"]) == ("pending", None)
        assert answer.json()["next_at"] is not None
        await work(world)
    assert receiver.ids() == [event_id, event_id]
    [delivery] = await deliveries(client, made["id"])
    assert delivery["status"] == "delivered"
    assert len(delivery["attempts"]) == 2
    # Down now: the waits begin with 5 s again, though two tries were made.
    await client.post(path)
    await work(world)
    await move_time(6.1)
    async with receiving(port=receiver.port) as receiver:
        await work(world)
        assert receiver.ids() == [event_id]


async def test_replaying_what_does_not_exist_is_404(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    made, other = await subscribe(client, URL), await subscribe(client, URL)
    await log(world, home)
    await fan_out(world)
    [delivery] = await deliveries(client, made["id"])
    path = f"{ENDPOINTS}/{other['id']}/deliveries/{delivery['id']}/replay"
    assert (await client.post(path)).status_code == 404


async def test_dead_deliveries_are_forgotten_after_thirty_days(
    world: World, home: Home, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    made = await subscribe(client, URL)
    await log(world, home)
    await fan_out(world)
    await client.patch(f"{ENDPOINTS}/{made['id']}", json={"status": "disabled"})
    await move_time(29 * 86_400)
    assert await forget_dead(world) == 0
    await move_time(2 * 86_400)
    assert await forget_dead(world) == 1
    assert await deliveries(client, made["id"]) == []


async def test_the_background_jobs_do_all_of_it(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    jobs = {job.topic: job for job in due_jobs(world)}
    async with receiving() as receiver:
        await subscribe(client, receiver.url)
        event_id = await log(world, home)
        assert await jobs["fan_out"].run_batch() == 1
        assert await jobs["deliveries"].run_batch() == 1
        assert await jobs["deliveries"].run_batch() == 0
    assert receiver.ids() == [event_id]
