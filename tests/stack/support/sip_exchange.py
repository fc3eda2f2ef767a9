"""The phone network behind a real livekit-sip: its callees are reached by INVITE, RTP and BYE, in both directions.

It stands where the SIP service's requests go. A dial to the simulated network is sent on to livekit-server with the SIP
service's own address as the trunk: livekit-sip calls itself, and the call comes in to a room of its own, where the callee
picks up and talks as in any room. Who refuses is sipp. Everything else is passed on as it is.

Rules: the callee is whom the same request would have reached in the phone network (its metadata, its number); it answers by
coming into the far room, since subscribing to a caller is the answer; whichever side leaves, the far room is closed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import attrs
from aiohttp import web
from livekit import api
from livekit.protocol import sip
from tests.stack.sip_phones import SippRefuser
from tests.stack.support.media import LOOPBACK, MEDIA_ADDRESS, SIP_PORT

from bolti_server.phone_network.callees import destination_of, wishes_of
from bolti_server.phone_network.phone_in_room import LiveKit, PhoneInRoom, Seat, Voice
from bolti_server.phone_network.sip_answers import PHRASES
from bolti_server.simulated.callees import Callee
from bolti_server.simulated.voices import start_voices, stop_voices

# The server tells the SIP service that calls to the simulated network's own numbers are its own.
FAR_NUMBERS = [f"+199955501{index:02}" for index in range(100)]
FAR, TRUNK = "far-", "The far side"
NOTHING_SENT = b"cpu exhausted"
LOOK_SECONDS = 0.1
ANSWER_SECONDS = 90.0  # of livekit-server, which waits for the callee's
REFUSER_STARTS_SECONDS = 0.5
_ports = itertools.count(5300, 2)


@attrs.define
class Dial:
    """As the phone network's records are read by tests."""

    room: str
    identity: str
    number: str
    heard: list[str] = attrs.Factory(list)
    said: list[str] = attrs.Factory(list)
    keys: str = ""
    ended_at: float | None = None
    is_dialed: bool = True


@attrs.frozen
class Expected:
    """Whoever is going to be called at a number."""

    callee: Callee
    voice: Voice
    dial: Dial


@attrs.define
class Exchange:
    livekit: LiveKit
    asked: api.LiveKitAPI
    http: aiohttp.ClientSession
    folder: Path
    dials: list[Dial] = attrs.Factory(list)
    _expected: dict[str, Expected] = attrs.Factory(dict)
    _taken: set[str] = attrs.Factory(set)
    _tasks: set[asyncio.Task[None]] = attrs.Factory(set)

    async def prepare(self) -> None:
        """Calls to the simulated network come in, each to a far room; another module may have seen to that."""
        self._start(self._watch())
        known = await self.asked.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
        if any(each.name == TRUNK for each in known.items):
            return
        trunk = await self.asked.sip.create_inbound_trunk(
            api.CreateSIPInboundTrunkRequest(
                trunk=api.SIPInboundTrunkInfo(
                    name=TRUNK,
                    numbers=FAR_NUMBERS,
                    allowed_addresses=[f"{MEDIA_ADDRESS}/32"],
                )
            )
        )
        rule = api.SIPDispatchRule(
            dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix=FAR)
        )
        await self.asked.sip.create_dispatch_rule(
            api.CreateSIPDispatchRuleRequest(
                dispatch_rule=api.SIPDispatchRuleInfo(rule=rule, trunk_ids=[trunk.sip_trunk_id])
            )
        )

    async def handle(self, request: web.Request) -> web.Response:
        method, body = request.match_info["method"], await request.read()
        if method != "CreateSIPParticipant":
            return await self._pass_on(request, body)
        message = sip.CreateSIPParticipantRequest.FromString(body)
        if message.trunk.hostname.partition(":")[0] != "simulated":
            return await self._pass_on(request, body)
        return await self._dial(request, message)

    async def tell(self, _request: web.Request) -> web.Response:
        return web.json_response([attrs.asdict(dial) for dial in self.dials])

    async def _dial(
        self, request: web.Request, message: sip.CreateSIPParticipantRequest
    ) -> web.Response:
        wishes = wishes_of(message.participant_metadata)
        callee = destination_of("simulated", message.sip_call_to, wishes).callee
        assert callee is not None
        dial = Dial(message.room_name, message.participant_identity, message.sip_call_to)
        self.dials.append(dial)
        message.participant_metadata = ""
        if callee.refusal is None and callee.ring_ms is not None:
            message.sip_call_to = FAR_NUMBERS[int(message.sip_call_to[-2:])]
            self._expected[message.sip_call_to] = Expected(callee, wishes.voice or "modem", dial)
            message.trunk.hostname = f"{MEDIA_ADDRESS}:{SIP_PORT}"
            return await self._send(request, message, dial)
        port = next(_ports)
        message.trunk.hostname = f"{MEDIA_ADDRESS}:{port}"
        status = None if callee.refusal is None else callee.refusal.sip_status
        with SippRefuser(
            self.folder / f"sipp-{port}",
            address=message.trunk.hostname,
            status=status,
            reason=PHRASES.get(status or 0, "Refused"),
            rings=callee.ring_ms != 0,
        ):
            await asyncio.sleep(REFUSER_STARTS_SECONDS)
            try:
                return await self._send(request, message, dial)
            finally:
                dial.ended_at = time.time()

    async def _send(
        self, request: web.Request, message: sip.CreateSIPParticipantRequest, dial: Dial
    ) -> web.Response:
        answer = await self._pass_on(request, message.SerializeToString())
        if NOTHING_SENT in bytes(answer.body or b""):  # so it may be sent again
            dial.is_dialed = False
        return answer

    async def _pass_on(self, request: web.Request, body: bytes) -> web.Response:
        url = self.livekit.url.replace("ws", "http", 1) + request.path
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with self.http.post(url, data=body, headers=headers, timeout=timeout) as answer:
            told = await answer.read()
            return web.Response(body=told, status=answer.status, content_type=answer.content_type)

    async def _watch(self) -> None:
        while True:
            with suppress(api.TwirpError, aiohttp.ClientError):
                found = await self.asked.room.list_rooms(api.ListRoomsRequest())
                for room in found.rooms:
                    if room.name.startswith(FAR) and room.name not in self._taken:
                        await self._take(room.name)
            await asyncio.sleep(LOOK_SECONDS)

    async def _take(self, room: str) -> None:
        there = await self.asked.room.list_participants(api.ListParticipantsRequest(room=room))
        for caller in there.participants:
            expected = self._expected.pop(caller.attributes.get("sip.trunkPhoneNumber", ""), None)
            if expected is not None:
                self._taken.add(room)
                self._start(self._talk(room, expected))

    async def _talk(self, room: str, expected: Expected) -> None:
        assert expected.callee.ring_ms is not None
        await asyncio.sleep(expected.callee.ring_ms / 1000)
        phone = PhoneInRoom(self.livekit, Seat(room, "phone", "", "", {}), expected.voice)
        try:
            await phone.join()
            phone._room.on("participant_disconnected", lambda *_: phone.gone.set())
            if phone._room.remote_participants:
                await phone.prick_up_ears()
                await phone.talk(expected.callee.talk, max_seconds=None)
        finally:
            dial = expected.dial
            await phone.leave("CLIENT_INITIATED")
            dial.heard, dial.said, dial.keys = phone.heard, phone.said, phone.keys
            dial.ended_at = time.time()
            with suppress(api.TwirpError):
                await self.asked.room.delete_room(api.DeleteRoomRequest(room=room))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def main() -> None:
    livekit = LiveKit(
        os.environ["LIVEKIT_URL"],
        os.environ["LIVEKIT_API_KEY"],
        os.environ["LIVEKIT_API_SECRET"],
    )
    await start_voices()
    url = livekit.url.replace("ws", "http", 1)
    async with (
        api.LiveKitAPI(url, livekit.api_key, livekit.api_secret, failover=False) as asked,
        aiohttp.ClientSession() as http,
    ):
        exchange = Exchange(livekit, asked, http, Path(os.environ["EXCHANGE_FOLDER"]))
        await exchange.prepare()
        application = web.Application()
        application.router.add_post("/twirp/livekit.SIP/{method}", exchange.handle)
        application.router.add_get("/dials", exchange.tell)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, int(os.environ["EXCHANGE_PORT"])).start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await runner.cleanup()
            await stop_voices()


if __name__ == "__main__":
    asyncio.run(main())
