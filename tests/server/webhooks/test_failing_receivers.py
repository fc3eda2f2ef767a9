"""Receivers that refuse, redirect, lie or stay down: what counts as a failure, and when it is the last."""

from __future__ import annotations

import attrs
import httpx2
import pytest
from tests.server.conftest import Home, MoveTime, client_for
from tests.server.support.receivers import Received, always, receiving
from tests.server.support.webhooks import (
    ENDPOINTS,
    deliveries,
    endpoint,
    log,
    seconds_until_due,
    subscribe,
    work,
)

from bolti_server.base.crypto import Vault
from bolti_server.base.http import GuardedHttp
from bolti_server.bootstrap.web import build_app
from bolti_server.world import World

DAY = 86_400


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "answered 500"), (429, "answered 429"), (404, "answered 404"), (304, "redirects")],
)
async def test_anything_but_2xx_is_tried_again_with_the_same_id(
    world: World,
    home: Home,
    client: httpx2.AsyncClient,
    move_time: MoveTime,
    status: int,
    words: str,
) -> None:
    async with receiving(status) as receiver:
        made = await subscribe(client, receiver.url)
        event_id = await log(world, home)
        await work(world)
        [delivery] = await deliveries(client, made["id"])
        assert delivery["status"] == "pending"
        assert words in delivery["attempts"][0]["error"]
        receiver.answer = always(204)
        await move_time(6.1)
        await work(world)
    assert receiver.ids() == [event_id, event_id]
    assert receiver.received[0].body == receiver.received[1].body
    [delivery] = await deliveries(client, made["id"])
    assert delivery["status"] == "delivered"


async def test_a_redirect_is_not_followed(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving() as elsewhere:

        async def redirect(_received: Received) -> bytes:
            return f"HTTP/1.1 302 Found\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode()

        async with receiving(redirect) as receiver:
            made = await subscribe(client, receiver.url)
            await log(world, home)
            await work(world)
        assert len(receiver.received) == 1
        assert elsewhere.received == []
    [delivery] = await deliveries(client, made["id"])
    assert delivery["attempts"][0]["status"] == 302
    assert delivery["status"] == "pending"


@pytest.mark.parametrize("noise", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200"])
async def test_a_receiver_that_speaks_no_http_has_failed(
    world: World, home: Home, client: httpx2.AsyncClient, noise: bytes
) -> None:
    async def lie(_received: Received) -> bytes:
        return noise

    async with receiving(lie) as receiver:
        made = await subscribe(client, receiver.url)
        await log(world, home)
        await work(world)
    [delivery] = await deliveries(client, made["id"])
    assert delivery["status"] == "pending"
    assert delivery["attempts"][0]["status"] is None
    assert delivery["attempts"][0]["error"]


async def test_a_success_with_an_endless_body_is_a_success(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async def flood(_received: Received) -> bytes:
        return b"HTTP/1.1 200 Fine\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 200_000

    async with receiving(flood) as receiver:
        made = await subscribe(client, receiver.url)
        await log(world, home)
        await work(world)
    [delivery] = await deliveries(client, made["id"])
    assert delivery["status"] == "delivered"


async def test_410_disables_the_endpoint_and_the_others_hear_of_it(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving(410) as gone, receiving() as other:
        made = await subscribe(client, gone.url)
        await subscribe(client, other.url, ["webhook_endpoint.disabled"])
        await log(world, home)
        await work(world)
        await log(world, home)
        await work(world)
    assert len(gone.received) == 1
    disabled = await endpoint(client, made["id"])
    assert (disabled["status"], disabled["disabled_reason"]) == (
        "disabled",
        "It answered 410 Gone.",
    )
    assert [each["status"] for each in await deliveries(client, made["id"])] == ["dead"]
    [told] = other.received
    assert told.event["type"] == "webhook_endpoint.disabled"
    assert told.event["data"]["object"] == disabled


async def test_a_delivery_is_dead_after_eleven_tries_in_about_a_hundred_hours(
    world: World, home: Home, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    async with receiving(500) as receiver:
        made = await subscribe(client, receiver.url)
        await log(world, home)
        await work(world)
        waited = 0.0
        for _ in range(10):
            seconds = await seconds_until_due(world)
            waited += seconds
            await move_time(seconds + 0.01)
            await work(world)
    assert len(receiver.received) == 11
    assert 80 * 3600 < waited < 120 * 3600
    [delivery] = await deliveries(client, made["id"], status="dead")
    assert delivery["next_at"] is None
    assert len(delivery["attempts"]) == 11
    assert (await endpoint(client, made["id"]))["status"] == "enabled"


async def test_an_endpoint_is_disabled_after_five_days_of_nothing_but_failures(
    world: World, home: Home, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    async with receiving(500) as receiver, receiving() as other:
        made = await subscribe(client, receiver.url)
        await subscribe(client, other.url, ["webhook_endpoint.disabled"])
        await log(world, home)
        await work(world)
        await move_time(4.9 * DAY)
        await work(world)
        assert (await endpoint(client, made["id"]))["status"] == "enabled"
        await log(world, home)
        await move_time(0.2 * DAY)
        await work(world)
        assert (await endpoint(client, made["id"]))["status"] == "disabled"
        assert {each["status"] for each in await deliveries(client, made["id"])} == {"dead"}
    assert len(other.received) == 1


async def test_one_success_starts_the_five_days_anew(
    world: World, home: Home, client: httpx2.AsyncClient, move_time: MoveTime
) -> None:
    async with receiving(500) as receiver:
        made = await subscribe(client, receiver.url)
        await log(world, home)
        await work(world)
        await move_time(4 * DAY)
        receiver.answer = always(200)
        await work(world)
        receiver.answer = always(500)
        await log(world, home)
        await work(world)
        await move_time(4 * DAY)
        await work(world)
        assert (await endpoint(client, made["id"]))["status"] == "enabled"


async def test_no_delivery_reaches_a_private_address_where_the_operator_does_not_allow_it(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    guarded = attrs.evolve(world, http=GuardedHttp(allows_private=False))
    async with receiving() as receiver:
        made = await subscribe(client, receiver.url)
        by_name = await subscribe(client, receiver.url.replace("127.0.0.1", "localhost"))
        await log(world, home)
        await work(guarded)
        assert receiver.received == []
        async with client_for(build_app(guarded), home.api_key) as strict:
            body = {"url": receiver.url, "event_types": ["conversation.ended"]}
            answer = await strict.post(ENDPOINTS, json=body)
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/url"]
    for endpoint_id in (made["id"], by_name["id"]):
        [delivery] = await deliveries(client, endpoint_id)
        assert "public" in delivery["attempts"][0]["error"]
    await guarded.http.close()


async def test_a_secret_that_can_not_be_read_any_more_is_a_failure_that_says_so(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving() as receiver:
        made = await subscribe(client, receiver.url)
        await log(world, home)
        await work(attrs.evolve(world, vault=Vault("another key")))
    assert receiver.received == []
    [delivery] = await deliveries(client, made["id"])
    assert "signing secret" in delivery["attempts"][0]["error"]
