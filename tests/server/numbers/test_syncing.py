"""Telling the media server of trunks: what it is told, when again, and what the record says of it."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import httpx2
import pytest
from tests.server.conftest import Home, MoveTime
from tests.server.support.calls_public import assign
from tests.server.support.media import FakeMedia

from bolti_server.base.crypto import Vault
from bolti_server.numbers import jobs, syncing
from bolti_server.rooms.media import InboundTrunk, MediaRefused, MediaTrunk, MediaUnreachable
from bolti_server.world import World

TRUNKS = "/workspaces/current/trunks"
NUMBERS = "/workspaces/current/numbers"
ADDRESSES = ["54.172.60.0/30"]
REAL = "+918041234567"


@pytest.fixture
def media() -> FakeMedia:
    return FakeMedia()


@pytest.fixture
def roomy(world: World, media: FakeMedia) -> World:
    return attrs.evolve(world, media=media)


async def make_trunk(client: httpx2.AsyncClient, **body: Any) -> str:
    body = {"name": "Clinic", "inbound": {"allowed_addresses": ADDRESSES}, **body}
    answer = await client.post(TRUNKS, json=body)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def add_number(client: httpx2.AsyncClient, trunk_id: str, phone_number: str = REAL) -> str:
    answer = await client.post(f"{TRUNKS}/{trunk_id}/numbers", json={"phone_number": phone_number})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def status_of(client: httpx2.AsyncClient, trunk_id: str) -> tuple[str, str | None]:
    answer = (await client.get(f"{TRUNKS}/{trunk_id}")).json()
    return answer["inbound_status"], answer["inbound_detail"]


async def test_a_trunk_is_told_of_with_its_numbers_and_becomes_ready(
    client: httpx2.AsyncClient, roomy: World, media: FakeMedia
) -> None:
    credentials = {"username": "clinic", "password": "s3cret"}
    trunk_id = await make_trunk(
        client, inbound={"allowed_addresses": ADDRESSES, **credentials}, codecs=["PCMA"]
    )
    assert await syncing.sync_due(roomy) == 0
    await add_number(client, trunk_id)
    assert await status_of(client, trunk_id) == ("pending", None)
    assert await syncing.sync_due(roomy) == 1
    told = media.trunks[trunk_id]
    assert told == InboundTrunk(
        trunk_id, [REAL], ADDRESSES, "clinic", "s3cret", ["PCMA"], told.metadata
    )
    assert f'"trunk_id":"{trunk_id}"' in told.metadata
    assert "s3cret" not in repr(told)
    assert await status_of(client, trunk_id) == ("ready", None)
    assert await syncing.sync_due(roomy) == 0
    await add_number(client, trunk_id, "+918041234568")
    await syncing.sync_due(roomy)
    assert list(media.trunks[trunk_id].numbers) == [REAL, "+918041234568"]


async def test_what_only_dials_or_has_no_number_is_told_to_nobody(
    client: httpx2.AsyncClient, roomy: World, media: FakeMedia
) -> None:
    trunk_id = await make_trunk(client, inbound=None, outbound={"host": "sip.example.com"})
    await add_number(client, trunk_id)
    await syncing.sync_due(roomy)
    assert (media.trunks, await status_of(client, trunk_id)) == ({}, ("none", None))


async def test_a_trunk_without_numbers_or_without_its_ability_is_taken_away(
    client: httpx2.AsyncClient, roomy: World, media: FakeMedia
) -> None:
    outbound = {"host": "sip.example.com"}
    first, second = await make_trunk(client), await make_trunk(client, outbound=outbound)
    number = await add_number(client, first)
    await add_number(client, second, "+918041234568")
    await syncing.sync_due(roomy)
    assert set(media.trunks) == {first, second}
    assert (await client.delete(f"{NUMBERS}/{number}")).status_code == 204
    assert (await client.patch(f"{TRUNKS}/{second}", json={"inbound": None})).status_code == 200
    await syncing.sync_due(roomy)
    assert media.trunks == {}
    assert await status_of(client, first) == await status_of(client, second) == ("none", None)
    assert await syncing.sync_due(roomy) == 0


async def test_a_trunk_that_is_deleted_before_it_was_taken_away_is_taken_away_afterwards(
    client: httpx2.AsyncClient, roomy: World, media: FakeMedia, move_time: MoveTime
) -> None:
    trunk_id = await make_trunk(client)
    number = await add_number(client, trunk_id)
    await syncing.sync_due(roomy)
    assert (await client.delete(f"{NUMBERS}/{number}")).status_code == 204
    assert (await client.delete(f"{TRUNKS}/{trunk_id}")).status_code == 204
    media.failure = MediaUnreachable()
    await syncing.sync_due(roomy)
    assert set(media.trunks) == {trunk_id}
    media.failure = None
    await move_time(syncing.LONGEST_RETRY_SECONDS)
    await syncing.sync_due(roomy)
    assert media.trunks == {}


async def test_what_the_media_server_forgets_it_is_told_again(
    client: httpx2.AsyncClient, roomy: World, media: FakeMedia, move_time: MoveTime
) -> None:
    trunk_id = await make_trunk(client)
    await add_number(client, trunk_id)
    await syncing.sync_due(roomy)
    before = await client.get(f"{TRUNKS}/{trunk_id}")
    media.trunks.clear()
    await syncing.sync_due(roomy)
    assert media.trunks == {}
    await move_time(syncing.REASSERT_SECONDS)
    await syncing.sync_due(roomy)
    assert set(media.trunks) == {trunk_id}
    after = await client.get(f"{TRUNKS}/{trunk_id}")
    assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])


async def test_a_server_that_starts_tells_everything_again_once(
    client: httpx2.AsyncClient, roomy: World, media: FakeMedia
) -> None:
    trunk_id = await make_trunk(client)
    await add_number(client, trunk_id)
    await syncing.sync_due(roomy)
    media.trunks.clear()
    (job,) = jobs.due_jobs(roomy)
    assert await job.run_batch() == 1
    assert set(media.trunks) == {trunk_id}
    assert await job.run_batch() == 0


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (MediaUnreachable(), "does not answer"),
        (MediaRefused("invalid_argument", "bad codec"), "bad codec"),
        (
            MediaRefused("invalid_argument", 'Conflicting inbound SIP Trunks: "ST_x"'),
            "Another trunk",
        ),
    ],
)
async def test_a_failure_is_told_in_words_and_tried_again_later_each_time(
    client: httpx2.AsyncClient,
    roomy: World,
    media: FakeMedia,
    move_time: MoveTime,
    failure: MediaUnreachable | MediaRefused,
    words: str,
) -> None:
    trunk_id = await make_trunk(client)
    await add_number(client, trunk_id)
    media.failure = failure
    await syncing.sync_due(roomy)
    status, detail = await status_of(client, trunk_id)
    assert status == "failed"
    assert words in (detail or "")
    assert "ST_x" not in (detail or "")
    found = await client.get(TRUNKS, params={"inbound_status": "failed"})
    assert [each["id"] for each in found.json()["data"]] == [trunk_id]
    for wait in (5, 10, 20):
        await move_time(wait - 1)
        assert await syncing.sync_due(roomy) == 0
        await move_time(1)
        assert await syncing.sync_due(roomy) == 1
    media.failure = None
    await move_time(40)
    await syncing.sync_due(roomy)
    assert await status_of(client, trunk_id) == ("ready", None)


async def test_without_a_media_server_the_record_says_what_to_set(
    client: httpx2.AsyncClient, world: World
) -> None:
    trunk_id = await make_trunk(client)
    await add_number(client, trunk_id)
    await syncing.sync_due(world)
    status, detail = await status_of(client, trunk_id)
    assert status == "failed"
    assert "LIVEKIT_URL" in (detail or "")


async def test_a_password_that_can_not_be_read_any_more_says_so(
    client: httpx2.AsyncClient, roomy: World
) -> None:
    trunk_id = await make_trunk(client, inbound={"username": "a", "password": "b"})
    await add_number(client, trunk_id)
    await syncing.sync_due(attrs.evolve(roomy, vault=Vault("another-secret-key-0123456789abcdef")))
    assert "BOLTI_SECRET_KEY" in ((await status_of(client, trunk_id))[1] or "")


async def test_a_change_while_it_is_told_is_told_too(
    client: httpx2.AsyncClient, world: World
) -> None:
    trunk_id = await make_trunk(client)
    await add_number(client, trunk_id)

    class Slow(FakeMedia):
        """In the middle of whose answer another number comes."""

        async def set_inbound_trunk(
            self, trunk: InboundTrunk, known: MediaTrunk | None
        ) -> MediaTrunk:
            if len(trunk.numbers) == 1:
                await add_number(client, trunk_id, "+918041234568")
            return await super().set_inbound_trunk(trunk, known)

    slow = Slow()
    roomy = attrs.evolve(world, media=slow)
    await syncing.sync_due(roomy)
    assert await status_of(client, trunk_id) == ("pending", None)
    await syncing.sync_due(roomy)
    assert list(slow.trunks[trunk_id].numbers) == [REAL, "+918041234568"]
    assert await status_of(client, trunk_id) == ("ready", None)


async def test_many_servers_tell_of_a_trunk_once(client: httpx2.AsyncClient, world: World) -> None:
    trunk_ids = [await make_trunk(client) for _ in range(5)]
    for n, trunk_id in enumerate(trunk_ids):
        await add_number(client, trunk_id, f"+91804123456{n}")
    told: list[str] = []

    class Counting(FakeMedia):
        async def set_inbound_trunk(
            self, trunk: InboundTrunk, known: MediaTrunk | None
        ) -> MediaTrunk:
            told.append(trunk.trunk_id)
            return await super().set_inbound_trunk(trunk, known)

    roomy = attrs.evolve(world, media=Counting())
    await asyncio.gather(*(syncing.sync_due(roomy) for _ in range(4)))
    assert sorted(told) == sorted(trunk_ids)


async def test_the_simulated_network_calls_in_where_its_sip_service_is_set(
    client: httpx2.AsyncClient, roomy: World, media: FakeMedia, home: Home
) -> None:
    agent_id = (await client.post("/workspaces/current/agents", json={"name": "A"})).json()["id"]
    await assign(roomy, home.workspace_id, agent_id, "+12025550199", "both")
    (trunk,) = (await client.get(TRUNKS)).json()["data"]
    await syncing.sync_due(roomy)
    assert (media.trunks, await status_of(client, trunk["id"])) == ({}, ("none", None))
    settings = roomy.settings.model_copy(update={"livekit_sip_url": "http://127.0.0.1:7990"})
    with_network = attrs.evolve(roomy, settings=settings)
    (job,) = jobs.due_jobs(with_network)
    await job.run_batch()
    told = media.trunks[trunk["id"]]
    assert (list(told.numbers), list(told.allowed_addresses)) == (["+12025550199"], ["127.0.0.0/8"])
    assert await status_of(client, trunk["id"]) == ("ready", None)
