"""Plays a recorded exchange with LiveKit's SIP service again: the same request, and what the client and the room saw."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import attrs
import httpx2
from livekit import api, rtc

RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "server" / "lines" / "exchanges.json").read_text(encoding="utf-8")
)["exchanges"]
REQUEST: dict[str, Any] = RECORDED[0]["request"]  # the others' is "as the first"
CPU = "sip service out of CPU"
SEEN_SECONDS = 2.0  # what a room tells of a participant that is gone comes a moment later
TALKS_UNTIL_CUT = {"scenario": "silent"}
HANGS_UP_SOON = {"script": '{"name": "bye", "callee": ["answer", {"wait": 900}, "hang_up"]}'}
# The recorded callees stood at ports of one address. The phone network goes by the host's name.
HOSTS = {"cap": "callee.test", "bye": "callee.test", "ring": "ringing.test", CPU: "callee.test"}
HOSTS |= {"closed_port": "silent.test", "no_dns": "no-such-host.invalid"}
TALKS = {"cap": TALKS_UNTIL_CUT, "bye": HANGS_UP_SOON}


@attrs.frozen
class Lines:
    """Where the rooms are, where the SIP service is, and the key to both."""

    livekit_url: str
    sip_url: str
    key: str
    secret: str

    def bearer(self) -> dict[str, str]:
        grants = api.SIPGrants(admin=True, call=True)
        token = api.AccessToken(self.key, self.secret).with_sip_grants(grants)
        return {"Authorization": f"Bearer {token.to_jwt()}"}

    def seat(self, room: str) -> str:
        grants = api.VideoGrants(room_join=True, room=room)
        return (
            api.AccessToken(self.key, self.secret).with_identity("watcher").with_grants(grants)
        ).to_jwt()


@attrs.frozen
class Played:
    http_status: int
    body: dict[str, Any]
    events: list[dict[str, Any]]
    seconds: float
    room: str
    hostname: str


async def play(case: str, lines: Lines, number: str) -> Played:
    """`case` as it stands in the recording."""
    room_name, host = f"x-{case.replace(' ', '-')}-{number[-4:]}", _host_of(case)
    request = {
        **REQUEST,
        "room_name": room_name,
        "trunk": {**REQUEST["trunk"], "hostname": host},
        "sip_call_to": number,
        "participant_metadata": json.dumps(TALKS.get(case, {})),
    }
    events: list[dict[str, Any]] = []
    room = watched(events)
    async with httpx2.AsyncClient(
        base_url=lines.sip_url, headers=lines.bearer(), timeout=30
    ) as http:
        # Never under wait_for: livekit 1.1.21 ends the process when `connect` is cancelled half way.
        options = rtc.RoomOptions(auto_subscribe=False, connect_timeout=10)
        await room.connect(lines.livekit_url, lines.seat(room_name), options)
        try:
            if case == CPU:
                order = {"next": "cpu_exhausted", "number": number}
                assert (await http.post("/behaviour", json=order)).is_success
            began = time.monotonic()
            answer = await http.post("/twirp/livekit.SIP/CreateSIPParticipant", json=request)
            seconds = time.monotonic() - began
            await _settled(events, answer, wants_events=case != CPU)
        finally:
            await room.disconnect()
    return Played(answer.status_code, answer.json(), events, seconds, room_name, host)


def _host_of(case: str) -> str:
    host = HOSTS.get(case, f"sip-{case}.test")
    return host if case == "no_dns" else f"{host}:5080"  # the port is told as it was given, or 5060


def watched(events: list[dict[str, Any]]) -> rtc.Room:
    """A room, not yet connected, that writes down what it is told of others."""
    room = rtc.Room()

    def connected(who: rtc.RemoteParticipant) -> None:
        events.append(
            {
                "event": "participant_connected",
                "identity": who.identity,
                "kind": who.kind,
                "attributes": dict(who.attributes),
            }
        )

    def changed(attributes: dict[str, str], _who: rtc.Participant) -> None:
        events.append({"event": "participant_attributes_changed", "changed": dict(attributes)})

    def published(track: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        events.append(
            {
                "event": "track_published",
                "identity": who.identity,
                "kind": track.kind,
                "name": track.name,
                "source": track.source,
            }
        )

    def left(who: rtc.RemoteParticipant) -> None:
        reason = rtc.DisconnectReason.Name(who.disconnect_reason or 0)
        events.append(
            {"event": "participant_disconnected", "identity": who.identity, "reason": reason}
        )

    room.on("participant_connected", connected)
    room.on("participant_attributes_changed", changed)
    room.on("track_published", published)
    room.on("participant_disconnected", left)
    return room


async def _settled(
    events: list[dict[str, Any]], answer: httpx2.Response, *, wants_events: bool
) -> None:
    """Waits until the callee has left: an answered call lasts as long as its cap."""
    if not wants_events:
        await asyncio.sleep(SEEN_SECONDS / 4)
        return
    lasts = 12.0 if answer.is_success else SEEN_SECONDS
    deadline = time.monotonic() + lasts
    while not (events and events[-1]["event"] == "participant_disconnected"):
        assert time.monotonic() < deadline, f"the callee is still there: {events}"
        await asyncio.sleep(0.05)
