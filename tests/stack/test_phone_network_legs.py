"""What can be done with a leg of the stand-in, seen from the room: transfers, keys, closing it, and its bad luck."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import attrs
import httpx2
import pytest
from google.protobuf.duration_pb2 import Duration
from livekit import api, rtc
from tests.stack.support.exchanges import Lines, watched
from tests.stack.support.stack import Stack

SIDE_BY_SIDE = True
STAYS = "silent"
LEAVES_SECONDS = 8.0
HUMAN, BUSY, NOBODY = "+12025550100", "+12025550101", "+12025550102"


@attrs.frozen
class Leg:
    """A callee in a room, and what the room has seen."""

    lines: Lines
    sip: api.LiveKitAPI
    rooms: api.LiveKitAPI
    room: rtc.Room
    events: list[dict[str, Any]]
    number: str

    async def dial(self, scenario: str | None = STAYS, script: str | None = None) -> None:
        metadata = {"scenario": scenario} if script is None else {"script": script}
        await self.sip.sip.create_sip_participant(
            api.CreateSIPParticipantRequest(
                room_name=self.room.name,
                trunk=api.SIPOutboundConfig(hostname="callee.test"),
                sip_number="+15550000000",
                sip_call_to=self.number,
                participant_identity="phone",
                participant_metadata=json.dumps(metadata),
                wait_until_answered=True,
                ringing_timeout=Duration(seconds=20),
                max_call_duration=Duration(seconds=60),
            )
        )

    async def transfer(self, to_number: str) -> api.TransferSIPParticipantResponse:
        return await self.sip.sip.transfer_sip_participant(
            api.TransferSIPParticipantRequest(
                room_name=self.room.name,
                participant_identity="phone",
                transfer_to=f"tel:{to_number}",
                ringing_timeout=Duration(seconds=2),
            )
        )

    async def close(self) -> None:
        await self.rooms.room.delete_room(api.DeleteRoomRequest(room=self.room.name))

    async def behaves(self, behaviour: str, number: str | None = None) -> None:
        order = {"next": behaviour, "number": number or self.number}
        await self._ask("POST", "/behaviour", order)

    async def record(self) -> dict[str, Any]:
        dials = await self._ask("GET", "/dials")
        return dict([each for each in dials if each["number"] == self.number][-1])

    async def sees(self, event: str) -> dict[str, Any]:
        async with asyncio.timeout(LEAVES_SECONDS):
            while not (found := [each for each in self.events if each["event"] == event]):
                await asyncio.sleep(0.05)
        return found[-1]

    async def until(self, outcome: str) -> dict[str, Any]:
        async with asyncio.timeout(LEAVES_SECONDS):
            while (record := await self.record())["outcome"] != outcome:
                await asyncio.sleep(0.1)
        return record

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        async with httpx2.AsyncClient(base_url=self.lines.sip_url, timeout=10) as http:
            answer = await http.request(method, path, json=body, headers=self.lines.bearer())
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def lines(stack: Stack) -> Lines:
    livekit = stack.livekit
    return Lines(livekit.url, stack.phone_network_url, livekit.key, livekit.secret)


@pytest.fixture(scope="module")
async def make(lines: Lines) -> AsyncIterator[Callable[[], Awaitable[Leg]]]:
    made: list[Leg] = []
    over_http = lines.livekit_url.replace("ws", "http", 1)

    async def leg() -> Leg:
        events: list[dict[str, Any]] = []
        room, name = watched(events), f"y-{len(made)}"
        await room.connect(lines.livekit_url, lines.seat(name), rtc.RoomOptions(connect_timeout=10))
        sip = api.LiveKitAPI(lines.sip_url, lines.key, lines.secret, failover=False)
        rooms = api.LiveKitAPI(over_http, lines.key, lines.secret)
        made.append(Leg(lines, sip, rooms, room, events, f"+15552340{len(made):03}"))
        return made[-1]

    yield leg
    for each in made:
        await each.room.disconnect()
        with suppress(api.TwirpError):  # closed by its test
            await each.close()
        await each.sip.aclose()
        await each.rooms.aclose()


async def test_a_transfer_that_is_taken_is_answered_with_nothing_and_the_leg_goes(
    make: Callable[[], Awaitable[Leg]],
) -> None:
    leg = await make()
    await leg.dial()
    assert await leg.transfer(HUMAN) == api.TransferSIPParticipantResponse()
    assert (await leg.sees("participant_disconnected"))["reason"] == "CLIENT_INITIATED"
    assert (await leg.record())["transferred_to"] == HUMAN


async def test_a_transfer_that_is_not_taken_says_so_as_livekit_does(
    make: Callable[[], Awaitable[Leg]],
) -> None:
    leg = await make()
    await leg.dial()
    with pytest.raises(api.SipCallError) as busy:
        await leg.transfer(BUSY)
    assert (busy.value.sip_status_code, busy.value.code) == (486, "resource_exhausted")
    await leg.behaves("transfer_refused", HUMAN)
    with pytest.raises(api.SipCallError) as refused:
        await leg.transfer(HUMAN)
    assert (refused.value.sip_status_code, refused.value.code) == (603, "permission_denied")
    for number in (NOBODY, HUMAN):
        if number == HUMAN:
            await leg.behaves("transfer_unanswered", HUMAN)
        with pytest.raises(api.TwirpError) as unknown:
            await leg.transfer(number)
        assert (unknown.value.code, unknown.value.metadata) == ("deadline_exceeded", {})
    assert (await leg.record())["outcome"] is None


async def test_keys_go_both_ways(make: Callable[[], Awaitable[Leg]]) -> None:
    leg = await make()
    pressed: list[str] = []
    leg.room.on("sip_dtmf_received", lambda key: pressed.append(key.digit))
    steps = ["answer", {"press": "4w#"}, {"wait_for_keys": 10_000}, "hang_up"]
    await leg.dial(script=json.dumps({"name": "keys", "callee": steps}))
    for key in "19*":
        code = "0123456789*#".index(key)
        await leg.room.local_participant.publish_dtmf(code=code, digit=key)
    assert (await leg.until("callee_hung_up"))["keys"] == "19*"
    assert pressed == ["4", "#"]


async def test_who_closes_the_room_while_it_rings_has_given_up(
    make: Callable[[], Awaitable[Leg]],
) -> None:
    leg = await make()
    dialing = asyncio.create_task(leg.dial("no_answer"))
    await leg.sees("participant_attributes_changed")
    await leg.close()
    with pytest.raises(api.TwirpError) as given_up:
        await dialing
    assert given_up.value.code == "canceled"
    assert given_up.value.message.endswith("sip request timed out")
    assert (await leg.until("room_closed"))["answered_at"] is None


async def test_a_room_that_is_closed_hangs_up_at_once(make: Callable[[], Awaitable[Leg]]) -> None:
    leg = await make()
    await leg.dial()
    await leg.close()
    assert (await leg.until("room_closed"))["answered_at"] is not None


async def test_a_leg_that_is_lost_says_no_goodbye(make: Callable[[], Awaitable[Leg]]) -> None:
    leg = await make()
    await leg.behaves("leg_lost")
    await leg.dial()
    await leg.sees("participant_disconnected")
    changes = [each.get("changed", {}) for each in leg.events]
    assert {"sip.callStatus": "hangup"} not in changes
    assert (await leg.until("lost"))["outcome"] == "lost"


async def test_a_leg_that_outlives_its_room_is_there_again_until_that_is_closed_too(
    make: Callable[[], Awaitable[Leg]],
) -> None:
    leg = await make()
    await leg.behaves("leg_outlives_room")
    await leg.dial()
    await leg.close()
    await leg.until("came_back")
    await leg.close()
    assert (await leg.until("closed_again"))["ended_at"] is not None
