"""A telephone of the simulated network in a LiveKit room: a SIP participant, as LiveKit's own SIP service makes one.

Rules: its sound goes at the pace of the monotonic clock, silence included, from the answer to the end; it leaves once;
whoever closes the room has hung up on it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

import attrs
from google.protobuf.duration_pb2 import Duration
from livekit import api, rtc
from livekit.protocol.room import RoomConfiguration
from livekit.rtc.participant import PublishTrackError

from bolti_server.base.logging import get_logger
from bolti_server.phone_network.hearing import Hearing
from bolti_server.phone_network.sip_answers import LeaveReason
from bolti_server.rooms.media import DTMF_CODES
from bolti_server.simulated.beat import Beat
from bolti_server.simulated.callee_ear import Ear
from bolti_server.simulated.callee_mouth import Mouth
from bolti_server.simulated.callee_phone import CalleePhone
from bolti_server.simulated.phone import Phone, PhoneDown
from bolti_server.simulated.sound import RATE, SILENCE, frame_of

Voice = Literal["speech", "modem"]
End = Literal["callee_hung_up", "room_closed", "max_call_duration", "transferred", "broken"]

CONNECT_SECONDS = 5.0  # for an attempt of the SDK, which makes several
JOIN_SECONDS = 15.0
HEARS_SECONDS = 1.0
ANSWER_SECONDS = 10.0  # of whatever the media server is asked
# Sound that is on its way when the call begins, so that a late beat leaves no hole in a word. A word must not break.
_AHEAD_FRAMES = 4
_QUEUE_MS = 1_000
# Beyond a telephone's band: tones and speech survive 24 kbit/s, and the loopback costs nothing.
_BITRATE = 48_000
# What the callee said last is on its way through the network when its script is over.
_GOODBYE_SECONDS = 0.1
_LEAVING: set[asyncio.Future[None]] = set()  # of those who lost patience while they came in

log = get_logger("phone_network")


class NoRoom(Exception):
    """The media server can't be reached, or does not let the telephone in."""


@attrs.frozen
class LiveKit:
    """Where the rooms are."""

    url: str
    api_key: str
    api_secret: str = attrs.field(repr=False)


@attrs.frozen
class Seat:
    """The participant as everybody in the room sees it when it joins."""

    room: str
    identity: str
    name: str
    metadata: str
    attributes: Mapping[str, str]
    # Of the room that comes into being by this participant's joining it.
    room_config: RoomConfiguration | None = None
    room_preset: str = ""


class PhoneInRoom:
    """`heard` and `said` are as of SimulatedLine; `keys` are those that the agent pressed."""

    def __init__(
        self, livekit: LiveKit, seat: Seat, voice: Voice, *, sends_sound: bool = True
    ) -> None:
        self.seat = seat
        self._livekit = livekit
        self._mouth, self._ear = Mouth(), Ear(reads_modem=voice == "modem")
        self._phone = CalleePhone(self._mouth, self._ear, voice, self._press)
        self._hearing = Hearing()
        self._pressed: asyncio.Queue[str] = asyncio.Queue()
        self._room = rtc.Room()
        self._source: rtc.AudioSource | None = None
        self._publication: rtc.LocalTrackPublication | None = None
        self._connecting: asyncio.Future[None] | None = None
        self._transferred = asyncio.Event()
        self._clock: asyncio.Task[None] | None = None
        self._is_talking = False
        self._is_mute = not sends_sound
        self.gone = asyncio.Event()  # the room is closed, or this participant has been thrown out
        self.keys = ""

    @property
    def heard(self) -> list[str]:
        return self._ear.heard

    @property
    def said(self) -> list[str]:
        return self._mouth.said

    @property
    def sid(self) -> str:
        return self._room.local_participant.sid

    # ---- in the room ----

    async def join(self) -> None:
        """Comes in and publishes its track, which is still without sound. Raises NoRoom."""
        self._listen_to_room()
        connecting = asyncio.ensure_future(
            self._room.connect(
                self._livekit.url,
                _token(self._livekit, self.seat),
                rtc.RoomOptions(connect_timeout=CONNECT_SECONDS),
            )
        )
        self._connecting = connecting
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await asyncio.shield(connecting)
                await self._publish()
        except (TimeoutError, rtc.ConnectError, PublishTrackError) as error:
            raise NoRoom(repr(error)) from None
        self._clock = asyncio.create_task(self._run_clock(), name="phone_clock")
        # The server tells others of a participant that publishes with its next change, of any other up to 3 s later: so
        # this "change" is how they see it as it came, before it changes.
        await self.tell(self.seat.attributes)

    async def tell(self, attributes: Mapping[str, str]) -> None:
        """Changes attributes, in the order of the calls. What a room that is closed does not hear is lost."""
        if self.gone.is_set() or not self._room.isconnected():
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._room.local_participant.set_attributes(dict(attributes))
        except Exception as error:  # noqa: BLE001 - the SDK raises bare Exceptions here; an edge
            log.warning("attributes_not_told", room=self.seat.room, error=repr(error))

    async def is_picked_up_within(self, seconds: float) -> bool:
        """Whether somebody has subscribed to the track by then: that is how a call that comes in is answered."""
        if self._publication is None:
            return False
        picked_up = asyncio.ensure_future(self._publication.wait_for_subscription())
        gone = asyncio.ensure_future(self.gone.wait())
        try:
            await asyncio.wait(
                {picked_up, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            return picked_up.done() and not self.gone.is_set()
        finally:
            picked_up.cancel()
            gone.cancel()

    async def prick_up_ears(self) -> None:
        """Returns when it hears whoever sends sound into the room already, at most HEARS_SECONDS later: the first words
        after the answer are for it."""
        others = self._room.remote_participants.values()
        publications = [each for other in others for each in other.track_publications.values()]
        if any(each.kind == rtc.TrackKind.KIND_AUDIO for each in publications):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hearing.is_open.wait(), HEARS_SECONDS)

    async def is_gone_within(self, seconds: float) -> bool:
        """Whether the room is closed by then."""
        try:
            await asyncio.wait_for(self.gone.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def leave(self, reason: LeaveReason) -> None:
        """Safe to repeat."""
        self._mouth.stop()
        self._ear.put_down()
        if self._clock is not None:
            await _cancelled(self._clock)
        await self._hearing.stop()
        connecting = self._connecting
        if connecting is not None and not connecting.done():
            connecting.add_done_callback(self._disconnect_late)
        else:
            await self._disconnect(reason)
        if self._source is not None:
            await self._source.aclose()
            self._source = None

    async def _disconnect(self, reason: LeaveReason) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._room.disconnect(reason=rtc.DisconnectReason.Value(reason))

    def _disconnect_late(self, connecting: asyncio.Future[None]) -> None:
        """livekit 1.1.21 ends the whole process when `connect` is cancelled half way ("FFI Panic: timed out waiting for
        ReadyForRoomEventRequest"): so it comes in, whoever has lost patience, and leaves then."""
        if not connecting.cancelled() and connecting.exception() is None:
            task = asyncio.ensure_future(self._disconnect("CLIENT_INITIATED"))
            _LEAVING.add(task)
            task.add_done_callback(_LEAVING.discard)

    # ---- the call ----

    async def talk(
        self,
        script: Callable[[Phone], Awaitable[None]],
        *,
        max_seconds: float | None,
    ) -> End:
        """From the answer to the end; the telephone is still in the room then, except where the room is closed."""
        assert self._clock is not None  # it has joined
        self._is_talking = True
        keys = asyncio.create_task(self._send_keys(), name="phone_keys")
        talking = asyncio.create_task(_follow(script, self._phone), name="phone_script")
        gone = asyncio.create_task(self.gone.wait(), name="phone_gone")
        elsewhere = asyncio.create_task(self._transferred.wait(), name="phone_transferred")
        tasks: list[asyncio.Task[Any]] = [self._clock, keys, talking, gone, elsewhere]
        try:
            await asyncio.wait(tasks, timeout=max_seconds, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return "room_closed"
            if elsewhere.done():
                return "transferred"
            for task in (self._clock, keys, talking):
                if task.done() and (error := task.exception()) is not None:
                    log.error("phone_broke", room=self.seat.room, exc_info=error)
                    return "broken"
            if talking.done():
                await self._let_out()
                return "callee_hung_up"
            return "max_call_duration"
        finally:
            self._is_talking = False
            await _cancelled(*tasks)

    def put_through(self) -> None:
        """It talks with somebody else now: the talk ends as `transferred`."""
        self._transferred.set()

    # ---- how it goes on ----

    def _listen_to_room(self) -> None:
        def subscribed(track: rtc.Track, *_: object) -> None:
            self._hearing.add(track)

        def unsubscribed(track: rtc.Track, *_: object) -> None:
            self._hearing.remove(track)

        def pressed(key: rtc.SipDTMF) -> None:
            self.keys += key.digit
            self._phone.take_key(key.digit)

        def closed(*_: object) -> None:
            self.gone.set()

        self._room.on("track_subscribed", subscribed)
        self._room.on("track_unsubscribed", unsubscribed)
        self._room.on("sip_dtmf_received", pressed)
        self._room.on("disconnected", closed)

    async def _publish(self) -> None:
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=_QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track(self.seat.identity, self._source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_MICROPHONE,
            dtx=False,
            red=False,
        )
        options.audio_encoding.max_bitrate = _BITRATE
        self._publication = await self._room.local_participant.publish_track(track, options)

    async def _run_clock(self) -> None:
        """Silence from the first moment on: the receivers' jitter buffers have settled when words come."""
        if not self._is_mute:
            await self._play(SILENCE * _AHEAD_FRAMES)
        beat = Beat(time.monotonic(), time.time())
        while True:
            sound = b"".join([self._tick() for _ in beat.due(time.monotonic())])
            if sound and not self._is_mute:
                await self._play(sound)
            await asyncio.sleep(beat.rest(time.monotonic()))

    def _tick(self) -> bytes:
        """20 ms pass; returns the callee's sound of them."""
        frames = self._hearing.take()
        if not self._is_talking:
            return SILENCE
        sound = bytes(self._mouth.next_frame().data)
        for frame in frames:
            self._ear.hear(frame)
        self._phone.tick()
        return sound

    async def _play(self, sound: bytes) -> None:
        if self._source is None:
            return
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._source.capture_frame(frame_of(sound))

    async def _let_out(self) -> None:
        """Waits until what was said last is with whoever listens."""
        if self._source is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._source.wait_for_playout(), _QUEUE_MS / 1000)
        await self.is_gone_within(_GOODBYE_SECONDS)

    def _press(self, key: str) -> None:
        self._pressed.put_nowait(key)

    async def _send_keys(self) -> None:
        while True:
            key = await self._pressed.get()
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._room.local_participant.publish_dtmf(code=DTMF_CODES[key], digit=key)


async def _follow(script: Callable[[Phone], Awaitable[None]], phone: Phone) -> None:
    with suppress(PhoneDown):
        await script(phone)


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _token(livekit: LiveKit, seat: Seat) -> str:
    token = api.AccessToken(livekit.api_key, livekit.api_secret)
    token = (
        token.with_identity(seat.identity).with_kind("sip").with_attributes(dict(seat.attributes))
    )
    if seat.name:
        token = token.with_name(seat.name)
    if seat.metadata:
        token = token.with_metadata(seat.metadata)
    if seat.room_config is not None:
        token = token.with_room_config(seat.room_config)
    if seat.room_preset:
        token = token.with_room_preset(seat.room_preset)
    grants = api.VideoGrants(room_join=True, room=seat.room, can_update_own_metadata=True)
    return token.with_grants(grants).to_jwt()


def seconds_of(duration: Duration, default: float) -> float:
    """A duration of zero is one that nobody has set."""
    return duration.seconds + duration.nanos / 1e9 or default
