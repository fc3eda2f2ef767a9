"""Trunks of the workspace's own: what can be saved, what is never shown, and the numbers on them."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, client_for
from tests.server.support.calls_public import faults, make_desk

from bolti_server.base.crypto import Undecryptable
from bolti_server.base.ids import new_id
from bolti_server.bootstrap.web import build_app
from bolti_server.numbers import trunk_queries, trunk_records
from bolti_server.numbers.dialing import trunk_to_dial
from bolti_server.numbers.phone_numbers import country_of, e164_of, named_by
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.world import World

TRUNKS = "/workspaces/current/trunks"
NUMBERS = "/workspaces/current/numbers"
OUTBOUND = {"host": "sip.example.com", "username": "clinic", "password": "s3cret-of-the-test"}
INBOUND = {"allowed_addresses": ["54.172.60.0/30"]}
REAL = "+918041234567"


@pytest.fixture
def app(world: World) -> Litestar:
    """One test here asks a hundred times at once."""
    return build_app(world, rate=RatePolicy(burst=100_000, window_seconds=1))


async def make_trunk(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    body = {"name": "Clinic", "outbound": OUTBOUND, "inbound": INBOUND, **body}
    answer = await client.post(TRUNKS, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def add_number(
    client: httpx2.AsyncClient, trunk_id: str, phone_number: str = REAL
) -> dict[str, Any]:
    answer = await client.post(f"{TRUNKS}/{trunk_id}/numbers", json={"phone_number": phone_number})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_trunk_is_what_was_saved_but_for_its_passwords(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    made = await make_trunk(client, codecs=["PCMA", "PCMU"])
    assert made["outbound"] == {
        "host": "sip.example.com", "transport": "udp", "username": "clinic", "has_password": True,
    }  # fmt: skip
    assert made["inbound"] == {**INBOUND, "username": None, "has_password": False}
    assert (made["kind"], made["can_outbound"], made["can_inbound"]) == ("byot", True, True)
    assert (made["version"], made["inbound_status"], made["codecs"]) == (
        1,
        "none",
        ["PCMA", "PCMU"],
    )
    read = await client.get(f"{TRUNKS}/{made['id']}")
    assert (read.json(), read.headers["etag"]) == (made, '"1"')
    assert "s3cret" not in read.text
    rows = await world.db.fetch("select to_jsonb(t)::text as row from trunks t")
    assert "s3cret" not in "".join(row["row"] for row in rows)
    async with world.db.transaction() as tx:
        dialed = await trunk_to_dial(tx, world.vault, home.workspace_id, made["id"])
    assert dialed is not None
    assert (dialed.host, dialed.password) == ("sip.example.com", "s3cret-of-the-test")


async def test_a_sealed_password_opens_only_in_its_own_place(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    first, second = await make_trunk(client), await make_trunk(client)
    async with world.db.transaction() as tx:
        of_first = await trunk_queries.find_trunk(tx, home.workspace_id, first["id"])
        of_second = await trunk_queries.find_trunk(tx, home.workspace_id, second["id"])
    assert of_first is not None
    assert of_second is not None
    stolen = attrs.evolve(of_second, outbound_password_sealed=of_first.outbound_password_sealed)
    with pytest.raises(Undecryptable):
        trunk_records.unsealed(
            world.vault, stolen, "outbound_password", stolen.outbound_password_sealed
        )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {("/outbound", "required")}),
        ({"inbound": {}}, {("/inbound/allowed_addresses", "required")}),
        ({"inbound": {"username": "a"}}, {("/inbound/password", "required")}),
        ({"inbound": {"password": "a", **INBOUND}}, {("/inbound/username", "required")}),
        (
            {"inbound": {"allowed_addresses": ["0.0.0.0/0"]}},
            {("/inbound/allowed_addresses/0", "anyone")},
        ),
        (
            {"inbound": {"allowed_addresses": ["::/0"]}},
            {("/inbound/allowed_addresses/0", "anyone")},
        ),
        (
            {"inbound": {"allowed_addresses": ["0.0.0.0/1", "128.0.0.0/1"]}},
            {
                ("/inbound/allowed_addresses/0", "anyone"),
                ("/inbound/allowed_addresses/1", "anyone"),
            },
        ),
        (
            {"inbound": {"allowed_addresses": ["10.0.0.1/24", "1.2.3.256", "2001:db8::/32"]}},
            {
                ("/inbound/allowed_addresses/0", "invalid"),
                ("/inbound/allowed_addresses/1", "invalid"),
            },
        ),
        ({"outbound": {"host": "1.2.3.256"}}, {("/outbound/host", "invalid")}),
        ({"outbound": {"host": "[::g]"}}, {("/outbound/host", "invalid_format")}),
        ({"outbound": {"host": "[1::2::3]"}}, {("/outbound/host", "invalid")}),
        ({"outbound": {"host": "sip.example.com:70000"}}, {("/outbound/host", "invalid")}),
        ({"outbound": {"host": "sip:sip.example.com"}}, {("/outbound/host", "invalid_format")}),
        ({"outbound": {"host": "me@sip.example.com"}}, {("/outbound/host", "invalid_format")}),
        ({"outbound": {"host": "sip..example.com"}}, {("/outbound/host", "invalid")}),
        ({"outbound": {"host": "-sip.example.com"}}, {("/outbound/host", "invalid")}),
        ({"outbound": {"host": "sip.example.com/x"}}, {("/outbound/host", "invalid_format")}),
        (
            {"outbound": {"host": "a_b-c", "password": "x"}, "inbound": {}},
            {("/outbound/username", "required"), ("/inbound/allowed_addresses", "required")},
        ),
    ],
)
async def test_what_is_wrong_with_a_trunk_is_told_at_once(
    client: httpx2.AsyncClient, body: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    answer = await client.post(TRUNKS, json={"name": "Clinic", **body})
    assert answer.status_code == 400
    assert {pointer for pointer, _ in faults(answer)} == {pointer for pointer, _ in expected}
    ours = {each for each in faults(answer) if each[1] in ("required", "anyone", "invalid")}
    assert ours == {each for each in expected if each[1] != "invalid_format"}


@pytest.mark.parametrize(
    "host", ["SIP.example.com:5070", "203.0.113.7", "[2001:db8::1]:5061", "pbx"]
)
async def test_names_and_addresses_with_or_without_a_port_are_hosts(
    client: httpx2.AsyncClient, host: str
) -> None:
    made = await make_trunk(client, outbound={"host": host})
    assert made["outbound"]["host"] == host.lower()


async def test_a_change_keeps_what_it_leaves_out_and_a_password_that_still_fits(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    made = await make_trunk(client)
    path = f"{TRUNKS}/{made['id']}"
    changed = await client.patch(path, json={"name": "Second", "inbound": None})
    assert changed.status_code == 200
    body = changed.json()
    assert (body["name"], body["version"], body["outbound"]) == ("Second", 2, made["outbound"])
    assert (body["inbound"], body["can_inbound"]) == (None, False)
    kept = {"host": "SIP.EXAMPLE.com", "transport": "tls", "username": "clinic"}
    changed = await client.patch(path, json={"outbound": kept})
    assert changed.json()["outbound"]["has_password"] is True
    async with world.db.transaction() as tx:
        dialed = await trunk_to_dial(tx, world.vault, home.workspace_id, made["id"])
    assert dialed is not None
    assert (dialed.transport, dialed.password) == ("tls", "s3cret-of-the-test")
    answer = await client.patch(path, json={"outbound": {"host": "sip.example.com"}})
    assert answer.json()["outbound"] == {
        "host": "sip.example.com", "transport": "udp", "username": None, "has_password": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "outbound",
    [
        {"host": "elsewhere.example", "username": "clinic"},
        {"host": "sip.example.com", "username": "x"},
    ],
)
async def test_a_stored_password_goes_to_no_other_host_and_no_other_user(
    client: httpx2.AsyncClient, outbound: dict[str, str]
) -> None:
    made = await make_trunk(client)
    answer = await client.patch(f"{TRUNKS}/{made['id']}", json={"outbound": outbound})
    assert (answer.status_code, faults(answer)) == (400, {("/outbound/password", "required")})
    assert (await client.get(f"{TRUNKS}/{made['id']}")).json() == made


async def test_two_editors_do_not_overwrite_each_other(client: httpx2.AsyncClient) -> None:
    made = await make_trunk(client)
    path = f"{TRUNKS}/{made['id']}"
    first = await client.patch(path, json={"name": "A"}, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    second = await client.patch(path, json={"name": "B"}, headers={"If-Match": '"1"'})
    assert (second.status_code, second.json()["current_version"]) == (412, 2)
    assert (await client.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.delete(path, headers={"If-Match": '"2"'})).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_the_same_key_makes_one_trunk_and_one_number(client: httpx2.AsyncClient) -> None:
    body = {"name": "Clinic", "outbound": OUTBOUND}
    answers = [
        await client.post(TRUNKS, json=body, headers={"Idempotency-Key": "one"}) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-replayed"] == "true"
    path, number = f"{TRUNKS}/{answers[0].json()['id']}/numbers", {"phone_number": REAL}
    added = [
        await client.post(path, json=number, headers={"Idempotency-Key": "two"}) for _ in range(2)
    ]
    assert added[0].json() == added[1].json()
    assert len((await client.get(NUMBERS)).json()["data"]) == 1


async def test_lists_are_narrowed_and_paged(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    await make_desk(world, client, home.workspace_id)
    trunks = [await make_trunk(client, name=name) for name in ("A", "B", "B")]

    async def listed(**query: str) -> list[str]:
        answer = await client.get(TRUNKS, params=query)
        return [each["id"] for each in answer.json()["data"]]

    assert await listed(name="B") == [trunks[2]["id"], trunks[1]["id"]]
    assert await listed(kind="byot", limit="2") == [trunks[2]["id"], trunks[1]["id"]]
    assert (await listed(sort="oldest", kind="byot"))[0] == trunks[0]["id"]
    assert await listed(inbound_status="ready") == []
    (simulated,) = (await client.get(TRUNKS, params={"kind": "simulated"})).json()["data"]
    assert (simulated["outbound"], simulated["inbound"]) == (None, None)
    await add_number(client, trunks[0]["id"])
    found = await client.get(NUMBERS, params={"trunk_id": trunks[0]["id"]})
    assert [each["phone_number"] for each in found.json()["data"]] == [REAL]


async def test_a_number_on_a_trunk_is_shown_with_it_assigned_and_released(
    client: httpx2.AsyncClient,
) -> None:
    trunk = await make_trunk(client)
    number = await add_number(client, trunk["id"])
    assert (number["country"], number["simulated"], number["monthly_cost_micros"]) == (
        "IN", False, None,
    )  # fmt: skip
    assert number["trunk"] == {
        "id": trunk["id"], "name": "Clinic", "kind": "byot", "can_inbound": True, "can_outbound": True,
    }  # fmt: skip
    agent_id = (await client.post("/workspaces/current/agents", json={"name": "A"})).json()["id"]
    path = f"/workspaces/current/agents/{agent_id}/phone-numbers"
    bound = await client.post(path, json={"number_id": number["id"], "direction": "both"})
    assert (bound.status_code, bound.json()["simulated"]) == (201, False)
    assert (await client.delete(f"{TRUNKS}/{trunk['id']}")).json()["code"] == "trunk_in_use"
    assert (await client.delete(f"{NUMBERS}/{number['id']}")).status_code == 204
    assert (await client.delete(f"{TRUNKS}/{trunk['id']}")).status_code == 204
    again = await client.post(f"{TRUNKS}/{trunk['id']}/numbers", json={"phone_number": REAL})
    assert again.status_code == 404


@pytest.mark.parametrize("phone_number", ["+12025550142", "+919", "+9991234567", "+1415555"])
async def test_a_number_that_no_provider_has_is_refused(
    client: httpx2.AsyncClient, phone_number: str
) -> None:
    trunk = await make_trunk(client)
    answer = await client.post(
        f"{TRUNKS}/{trunk['id']}/numbers", json={"phone_number": phone_number}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_phone_number")
    assert (await client.get(NUMBERS)).json()["data"] == []


async def test_a_number_is_added_once_however_many_try(client: httpx2.AsyncClient) -> None:
    trunks = [await make_trunk(client), await make_trunk(client)]
    answers = await asyncio.gather(
        *(
            client.post(f"{TRUNKS}/{trunks[n % 2]['id']}/numbers", json={"phone_number": REAL})
            for n in range(20)
        )
    )
    assert sorted({answer.status_code for answer in answers}) == [201, 409]
    assert [answer.status_code for answer in answers].count(201) == 1
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"number_taken"}


async def test_adding_and_releasing_the_same_number_at_once_does_not_lock_up(
    client: httpx2.AsyncClient,
) -> None:
    trunk = await make_trunk(client)
    for _ in range(5):
        number = await add_number(client, trunk["id"])
        answers = await asyncio.gather(
            client.delete(f"{NUMBERS}/{number['id']}"),
            *(
                client.post(f"{TRUNKS}/{trunk['id']}/numbers", json={"phone_number": REAL})
                for _ in range(4)
            ),
        )
        assert {answer.status_code for answer in answers} <= {204, 201, 409}
        for each in (await client.get(NUMBERS)).json()["data"]:
            assert (await client.delete(f"{NUMBERS}/{each['id']}")).status_code == 204


async def test_a_trunk_that_is_deleted_while_numbers_come_has_none(
    client: httpx2.AsyncClient, world: World
) -> None:
    trunk = await make_trunk(client)
    path = f"{TRUNKS}/{trunk['id']}"
    answers = await asyncio.gather(
        *(
            client.post(f"{path}/numbers", json={"phone_number": f"+91804123456{n}"})
            for n in range(5)
        ),
        client.delete(path),
    )
    is_deleted = answers[-1].status_code == 204
    left = await world.db.fetchval("select count(*) from numbers where released_at is null")
    assert (left == 0) == is_deleted, [each.status_code for each in answers]


async def test_the_simulated_networks_trunk_is_nobodys_to_change(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    await make_desk(world, client, home.workspace_id)
    (trunk,) = (await client.get(TRUNKS)).json()["data"]
    path = f"{TRUNKS}/{trunk['id']}"
    answers = [
        await client.patch(path, json={"name": "Mine"}),
        await client.delete(path),
        await client.post(f"{path}/numbers", json={"phone_number": REAL}),
    ]
    assert {(a.status_code, a.json()["code"]) for a in answers} == {(409, "trunk_not_changeable")}


async def test_another_workspaces_trunk_is_one_that_does_not_exist(
    client: httpx2.AsyncClient, app: Litestar, other_home: Home
) -> None:
    trunk = await make_trunk(client)
    number = await add_number(client, trunk["id"])
    async with client_for(app, other_home.api_key) as stranger:
        for trunk_id in (trunk["id"], new_id("trunk")):
            path = f"{TRUNKS}/{trunk_id}"
            asked = [
                await stranger.get(path),
                await stranger.patch(path, json={"name": "Mine"}),
                await stranger.delete(path),
                await stranger.post(f"{path}/numbers", json={"phone_number": REAL}),
                await stranger.patch(path, json={"name": 7}),
            ]
            assert [answer.status_code for answer in asked] == [404] * 5
        assert (await stranger.get(TRUNKS)).json()["data"] == []
        own = await make_trunk(stranger)
        await add_number(stranger, own["id"])  # each workspace may say that a number is its own
    assert (await client.get(f"{NUMBERS}/{number['id']}")).json() == number


def test_a_country_is_told_from_the_number() -> None:
    assert country_of("+918041234567") == "IN"
    assert country_of("+442079460000") == "GB"
    assert country_of("+14165550123") == "CA"
    assert country_of("+12025550142") == "US"
    assert country_of("+80012345678") == "ZZ"


def test_a_called_number_is_understood_as_providers_write_it() -> None:
    assert e164_of("+918041234567") == e164_of("918041234567") == e164_of("00918041234567") == REAL
    assert e164_of("reception") is None
    assert e164_of("08041234567") is None
    numbers = [REAL, "+442079460000"]
    assert named_by("08041234567", numbers) == named_by("8041234567", numbers) == REAL
    assert named_by("02079460000", numbers) == "+442079460000"
    assert named_by("08041234567", [REAL, "+448041234567"]) is None
    assert named_by("+08041234567", numbers) is None
