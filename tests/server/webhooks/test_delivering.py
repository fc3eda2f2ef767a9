"""Deliveries to a real receiver that is up, down, slow, rude: each event arrives, signed, at least once, in order."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import defaultdict

import httpx2
import pytest
from standardwebhooks import Webhook
from tests.server.conftest import Home, MoveTime
from tests.server.support.receivers import Received, always, receiving
from tests.server.support.webhooks import (
    ENDPOINTS,
    deliveries,
    log,
    seconds_until_due,
    subscribe,
    work,
)

from bolti_server.base.db import spawn
from bolti_server.webhooks import delivery_queries
from bolti_server.webhooks.delivering import LOST, LOST_AFTER_SECONDS, deliver_due
from bolti_server.webhooks.fanning_out import fan_out
from bolti_server.world import World

DAY = 86_400


async def test_an_event_arrives_signed_as_the_log_has_it(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving() as receiver:
        made = await subscribe(client, receiver.url)
        event_id = await log(world, home, data={"status": "completed", "name": "प्रिया"})
        await work(world)
    [received] = receiver.received
    assert received.id == event_id
    assert received.headers["content-type"] == "application/json"
    assert "x-voiceai-event" not in received.headers
    shown = (await client.get("/workspaces/current/events")).json()["data"]
    assert Webhook(made["secret"]).verify(received.body, received.headers) == shown[0]
    [delivery] = await deliveries(client, made["id"])
    assert (delivery["status"], delivery["event_id"], delivery["next_at"]) == (
        "delivered",
        event_id,
        None,
    )
    [attempt] = delivery["attempts"]
    assert (attempt["status"], attempt["error"]) == (200, None)
    assert delivery["delivered_at"] >= delivery["created_at"]


async def test_an_endpoint_that_opted_in_gets_the_earlier_headers_too(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving() as receiver:
        made = await subscribe(client, receiver.url, has_legacy_headers=True)
        await log(world, home)
        await work(world)
    [received] = receiver.received
    Webhook(made["secret"]).verify(received.body, received.headers)
    assert received.headers["x-voiceai-event"] == "conversation.ended"
    time, _, given = received.headers["x-voiceai-signature"].partition(",v1=")
    message = time.removeprefix("t=").encode() + b"." + received.body
    assert given == hmac.new(made["secret"].encode(), message, hashlib.sha256).hexdigest()


async def test_a_receiver_that_is_down_gets_its_event_later(
    world: World, home: Home, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    async with receiving() as stopped:
        made = await subscribe(client, stopped.url)
    event_id = await log(world, home)
    await work(world)
    for lowest, highest in ((4, 6), (240, 360), (1440, 2160)):
        seconds = await seconds_until_due(world)
        assert lowest - 1 <= seconds <= highest
        await move_time(seconds - 1)
        assert await deliver_due(world) == 0
        await move_time(1.1)
        if highest != 2160:
            assert await deliver_due(world) == 1
    async with receiving(port=stopped.port) as receiver:
        assert await deliver_due(world) == 1
    assert receiver.ids() == [event_id]
    [delivery] = await deliveries(client, made["id"])
    assert delivery["status"] == "delivered"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [None, None, None, 200]
    assert delivery["attempts"][0]["error"] == "No connection could be made."
    Webhook(made["secret"]).verify(receiver.received[0].body, receiver.received[0].headers)


@pytest.mark.slow
async def test_a_receiver_that_does_not_answer_within_15_seconds_has_failed_and_holds_up_no_other(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    never = asyncio.Event()

    async def sleep(_received: Received) -> int:
        await never.wait()
        return 200

    async with receiving(sleep) as slow, receiving() as quick:
        made = await subscribe(client, slow.url)
        await subscribe(client, quick.url, ["conversation.completed"])
        for _ in range(20):
            await log(world, home)
        running = spawn(work(world), name="work")
        await slow.wait_for(8)
        await log(world, home, "conversation.completed")
        await fan_out(world)
        await quick.wait_for(1, timeout_seconds=5)
        assert not running.done()
        # The slow one has its share of the process's requests at once, and no more.
        assert len(slow.received) == 8
        slow.answer = always(200)
        await running
    found = await deliveries(client, made["id"], limit="50")
    assert [each["status"] for each in found].count("delivered") == 12
    failed = [each for each in found if each["status"] == "pending"]
    assert all("within 15 s" in each["attempts"][0]["error"] for each in failed)
    assert all(14_000 < each["attempts"][0]["duration_ms"] < 20_000 for each in failed)


async def test_first_tries_come_in_order_and_a_retry_holds_back_nothing(
    world: World, home: Home, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    async with receiving(500) as receiver:
        await subscribe(client, receiver.url, ["conversation.started", "conversation.ended"])
        ids = [
            await log(world, home, kind, "conv_a")
            for kind in ("conversation.started", "conversation.turn", "conversation.ended")
        ]
        await work(world)
        assert receiver.ids() == [ids[0], ids[2]]
        receiver.answer = always(200)
        later = await log(world, home, "conversation.ended", "conv_a")
        await work(world)
        assert receiver.ids() == [ids[0], ids[2], later]
        await move_time(6.1)
        await work(world)
    assert set(receiver.ids()[3:]) == {ids[0], ids[2]}
    assert [each.event["sequence"] for each in receiver.received[:3]] == [1, 3, 4]


async def test_a_first_try_waits_until_the_one_before_it_has_ended(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    go_on = asyncio.Event()

    async def hold_the_first(received: Received) -> int:
        if received.event["sequence"] == 1 and received.event["data"]["object"]["id"] == "conv_a":
            await go_on.wait()
        return 200

    async with receiving(hold_the_first) as receiver:
        await subscribe(client, receiver.url)
        first = await log(world, home, subject_id="conv_a")
        second = await log(world, home, subject_id="conv_a")
        other = await log(world, home, subject_id="conv_b")
        workers = [spawn(work(world), name=f"worker {n}") for n in range(2)]
        await receiver.wait_for(2)
        assert set(receiver.ids()) == {first, other}
        assert await deliver_due(world) == 0
        go_on.set()
        await asyncio.gather(*workers)
        await work(world)
    assert receiver.ids()[2:] == [second]


async def test_two_deliverers_at_once_deliver_everything_once_and_in_order(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving() as receiver:
        await subscribe(client, receiver.url)
        sent = [await log(world, home, subject_id=f"conv_{n % 7}") for n in range(70)]
        await asyncio.gather(*(spawn(work(world), name=f"worker {n}") for n in range(2)))
        await work(world)
    assert sorted(receiver.ids()) == sorted(sent)
    order: dict[str, list[int]] = defaultdict(list)
    for received in receiver.received:
        order[received.event["data"]["object"]["id"]].append(received.event["sequence"])
    assert all(numbers == list(range(1, 11)) for numbers in order.values())


async def test_a_due_delivery_is_taken_by_one_of_many(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    await subscribe(client, "https://hooks.example.com/x")
    for _ in range(60):
        await log(world, home)
    await fan_out(world)
    taken: list[str] = []

    async def take() -> None:
        for _ in range(12):
            async with world.db.transaction() as tx:
                found = await delivery_queries.claim_due_of_any_workspace(
                    tx,
                    limit=1,
                    limit_per_endpoint=1,
                    busy_endpoint_ids=[],
                    lost_after_seconds=30,
                    lost_text=LOST,
                )
            taken.extend(each.id for each in found)

    await asyncio.gather(*(spawn(take(), name="taker") for _ in range(10)))
    assert len(taken) == len(set(taken))
    assert len(taken) > 10


async def test_a_process_that_dies_after_sending_leads_to_another_try(
    world: World, home: Home, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    never = asyncio.Event()

    async def hold(_received: Received) -> int:
        await never.wait()
        return 200

    async with receiving(hold) as receiver:
        made = await subscribe(client, receiver.url)
        event_id = await log(world, home)
        await fan_out(world)
        dying = spawn(deliver_due(world), name="dying")
        await receiver.wait_for(1)
        dying.cancel()
        await asyncio.wait({dying})
        receiver.answer = always(200)
        assert await deliver_due(world) == 0
        await move_time(LOST_AFTER_SECONDS + 0.1)
        assert await deliver_due(world) == 1
    assert receiver.ids() == [event_id, event_id]
    [delivery] = await deliveries(client, made["id"])
    assert [each["error"] for each in delivery["attempts"]] == [LOST, None]
    assert delivery["attempts"][0]["at"] < delivery["attempts"][1]["at"]


async def test_a_result_that_comes_after_the_try_was_given_up_changes_nothing(
    world: World, home: Home, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    made = await subscribe(client, "https://hooks.example.com/x")
    await log(world, home)
    await fan_out(world)

    async def claim() -> delivery_queries.Claimed:
        async with world.db.transaction() as tx:
            [claimed] = await delivery_queries.claim_due_of_any_workspace(
                tx,
                limit=10,
                limit_per_endpoint=10,
                busy_endpoint_ids=[],
                lost_after_seconds=30,
                lost_text=LOST,
            )
            return claimed

    slow = await claim()
    await move_time(31)
    quick = await claim()
    attempt = {"at": "2026-11-24T10:00:00.000Z", "status": 200, "error": None, "duration_ms": 1}
    async with world.db.transaction() as tx:
        assert not await delivery_queries.record_failure(
            tx, home.workspace_id, slow, attempt, wait_seconds=None
        )
        recorded = await delivery_queries.record_successes(
            tx, home.workspace_id, [quick], [attempt]
        )
        assert recorded == {quick.id}
    [delivery] = await deliveries(client, made["id"])
    assert (delivery["status"], len(delivery["attempts"])) == ("delivered", 2)


async def test_dropping_an_endpoint_in_the_middle_of_a_try_keeps_the_books_straight(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    go_on = asyncio.Event()

    async def hold(_received: Received) -> int:
        await go_on.wait()
        return 500

    async with receiving(hold) as receiver:
        made = await subscribe(client, receiver.url)
        await log(world, home)
        await fan_out(world)
        running = spawn(deliver_due(world), name="deliver")
        await receiver.wait_for(1)
        answer = await client.patch(f"{ENDPOINTS}/{made['id']}", json={"status": "disabled"})
        assert answer.json()["disabled_reason"] == "It was disabled through the API."
        go_on.set()
        await running
    [delivery] = await deliveries(client, made["id"])
    assert (delivery["status"], delivery["next_at"]) == ("dead", None)
    assert len(delivery["attempts"]) == 1


async def test_a_server_that_stops_begins_no_more_tries(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving() as receiver:
        await subscribe(client, receiver.url)
        await log(world, home)
        await fan_out(world)
        world.wakeups.stop()
        assert await deliver_due(world) == 0
    assert receiver.received == []
