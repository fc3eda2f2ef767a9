"""The phone network over HTTP: who is let in, Twirp in protobuf and JSON, bad luck on order."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import httpx2
import pytest
from livekit import api
from livekit.protocol import sip

from bolti_server.phone_network.app import build_app
from bolti_server.phone_network.network import Network
from bolti_server.phone_network.phone_in_room import LiveKit
from bolti_server.phone_network.tokens import Doorkeeper

KEY, SECRET = "devkey", "a-secret-of-this-test-and-no-other"
NUMBER = "+12025550100"
TRUNK = {"trunk": {"numbers": ["+15550009999"], "ringing_timeout": "15s"}}
DIAL = {
    "room_name": "r",
    "trunk": {"hostname": "sip.example.com"},
    "sip_number": "+15550000000",
    "sip_call_to": NUMBER,
    "participant_identity": "callee",
}


@attrs.frozen
class Service:
    network: Network
    http: httpx2.AsyncClient

    async def sip(
        self, method: str, body: Any, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        return await self.http.post(f"/twirp/livekit.SIP/{method}", json=body, headers=headers)


def bearer(secret: str = SECRET, **grants: bool) -> dict[str, str]:
    token = api.AccessToken(KEY, secret).with_sip_grants(api.SIPGrants(**grants))
    return {"Authorization": f"Bearer {token.to_jwt()}"}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    network = Network(LiveKit("ws://127.0.0.1:1", KEY, SECRET))
    app = build_app(network, Doorkeeper(KEY, SECRET))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app),  # type: ignore[arg-type]
        base_url="http://phone-network.test",
        headers=bearer(admin=True, call=True),
    ) as http:
        yield Service(network, http)
    await network.stop()


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_it_says_what_it_is_to_anybody(service: Service) -> None:
    async with httpx2.AsyncClient(
        transport=service.http._transport, base_url="http://phone-network.test"
    ) as stranger:
        about = (await stranger.get("/")).json()
        assert "phone network" in about["what"]
        assert (await stranger.get("/health")).json() == {"status": "ok"}
        for path in ("/dials", "/calls"):
            assert code_of(await stranger.get(path)) == (401, "unauthenticated")


@pytest.mark.parametrize(
    ("method", "body", "headers"),
    [
        ("CreateSIPParticipant", DIAL, {"Authorization": ""}),
        ("CreateSIPParticipant", DIAL, bearer(admin=True)),
        ("CreateSIPInboundTrunk", TRUNK, bearer(call=True)),
        ("CreateSIPInboundTrunk", TRUNK, bearer()),
        (
            "TransferSIPParticipant",
            {"room_name": "r", "participant_identity": "callee", "transfer_to": "tel:+1"},
            bearer(call=True, admin=True),
        ),
    ],
)
async def test_a_token_without_the_grant_is_refused(
    service: Service, method: str, body: Any, headers: dict[str, str]
) -> None:
    assert code_of(await service.sip(method, body, headers)) == (401, "unauthenticated")
    assert not service.network.dials


@pytest.mark.parametrize(
    "headers",
    [
        bearer("another-secret-that-is-not-the-server-s", admin=True, call=True),
        {"Authorization": "Bearer junk"},
        {"Authorization": "Basic eDp5"},
    ],
)
async def test_a_token_of_another_server_is_refused(
    service: Service, headers: dict[str, str]
) -> None:
    assert (await service.sip("CreateSIPParticipant", DIAL, headers)).status_code == 401
    assert (await service.http.get("/dials", headers=headers)).status_code == 401
    assert not service.network.dials


async def test_protobuf_and_json_are_both_answered_in_kind(service: Service) -> None:
    in_json = await service.sip("CreateSIPInboundTrunk", TRUNK)
    assert in_json.headers["content-type"] == "application/json"
    made = in_json.json()
    assert made["ringing_timeout"] == "15s"
    assert made["allowed_addresses"] == []  # what is empty is told too
    in_protobuf = await service.http.post(
        "/twirp/livekit.SIP/ListSIPInboundTrunk",
        content=sip.ListSIPInboundTrunkRequest().SerializeToString(),
        headers={"Content-Type": "application/protobuf"},
    )
    assert in_protobuf.headers["content-type"] == "application/protobuf"
    listed = sip.ListSIPInboundTrunkResponse.FromString(in_protobuf.content)
    assert [each.sip_trunk_id for each in listed.items] == [made["sip_trunk_id"]]


@pytest.mark.parametrize(
    ("content", "content_type", "wanted"),
    [
        (b"{not json", "application/json", (400, "malformed")),
        (b"\xff\xff\xff", "application/protobuf", (400, "malformed")),
        (b"\xff", "application/json", (400, "malformed")),
        (b"{}", "text/plain", (404, "bad_route")),
    ],
)
async def test_a_broken_body_is_told_in_twirp_s_words(
    service: Service, content: bytes, content_type: str, wanted: tuple[int, str]
) -> None:
    answer = await service.http.post(
        "/twirp/livekit.SIP/CreateSIPParticipant",
        content=content,
        headers={"Content-Type": content_type},
    )
    assert code_of(answer) == wanted


async def test_a_method_that_there_is_not_is_a_bad_route(service: Service) -> None:
    assert code_of(await service.sip("MakeCoffee", {})) == (404, "bad_route")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"room_name": ""}, (400, "missing room name")),
        ({"sip_call_to": ""}, (400, "missing sip callee number")),
        ({"sip_call_to": "sip:a@b"}, (400, "SipCallTo should be a phone number or SIP user, not a full SIP URI")),
        ({"trunk": {}}, (400, "no outbound hostname specified")),
        ({"trunk": None}, (404, "requested sip trunk does not exist")),
        ({"trunk": {"hostname": "sip:a@b"}}, (400, "trunk hostname should be a hostname or IP, not SIP URI")),
        ({"sip_number": ""}, (412, "twirp error unknown: no numbers on outbound trunk")),
    ],
)  # fmt: skip
async def test_a_dial_that_livekit_would_not_pass_on_is_refused_in_its_words(
    service: Service, changes: dict[str, Any], wanted: tuple[int, str]
) -> None:
    answer = await service.sip("CreateSIPParticipant", {**DIAL, **changes})
    assert (answer.status_code, answer.json()["msg"]) == wanted
    assert not service.network.dials


async def test_a_scenario_that_there_is_not_is_no_dial(service: Service) -> None:
    metadata = json.dumps({"scenario": "sings"})
    answer = await service.sip("CreateSIPParticipant", {**DIAL, "participant_metadata": metadata})
    assert (answer.status_code, answer.json()["msg"]) == (400, "there is no scenario 'sings'")
    [dial] = (await service.http.get("/dials")).json()
    assert (dial["is_dialed"], dial["outcome"]) == (False, "invalid_argument")


async def test_bad_luck_comes_to_the_number_it_was_ordered_for_once(service: Service) -> None:
    ordered = {"next": "cpu_exhausted", "number": NUMBER, "times": 2}
    assert (await service.http.post("/behaviour", json=ordered)).is_success
    nobody = {
        **DIAL,
        "sip_call_to": "+12025550199",
        "participant_metadata": '{"scenario": "sings"}',
    }
    assert (await service.sip("CreateSIPParticipant", nobody)).status_code == 400
    for _ in range(2):
        answer = await service.sip("CreateSIPParticipant", DIAL)
        assert answer.status_code == 503
        assert answer.json() == {
            "code": "unavailable",
            "msg": "twirp error unknown: cpu exhausted",
        }
    assert service.network.behaviours.waiting == []
    dials = (await service.http.get("/dials")).json()
    assert [(each["number"], each["is_dialed"], each["outcome"]) for each in dials] == [
        ("+12025550199", False, "invalid_argument"),
        (NUMBER, False, "cpu_exhausted"),
        (NUMBER, False, "cpu_exhausted"),
    ]


async def test_bad_luck_can_be_called_off(service: Service) -> None:
    assert (await service.http.post("/behaviour", json={"next": "no_audio"})).is_success
    assert (await service.http.delete("/behaviour")).json() == []
    for body in (
        {"next": "sulk"},
        {"next": "no_audio", "times": 0},
        {},
        {"next": "no_audio", "x": 1},
    ):
        assert code_of(await service.http.post("/behaviour", json=body)) == (
            400,
            "invalid_argument",
        )


async def test_nobody_is_there_to_transfer(service: Service) -> None:
    token = api.AccessToken(KEY, SECRET).with_sip_grants(api.SIPGrants(call=True))
    token = token.with_grants(api.VideoGrants(room_admin=True, room="r"))
    wanted = {"room_name": "r", "participant_identity": "callee", "transfer_to": "tel:+12025550100"}
    answer = await service.sip(
        "TransferSIPParticipant", wanted, {"Authorization": f"Bearer {token.to_jwt()}"}
    )
    assert code_of(answer) == (404, "not_found")


async def test_a_call_to_a_number_of_nobody_is_a_404_for_the_caller(service: Service) -> None:
    wanted = {"from_number": "+12025550177", "to_number": "+15550009999"}
    call = (await service.http.post("/calls", json=wanted)).json()
    assert (call["sip_status"], call["outcome"]) == (404, "no_way_in")
    assert (await service.http.get("/calls")).json() == [call]
    for body in ({}, {**wanted, "until": "doomsday"}, {**wanted, "scenario": "sings"}):
        assert code_of(await service.http.post("/calls", json=body)) == (400, "invalid_argument")
