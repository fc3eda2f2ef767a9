"""RoomLine: a telephone line, or a browser's, by way of a LiveKit room.

Rules: it dials once, and only where nobody is there yet (an outbound call's first agent); everybody else waits for who is
there or comes: a browser, a caller who rings until we subscribe to him, the callee of an agent that was lost. Hanging up is
closing the room: nothing else ends a telephone leg. Who leaves, and why, is told once.

The session's sound is wired by hand (decision 0014), so that our recorder and the count of the words stand in its chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal, TypeVar

from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.voice.room_io import (
    AudioInputOptions,
    AudioOutputOptions,
    RoomIO,
    RoomOptions,
)
from livekit.agents.voice.transcription import TranscriptSynchronizer

from bolti_server.base.logging import get_logger
from bolti_server.lines import sip_outcomes
from bolti_server.lines.line import DialFailed, Guest, GuestDial, LineNotReady, TransferFailed
from bolti_server.lines.room_departures import Departures
from bolti_server.lines.room_dial import RoomDial
from bolti_server.lines.room_guest import RoomGuest
from bolti_server.lines.room_keys import press
from bolti_server.lines.room_modes import identity_of, mode_of
from bolti_server.lines.room_other_side import SIP, STANDARD, OtherSide
from bolti_server.lines.room_requests import callee_request
from bolti_server.lines.room_servers import RoomServers
from bolti_server.lines.room_sound import AnsweredInput, PlayedWords, has_packets, keep_awake
from bolti_server.rooms.media import GUEST_IDENTITY
from bolti_server.worker_api.messages import CallSpec, SipTrunk

RATE = 16_000  # more than any telephone carries
BROWSER_RATE = 24_000
FRAME_MS = 20
NO_AUDIO_SECONDS = (
    10.0  # after the answer, without a packet from the callee, or with nobody listening to us
)
STATS_SECONDS = 3.0
SUBSCRIBED_SECONDS = 10.0
# What the agent said last is still on its way to the other side's ear when it has left this process.
LAST_WORDS_SECONDS = 0.3
TO_EAR_SECONDS = 0.6  # of who was called into a call
TAKEOVER_SECONDS = 1.0  # who is in a room is told when it is joined
INBOUND_ANSWER_SECONDS = 10.0  # from subscribing to `active`

Result = TypeVar("Result")

log = get_logger("room")


class RoomLine:
    """A CallLine. `joining` comes to whether this agent is in the room: it may be on its way while the agent gets ready. In
    a caller's room it subscribes to nobody. Close the line at the end."""

    voice: Literal["modem"] = "modem"  # how words of the simulated network travel: in the sound

    def __init__(
        self, room: rtc.Room, servers: RoomServers, spec: CallSpec, joining: asyncio.Future[bool]
    ) -> None:
        self._room = room
        self._joining = joining
        self._servers = servers
        self._spec = spec
        self.mode = mode_of(spec)
        is_browser = spec.line.kind == "browser"
        self._other = OtherSide(
            room,
            kind=STANDARD if is_browser else SIP,
            identity=identity_of(spec, is_browser=is_browser),
        )
        self._dialing = RoomDial(servers, self._other)
        self._guest: RoomGuest | None = None
        self._departures = Departures(room, self._other, spec)
        self._room_io: RoomIO | None = None
        self._synchronizer: TranscriptSynchronizer | None = None
        self._input: AnsweredInput | None = None
        self._on_ringing: list[Callable[[], None]] = []
        self._on_dtmf: list[Callable[[str], None]] = []
        self._is_ringing_told = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._other.on_status(self._status_changed)
        room.on("sip_dtmf_received", self._key_received)

    # ---- what the call sees ----

    async def attach(self, session: AgentSession[Any]) -> dict[str, Any]:
        """Sets the session's sound in and out, before `session.start`."""
        is_browser = self._spec.line.kind == "browser"
        rate = BROWSER_RATE if is_browser else RATE
        there = self._other.participant
        self._room_io = room_io = RoomIO(
            session,
            self._room,
            participant=there.identity if there else identity_of(self._spec, is_browser=is_browser),
            options=RoomOptions(
                text_input=False,
                # A browser shows what is said; to a telephone nobody sends text.
                text_output=is_browser,
                audio_input=AudioInputOptions(
                    sample_rate=RATE,
                    frame_size_ms=FRAME_MS,
                    # A telephone network levels by itself, and gain would raise the noise between words.
                    auto_gain_control=False,
                    pre_connect_audio=False,
                ),
                audio_output=AudioOutputOptions(sample_rate=rate, track_name="agent"),
                participant_kinds=[STANDARD if is_browser else SIP],
                close_on_disconnect=False,
                delete_room_on_close=False,
            ),
        )
        if is_browser:
            await self.ready()  # what sends the words to it asks the room who we are
        await room_io.start()
        assert room_io.audio_input is not None
        assert room_io.audio_output is not None
        synchronized = room_io.audio_output
        if not is_browser:
            self._synchronizer = TranscriptSynchronizer(
                next_in_chain_audio=synchronized, next_in_chain_text=None
            )
            synchronized = self._synchronizer.audio_output
            session.output.transcription = self._synchronizer.text_output
        self._input = AnsweredInput(room_io.audio_input)
        session.input.audio = self._input
        awake = self._spawn(self._keep_awake(room_io))
        session.output.audio = PlayedWords(synchronized, rate, lambda: _stop(awake))
        return {}

    async def ready(self) -> None:
        if not await asyncio.shield(self._joining):
            raise LineNotReady("The room could not be joined.")
        self._other.look()  # who was there before

    async def connect(self, trunk: SipTrunk | None = None) -> None:
        """Returns when the other side has answered. Raises DialFailed."""
        match self.mode:
            case "outbound":
                await self._dial(trunk)
            case "inbound":
                await self._answer()
            case "browser":
                await self._wait_for_browser()
            case "takeover":
                await self._take_over()
        self._answered()

    async def send_dtmf(self, digits: str) -> None:
        """Presses keys, one after another; stops where the call is over."""
        await press(self._room, digits, until=lambda: self._departures.is_over)

    async def transfer(self, to_number: str) -> None:
        """Cold, by SIP REFER: the provider connects the callee with `to_number` and takes it from us. Raises
        TransferFailed."""
        there = self._other.participant
        if there is None or there.kind != SIP:
            raise TransferFailed("unreachable", None, "Only a telephone call can be handed over.")
        with self._departures.held_back():
            try:
                unknown = await self._servers.transfer(
                    self._room.name, there.identity, f"tel:{to_number}"
                )
            except DialFailed as failed:
                raise TransferFailed(failed.code, failed.sip_status, failed.detail) from failed
            if unknown is not None:
                # A refused REFER often comes as a time-out (livekit.md): whoever is still there was not taken over.
                raise TransferFailed(
                    "no_answer" if self._other.is_there else "remote_hangup",
                    None,
                    f"Nobody said what became of the transfer ({unknown.detail}).",
                )
            self._departures.close()  # it goes now, and that is as it should be

    async def bring_in(self, dial: GuestDial) -> Guest:
        """A second leg into the same room. Raises TransferFailed."""
        there = self._other.participant
        if there is None or there.kind != SIP or self._guest is not None:
            raise TransferFailed("unreachable", None, "Nobody can be called into this call.")
        self._guest = guest = RoomGuest(self._room, self._servers, self._spec)
        try:
            await guest.dial(dial, call_seconds=self._departures.seconds_left)
        except (TransferFailed, asyncio.CancelledError):
            self._guest = None
            await guest.dismiss()
            raise
        await self._open_ear()
        return guest

    async def hangup(self) -> None:
        """Closes the room, which ends the telephone leg; safe to repeat."""
        self._departures.close()
        if self._other.is_there:
            await asyncio.sleep(LAST_WORDS_SECONDS)
        await self._servers.close_room(self._room.name)

    async def leave(self) -> bool:
        """The other side stays in the room, for the agent that follows."""
        self._departures.close()
        return True

    def on_ringing(self, callback: Callable[[], None]) -> None:
        self._on_ringing.append(callback)

    def on_left(self, callback: Callable[[str], None]) -> None:
        self._departures.on_left(callback)

    def on_dtmf(self, callback: Callable[[str], None]) -> None:
        self._on_dtmf.append(callback)

    async def aclose(self) -> None:
        """After the session is closed. Safe to repeat."""
        self._departures.close()
        self._other.close()
        self._dialing.close()
        if self._guest is not None:
            self._guest.close()
        for task in self._tasks:
            task.cancel()
        if self._synchronizer is not None:
            await self._synchronizer.aclose()
        if self._room_io is not None:
            await self._room_io.aclose()
        self._synchronizer = self._room_io = None

    # ---- how each kind is answered ----

    async def _dial(self, trunk: SipTrunk | None) -> None:
        spec = self._spec
        if trunk is None and not spec.line.is_simulated:
            raise DialFailed(
                "trunk_misconfigured", None, "No trunk was named to dial by.", is_nothing_sent=True
            )
        await self._dialing.send(callee_request(self._room.name, spec, trunk))

    async def _answer(self) -> None:
        """A caller rings until somebody subscribes to him."""
        if not self._other.is_there:
            raise DialFailed("caller_cancelled")
        self._other.subscribe()
        await self._other.wait_until(
            lambda: self._other.is_active or self._other.has_left, INBOUND_ANSWER_SECONDS
        )
        if self._other.has_left:
            raise DialFailed("caller_cancelled")
        if not self._other.is_active:
            raise DialFailed("media_lost", None, "The SIP service did not answer the call.")

    async def _wait_for_browser(self) -> None:
        self._tell_ringing()
        seconds = self._spec.ring_timeout_seconds
        if not await self._other.wait_until(lambda: self._other.is_there, seconds):
            raise DialFailed("no_answer", None, f"No browser came within {seconds} s.")
        await self._wait_for_listener()

    async def _take_over(self) -> None:
        """Whoever talked, or was being rung, for an agent that was lost."""
        spec = self._spec
        assert spec.takeover is not None
        is_telephone = spec.line.kind == "room"
        if GUEST_IDENTITY in self._room.remote_participants:
            # Whom the agent before was calling into the call: nobody is here to introduce them.
            await self._servers.remove(self._room.name, GUEST_IDENTITY)
        await self._other.wait_until(lambda: self._other.is_there, TAKEOVER_SECONDS)
        if self._other.is_there and is_telephone:
            self._other.subscribe()
            seconds = spec.ring_timeout_seconds
            await self._other.wait_until(
                lambda: self._other.is_active or self._other.has_left, seconds
            )
        if self._other.is_there and (self._other.is_active or not is_telephone):
            return
        if spec.takeover.answered_ms_ago is not None:
            raise DialFailed("remote_hangup", None, "Gone when another agent came.")
        if self._other.is_there:
            raise DialFailed("no_answer", None, "It rang, and nobody picked up.")
        raise sip_outcomes.of_departure(
            self._other.departure or "UNKNOWN_REASON", has_rung=self._other.has_rung
        )

    def _answered(self) -> None:
        assert self._input is not None
        self._input.open()
        self._departures.answered()
        self._spawn(self._expect_audio())

    async def _open_ear(self) -> None:
        """Who has just picked up hears silence first: the first words would be bent, as a greeting's, and nobody has a
        telephone at the ear at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(TO_EAR_SECONDS):
                if self._room_io is not None:
                    await self._keep_awake(self._room_io)

    async def _keep_awake(self, room_io: RoomIO) -> None:
        if room_io.subscribed_fut is not None:
            await asyncio.shield(room_io.subscribed_fut)
        assert room_io._audio_output is not None  # noqa: SLF001 - the track's source has no other way to it
        await keep_awake(room_io._audio_output._audio_source)  # noqa: SLF001

    # ---- how it goes on ----

    async def _expect_audio(self) -> None:
        """A callee who is heard by nobody, or who hears nobody, is let go: that is a provider's fault, and told as such."""
        await asyncio.sleep(NO_AUDIO_SECONDS)
        if self._departures.is_over or self._spec.line.kind == "browser":
            return  # a browser may begin muted
        if not (await self._has_packets() and self._has_listener()):
            self._departures.left("no_audio")

    def _has_listener(self) -> bool:
        subscribed = None if self._room_io is None else self._room_io.subscribed_fut
        return subscribed is None or subscribed.done()

    async def _has_packets(self) -> bool:
        """Whether anything has come from the callee. Frames alone are no sign: a track without packets gives silence."""
        there = self._other.participant
        if there is None:
            return True  # it has left: that is told elsewhere
        tracks = [each.track for each in there.track_publications.values() if each.track]
        try:
            async with asyncio.timeout(STATS_SECONDS):
                return any([await has_packets(track) for track in tracks])
        except Exception as error:  # noqa: BLE001 - the client raises no narrower one
            log.warning("no_statistics", room=self._room.name, detail=repr(error))
            return True  # a call is not ended by what could not be found out

    async def _wait_for_listener(self) -> None:
        assert self._room_io is not None
        subscribed = self._room_io.subscribed_fut
        assert subscribed is not None
        gone = self._spawn(self._other.wait_until(lambda: self._other.has_left, SUBSCRIBED_SECONDS))
        either: set[asyncio.Future[Any]] = {subscribed, gone}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._other.has_left:
            raise DialFailed("caller_cancelled")
        if not subscribed.done():
            raise DialFailed("no_audio", None, "The browser does not listen.")

    def _status_changed(self, status: str) -> None:
        if status == "ringing" and self.mode in ("outbound", "takeover"):
            self._tell_ringing()

    def _tell_ringing(self) -> None:
        if self._is_ringing_told:
            return
        self._is_ringing_told = True
        for callback in self._on_ringing:
            callback()

    def _key_received(self, event: rtc.SipDTMF) -> None:
        if self._other.is_it(event.participant) and not self._departures.is_over:
            for callback in self._on_dtmf:
                callback(event.digit)

    def _spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
