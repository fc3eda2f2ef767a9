"""`bolti-server doctor` on LiveKit, its SIP service and the internal URL: each check seen to pass and to fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import attrs
import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import BASE_URL, WORKER_TOKEN
from tests.server.support.findings import by_name, signs
from tests.server.support.livekits import KEY, NO_CPU, NO_REDIS, NO_SERVICE, SECRET, FakeLiveKit

from bolti_server.entrypoints.doctor.findings import Sign
from bolti_server.entrypoints.doctor.livekit import look_at_livekit
from bolti_server.entrypoints.doctor.server import look_at_server
from bolti_server.entrypoints.doctor.sip import look_at_sip
from bolti_server.entrypoints.doctor.twirp import Access
from bolti_server.world import World

LIVEKIT = Access("wss://livekit.bolti.test", KEY, SECRET)
STAND_IN_URL = "http://127.0.0.1:7990"
OK, PROBLEM, NOT_CHECKED = Sign.OK, Sign.PROBLEM, Sign.NOT_CHECKED


# ---- LiveKit ----


@pytest.fixture
def livekit() -> FakeLiveKit:
    return FakeLiveKit()


@pytest.fixture
async def http(livekit: FakeLiveKit) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=livekit.transport) as client:
        yield client


async def test_a_livekit_that_answers_is_well(http: httpx2.AsyncClient) -> None:
    found = signs(await look_at_livekit(http, LIVEKIT))
    assert found == {"livekit": OK, "livekit clock": OK, "auto_create": OK}


@pytest.mark.parametrize(
    "access", [attrs.evolve(LIVEKIT, key="x"), Access(LIVEKIT.url, KEY, "not the secret")]
)
async def test_a_wrong_key_or_secret_is_told_and_not_repeated(
    http: httpx2.AsyncClient, access: Access
) -> None:
    found = by_name(await look_at_livekit(http, access))
    assert found["livekit"].sign is PROBLEM
    assert "livekit.yaml" in str(found["livekit"].advice)
    assert found["auto_create"].sign is NOT_CHECKED
    assert access.secret not in str(found.values())


async def test_rooms_that_nobody_makes_are_a_problem(
    http: httpx2.AsyncClient, livekit: FakeLiveKit
) -> None:
    livekit.makes_rooms = False
    found = by_name(await look_at_livekit(http, LIVEKIT))["auto_create"]
    assert (found.sign, "auto_create" in str(found.advice)) == (PROBLEM, True)


async def test_a_livekit_with_another_time_is_a_problem(
    http: httpx2.AsyncClient, livekit: FakeLiveKit
) -> None:
    livekit.clock_ahead = timedelta(seconds=-30)
    found = by_name(await look_at_livekit(http, LIVEKIT))["livekit clock"]
    assert (found.sign, "behind" in found.detail) == (PROBLEM, True)


async def test_nobody_at_the_address_is_told() -> None:
    nowhere = Access("ws://127.0.0.1:9", KEY, SECRET)
    async with httpx2.AsyncClient(timeout=5) as http:
        found = by_name(await look_at_livekit(http, nowhere))
        sip = by_name(await look_at_sip(http, nowhere, None))
    assert (found["livekit"].sign, "LIVEKIT_URL" in str(found["livekit"].advice)) == (PROBLEM, True)
    assert found["auto_create"].sign is found["livekit clock"].sign is NOT_CHECKED
    assert sip["sip service"].sign is sip["redis"].sign is NOT_CHECKED, "told once is enough"


@pytest.mark.parametrize("status", [200, 404, 502])
async def test_another_server_at_the_address_is_told(status: int) -> None:
    def web_server(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, text="<h1>Welcome to nginx!</h1>")

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(web_server)) as http:
        found = by_name(await look_at_livekit(http, LIVEKIT))
    assert found["livekit"].sign is PROBLEM
    assert "no LiveKit server" in found["livekit"].detail


# ---- SIP and Redis ----


async def test_a_sip_service_that_refuses_the_impossible_is_well(
    http: httpx2.AsyncClient, livekit: FakeLiveKit
) -> None:
    found = by_name(await look_at_sip(http, LIVEKIT, None))
    assert {name: each.sign for name, each in found.items()} == {"sip service": OK, "redis": OK}
    assert "real" in found["sip service"].detail
    (dialed,) = [body for path, body in livekit.asked if path.endswith("CreateSIPParticipant")]
    assert dialed["trunk"]["hostname"].endswith(".invalid"), "nobody's telephone may ring"
    (closed,) = [body for path, body in livekit.asked if path.endswith("DeleteRoom")]
    assert closed["room"] == dialed["room_name"], "the probe's room stayed"


@pytest.mark.parametrize(
    ("error", "word"),
    [(NO_SERVICE, "livekit-sip"), (NO_CPU, "cores"), (NO_REDIS, "redis")],
)
async def test_a_sip_service_that_takes_no_calls_is_told(
    http: httpx2.AsyncClient, livekit: FakeLiveKit, error: tuple[int, str, str], word: str
) -> None:
    livekit.dial = error
    found = by_name(await look_at_sip(http, LIVEKIT, None))["sip service"]
    assert (found.sign, word in str(found.advice)) == (PROBLEM, True)


async def test_what_nobody_foresaw_is_not_called_well(
    http: httpx2.AsyncClient, livekit: FakeLiveKit
) -> None:
    livekit.dial = (500, "internal", "something new")
    found = by_name(await look_at_sip(http, LIVEKIT, None))["sip service"]
    assert (found.sign, "something new" in found.detail) == (NOT_CHECKED, True)


async def test_a_livekit_without_redis_carries_no_telephone(
    http: httpx2.AsyncClient, livekit: FakeLiveKit
) -> None:
    livekit.trunks = livekit.dial = NO_REDIS
    found = by_name(await look_at_sip(http, LIVEKIT, None))["redis"]
    assert (found.sign, "livekit.yaml" in str(found.advice)) == (PROBLEM, True)


async def test_the_stand_in_is_told_from_a_real_service_and_needs_no_redis(
    http: httpx2.AsyncClient, livekit: FakeLiveKit
) -> None:
    livekit.front = '{"what": "Bolti\'s phone network: callees of the simulated network"}'
    livekit.trunks = NO_REDIS
    found = by_name(await look_at_sip(http, LIVEKIT, STAND_IN_URL))
    assert found["sip service"].sign is found["redis"].sign is OK
    assert "stand-in" in found["sip service"].detail


async def test_a_sip_url_where_nobody_answers_is_told() -> None:
    def only_livekit(request: httpx2.Request) -> httpx2.Response:
        if request.url.port == 7990:
            raise httpx2.ConnectError("refused")
        return FakeLiveKit().answer(request)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(only_livekit)) as http:
        found = by_name(await look_at_sip(http, LIVEKIT, STAND_IN_URL))["sip service"]
    assert (found.sign, "BOLTI_LIVEKIT_SIP_URL" in str(found.advice)) == (PROBLEM, True)


# ---- the internal URL ----


async def test_a_server_that_takes_the_workers_token_is_well(app: Litestar, world: World) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as http:
        found = await look_at_server(http, f"{BASE_URL}/", WORKER_TOKEN)
    assert signs(found) == {"internal url": OK}
    assert await world.db.fetchval("select count(*) from workers") == 0, "the probe is no worker"


async def test_a_server_that_refuses_the_workers_token_is_told(app: Litestar) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as http:
        found = by_name(await look_at_server(http, BASE_URL, "another"))["internal url"]
    assert (found.sign, "BOLTI_WORKER_TOKEN" in str(found.advice)) == (PROBLEM, True)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (httpx2.Response(200, text="hello"), "no Bolti server"),
        (httpx2.Response(502, text="bad gateway"), "no Bolti server"),
        (
            httpx2.Response(
                409,
                json={"code": "protocol_mismatch"},
                headers={"content-type": "application/problem+json"},
            ),
            "protocol_mismatch",
        ),
        (None, "no server answers"),
    ],
)
async def test_what_is_no_server_of_this_version_is_told(
    answer: httpx2.Response | None, word: str
) -> None:
    def respond(_request: httpx2.Request) -> httpx2.Response:
        if answer is None:
            raise httpx2.ConnectError("refused")
        return answer

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(respond)) as http:
        found = by_name(await look_at_server(http, BASE_URL, WORKER_TOKEN))["internal url"]
    assert (found.sign, word in found.detail) == (PROBLEM, True)
