"""What the SIP service answers over HTTP, as the line understands it: every recorded exchange, by the client that dials."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from livekit import api
from tests.server.lines.test_sip_outcomes import EXPECTED
from tests.server.support.rooms import TRUNK, room_spec

from bolti_server.lines.line import DialFailed
from bolti_server.lines.room_requests import callee_request
from bolti_server.lines.room_servers import RoomServers, UnknownOutcome

RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "exchanges.json").read_text(encoding="utf-8")
)["exchanges"]
KEY, SECRET = "key", "secret-of-the-tests-0123456789abcdef"


class SipService:
    """Answers every request with `status` and `body`, and counts them."""

    def __init__(self) -> None:
        self.status = 200
        self.body: dict[str, Any] | bytes = b""
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        await request.read()
        if isinstance(self.body, bytes):
            return web.Response(body=self.body, content_type="application/protobuf")
        return web.json_response(self.body, status=self.status)


@pytest.fixture
async def service() -> AsyncIterator[tuple[SipService, RoomServers]]:
    answering = SipService()
    app = web.Application()
    app.router.add_post("/{path:.*}", answering.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    servers = RoomServers.open(f"ws://{host}:{port}", KEY, SECRET)
    yield answering, servers
    await servers.aclose()
    await runner.cleanup()


def dialing(ring_seconds: int = 1) -> api.CreateSIPParticipantRequest:
    spec = room_spec(ring_timeout_seconds=ring_seconds)
    return callee_request("conv_1", spec, TRUNK)


@pytest.mark.parametrize(
    "exchange",
    [each for each in RECORDED if each["http_status"] != 200],
    ids=lambda each: str(each["case"]),
)
async def test_a_recorded_refusal_is_understood_by_the_client_and_sent_once(
    exchange: dict[str, Any], service: tuple[SipService, RoomServers]
) -> None:
    answering, servers = service
    answering.status, answering.body = exchange["http_status"], exchange["body"]
    has_rung = exchange["case"] == "ring"

    with pytest.raises(DialFailed) as failed:
        await servers.dial(dialing(), lambda: has_rung)

    assert failed.value.code == EXPECTED[exchange["case"]]
    assert answering.asked == ["/twirp/livekit.SIP/CreateSIPParticipant"]


async def test_a_room_that_is_closed_while_it_rings_is_no_ringing_time_out(
    service: tuple[SipService, RoomServers],
) -> None:
    answering, servers = service
    answering.status = 408
    answering.body = {"code": "canceled", "msg": "twirp error unknown: sip request timed out"}

    outcome = await servers.dial(dialing(ring_seconds=30), lambda: True)

    assert isinstance(outcome, UnknownOutcome)


async def test_a_server_error_is_not_repeated(service: tuple[SipService, RoomServers]) -> None:
    answering, servers = service
    answering.status, answering.body = 500, {"code": "internal", "msg": "it broke"}

    assert isinstance(await servers.dial(dialing(), lambda: False), UnknownOutcome)
    assert len(answering.asked) == 1, "the client would dial again by itself"


async def test_a_sip_service_that_is_not_there_has_been_sent_nothing() -> None:
    servers = RoomServers.open("ws://127.0.0.1:9", KEY, SECRET)
    with pytest.raises(DialFailed) as failed:
        await servers.dial(dialing(), lambda: False)
    await servers.aclose()

    assert (failed.value.code, failed.value.is_nothing_sent) == ("media_unavailable", True)


async def test_an_answer_is_an_answer(service: tuple[SipService, RoomServers]) -> None:
    _, servers = service

    assert await servers.dial(dialing(), lambda: True) is None


async def test_a_taken_transfer_answers_with_nothing_in_it(
    service: tuple[SipService, RoomServers],
) -> None:
    _, servers = (
        service  # an empty answer, whose status reads as "ongoing": so does livekit-sip 1.10
    )

    assert await servers.transfer("conv_1", "callee", "tel:+14155550177") is None


async def test_a_refused_transfer_has_its_sip_status(
    service: tuple[SipService, RoomServers],
) -> None:
    answering, servers = service
    answering.status = 429
    answering.body = {
        "code": "resource_exhausted",
        "msg": "twirp error unknown: call transfer failed: sip status: 486: Busy Here",
        "meta": {"sip_status": "Busy Here", "sip_status_code": "486"},
    }

    with pytest.raises(DialFailed) as failed:
        await servers.transfer("conv_1", "callee", "tel:+14155550177")

    assert (failed.value.code, failed.value.sip_status) == ("busy", 486)


async def test_a_transfer_that_nobody_tells_the_end_of_is_unknown(
    service: tuple[SipService, RoomServers],
) -> None:
    answering, servers = service
    answering.status = 408
    answering.body = {
        "code": "deadline_exceeded",
        "msg": "twirp error unknown: request timed out",
    }

    outcome = await servers.transfer("conv_1", "callee", "tel:+14155550177")

    assert isinstance(outcome, UnknownOutcome)


async def test_closing_a_room_that_is_gone_is_fine_and_one_that_can_not_be_closed_is_left(
    service: tuple[SipService, RoomServers],
) -> None:
    answering, servers = service
    for status, code in ((404, "not_found"), (503, "unavailable")):
        answering.status, answering.body = status, {"code": code, "msg": ""}
        await servers.close_room("conv_1")

    assert len(answering.asked) == 2


async def test_no_client_of_ours_repeats_a_request_at_another_of_livekit_cloud_s_hosts(
    service: tuple[SipService, RoomServers],
) -> None:
    for used in (
        service[1],
        RoomServers.open("wss://a.livekit.cloud", KEY, SECRET, "wss://b.cloud"),
    ):
        for client in (used._rooms, used._sip):
            assert client.sip._client._failover is False
            assert client.room._client._failover is False
        if used is not service[1]:
            await used.aclose()
