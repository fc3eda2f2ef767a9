"""The stand-in does what LiveKit's own SIP service was recorded doing: to who asks, and to who is in the room.

All exchanges of tests/server/lines/exchanges.json, played against a real livekit-server.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.rpc.status_pb2 import Status
from livekit import api
from livekit.protocol import sip
from tests.stack.support.exchanges import RECORDED, Lines, Played, play
from tests.stack.support.stack import Stack

SIDE_BY_SIDE = True
AT_ONCE = 4
SLOWER_SECONDS = 5.0  # than the recorded answer, on two busy cores; a ringing timeout is 6 s
CASES = {each["case"]: each for each in RECORDED}
NUMBERS = {case: f"+1555123{index:04}" for index, case in enumerate(CASES)}


class Playing:
    def __init__(self, lines: Lines) -> None:
        places = asyncio.Semaphore(AT_ONCE)

        async def in_turn(case: str) -> Played:
            async with places:
                return await play(case, lines, NUMBERS[case])

        self._tasks = {case: asyncio.create_task(in_turn(case)) for case in CASES}

    async def of(self, case: str) -> Played:
        return await self._tasks[case]

    async def stop(self) -> None:
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


@pytest.fixture(scope="module")
async def playing(stack: Stack) -> AsyncIterator[Playing]:
    livekit = stack.livekit
    made = Playing(Lines(livekit.url, stack.phone_network_url, livekit.key, livekit.secret))
    yield made
    await made.stop()
    async with livekit.api() as asked:
        for room in await livekit.rooms():
            if room.startswith("x-"):
                await asked.room.delete_room(api.DeleteRoomRequest(room=room))


def test_the_recording_is_whole() -> None:
    assert len(CASES) == len(RECORDED) == 26


@pytest.mark.parametrize("case", CASES)
async def test_the_client_gets_the_recorded_answer(case: str, playing: Playing) -> None:
    played, recorded = await playing.of(case), CASES[case]
    assert played.http_status == recorded["http_status"]
    wanted = recorded["body"]
    if played.http_status == 200:
        assert played.body.keys() == wanted.keys()
        assert played.body["participant_identity"] == wanted["participant_identity"]
        assert played.body["room_name"] == played.room
        assert played.body["participant_id"].startswith("PA_")
        assert played.body["sip_call_id"].startswith("SCL_")
    else:
        assert _error(played.body) == _error(wanted)
    assert recorded["after_s"] - 0.2 <= played.seconds <= recorded["after_s"] + SLOWER_SECONDS


@pytest.mark.parametrize("case", [each for each in CASES if CASES[each]["body"].get("meta")])
async def test_the_sip_status_is_in_the_error_s_details_too(case: str, playing: Playing) -> None:
    played = await playing.of(case)
    details = Status.FromString(base64.b64decode(played.body["meta"]["error_details"]))
    assert details.message == played.body["msg"].removeprefix("twirp error unknown: ")
    status = sip.SIPStatus()
    assert details.details[0].Unpack(status)
    assert (str(status.code), status.status) == (case, played.body["meta"]["sip_status"])


@pytest.mark.parametrize("case", CASES)
async def test_the_room_sees_the_recorded_events_in_their_order(
    case: str, playing: Playing
) -> None:
    played, recorded = await playing.of(case), CASES[case]
    seen, wanted = _told(played.events, played), _told(recorded["room_events"], played)
    assert [each for each in seen if each["event"] != "track_published"] == [
        each for each in wanted if each["event"] != "track_published"
    ]
    # A track is told of when its first packet came, which races with everything but joining and leaving.
    assert [each for each in seen if each["event"] == "track_published"] == [
        each for each in wanted if each["event"] == "track_published"
    ]
    if seen:
        assert seen[0]["event"] == "participant_connected"
        assert seen[-1]["event"] == "participant_disconnected"


def _error(body: dict[str, Any]) -> dict[str, Any]:
    """Without the two things that no recording can fix: the DNS's own words, and base64 of what is beside it."""
    meta = {**body.get("meta", {})}
    has_details = bool(meta.pop("error_details", None))
    return {**body, "msg": body["msg"].partition(": lookup")[0], "meta": (meta, has_details)}


def _told(events: list[dict[str, Any]], played: Played) -> list[dict[str, Any]]:
    """Without instants, with ids as "…" (SCL_…), and with the played call's number and host in the recorded one's place."""
    told = []
    for event in events:
        each = {name: value for name, value in event.items() if name != "at_s"}
        for name in ("attributes", "changed"):
            if name in each:
                each[name] = {key: _plain(key, value, played) for key, value in each[name].items()}
        told.append(each)
    return told


def _plain(key: str, value: str, played: Played) -> str:
    match key:
        case "sip.callID":
            return value[:4]
        case "sip.callIDFull" | "sip.callTag":
            return "…"
        case "sip.phoneNumber":
            return "the callee's"
        case "sip.hostname":
            name, _, port = value.partition(":")
            return f"{bool(name)}:{bool(port)}"
        case _:
            return value
