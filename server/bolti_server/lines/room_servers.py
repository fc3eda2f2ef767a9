"""What a call in a room asks of the media server and of its SIP service, each request under a limit and sent once.

Rules: `failover=False`: the client would repeat a dial by itself, and nobody is dialed twice. A dial that is not understood
is not repeated either: `None` says that somebody has to look. Rooms and SIP may be served at two addresses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Self

import aiohttp
import attrs
from google.protobuf.duration_pb2 import Duration
from livekit import api
from livekit.protocol.sip import SIPTransferStatus

from bolti_server.base.logging import get_logger
from bolti_server.lines import sip_outcomes
from bolti_server.lines.line import DialFailed
from bolti_server.lines.room_requests import TRANSFER_RING_SECONDS

REQUEST_SECONDS = 3.0
REPLY_SECONDS = 5.0  # beyond the ringing time-out, until the reply counts as lost

log = get_logger("room")


@attrs.frozen
class UnknownOutcome:
    """Nobody can tell from the reply what became of the request."""

    detail: str


class RoomServers:
    """Made by `open` in a running loop; close it."""

    def __init__(self, rooms: api.LiveKitAPI, sip: api.LiveKitAPI) -> None:
        self._rooms = rooms
        self._sip = sip

    @classmethod
    def open(cls, url: str, key: str, secret: str, sip_url: str | None = None) -> Self:
        """Connects to nothing yet. `sip_url` None: at `url`."""
        rooms = api.LiveKitAPI(url, key, secret, failover=False)
        if sip_url in (None, url):
            return cls(rooms, rooms)
        return cls(rooms, api.LiveKitAPI(sip_url, key, secret, failover=False))

    async def aclose(self) -> None:
        await self._rooms.aclose()
        if self._sip is not self._rooms:
            await self._sip.aclose()

    async def dial(
        self, request: api.CreateSIPParticipantRequest, has_rung: Callable[[], bool]
    ) -> UnknownOutcome | None:
        """None: answered. Raises DialFailed with what was understood; a refusal is read with what is known by then."""
        ring_seconds = request.ringing_timeout.seconds
        began = time.monotonic()
        try:
            async with asyncio.timeout(ring_seconds + REPLY_SECONDS):
                await self._sip.sip.create_sip_participant(
                    request, timeout=ring_seconds + REPLY_SECONDS
                )
        except api.TwirpError as error:
            is_time_up = time.monotonic() - began > ring_seconds - 1
            failed = _understood(error, has_rung=has_rung(), is_time_up=is_time_up)
            if failed is not None:
                raise failed from error
            return UnknownOutcome(f"{error.code}: {error.message}")
        except aiohttp.ClientConnectorError as error:  # no connection: no request has left
            raise DialFailed(
                "media_unavailable",
                None,
                f"The SIP service can't be reached: {error}",
                is_nothing_sent=True,
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            return UnknownOutcome(f"{type(error).__name__}: {error}")
        return None

    async def transfer(self, room: str, identity: str, to: str) -> UnknownOutcome | None:
        """None: it was taken over. Raises DialFailed: it was not."""
        request = api.TransferSIPParticipantRequest(
            room_name=room,
            participant_identity=identity,
            transfer_to=to,
            play_dialtone=False,
            ringing_timeout=Duration(seconds=TRANSFER_RING_SECONDS),
        )
        try:
            async with asyncio.timeout(TRANSFER_RING_SECONDS + REPLY_SECONDS):
                done = await self._sip.sip.transfer_sip_participant(request)
        except api.TwirpError as error:
            failed = _understood(error, has_rung=True)
            if failed is not None:
                raise failed from error
            return UnknownOutcome(f"{error.code}: {error.message}")
        except (aiohttp.ClientError, TimeoutError) as error:
            return UnknownOutcome(f"{type(error).__name__}: {error}")
        if done.status == SIPTransferStatus.STS_TRANSFER_FAILED:
            status = done.sip_status
            if status.code:
                raise sip_outcomes.of_sip_status(status.code, status.status, has_rung=True)
            return UnknownOutcome("the transfer failed without a reason")
        return None

    async def is_in_room(self, room: str, identity: str) -> bool:
        """Whether the media server knows this participant there; False also where it does not answer."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._rooms.room.get_participant(
                    api.RoomParticipantIdentity(room=room, identity=identity)
                )
        except (api.TwirpError, aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def remove(self, room: str, identity: str) -> None:
        """That participant is hung up; safe to repeat. Never raises: the room's end hangs it up at the latest."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._rooms.room.remove_participant(
                    api.RoomParticipantIdentity(room=room, identity=identity)
                )
        except api.TwirpError as error:
            if error.code != api.TwirpErrorCode.NOT_FOUND:
                log.warning("participant_not_removed", room=room, detail=str(error))
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning(
                "participant_not_removed", room=room, detail=f"{type(error).__name__}: {error}"
            )

    async def close_room(self, room: str) -> None:
        """Everybody in it is hung up; safe to repeat. Never raises: a room that stays is closed by the server later."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._rooms.room.delete_room(api.DeleteRoomRequest(room=room))
        except api.TwirpError as error:
            if error.code != api.TwirpErrorCode.NOT_FOUND:
                log.warning("room_not_closed", room=room, detail=str(error))
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("room_not_closed", room=room, detail=f"{type(error).__name__}: {error}")


def _understood(
    error: api.TwirpError, *, has_rung: bool, is_time_up: bool = True
) -> DialFailed | None:
    status = error.sip_status_code if isinstance(error, api.SipCallError) else None
    text = error.sip_status if isinstance(error, api.SipCallError) else None
    return sip_outcomes.of_error(
        error.code,
        error.message,
        sip_status=status,
        sip_text=text,
        has_rung=has_rung,
        is_time_up=is_time_up,
    )
