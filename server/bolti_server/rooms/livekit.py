"""`MediaServer` by LiveKit's server API (`livekit.api` alone: no media, no agents, docs/decisions/0013).

Rules: each request has REQUEST_SECONDS and is sent once (`failover=False`: the client would send it again by itself); what
LiveKit answers as refused is `MediaRefused`, everything of which nobody knows whether it was done is `MediaUnreachable`.
Rooms and SIP may be served at two addresses.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, cast, get_args

import aiohttp
import jwt
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from livekit import api

from bolti_server.rooms import livekit_trunks
from bolti_server.rooms.media import (
    AGENT_NAME,
    BROWSER_IDENTITY,
    CALLEE_IDENTITY,
    DEPARTURE_SECONDS,
    EMPTY_SECONDS,
    GUEST_IDENTITY,
    CallStatus,
    ForgedCallback,
    InboundTrunk,
    MediaEvent,
    MediaRefused,
    MediaTrunk,
    MediaUnreachable,
    OpenRoom,
    OtherSide,
    RoomLook,
)

REQUEST_SECONDS: Final = 3.0
# Of a ServerError: something went wrong, and what was done is not known.
_UNKNOWN_OUTCOMES: Final = frozenset(
    {
        api.TwirpErrorCode.CANCELED,
        api.TwirpErrorCode.DEADLINE_EXCEEDED,
        api.TwirpErrorCode.INTERNAL,
        api.TwirpErrorCode.UNKNOWN,
    }
)
# What livekit-server 1.13.5 answers when Redis was restarted under a room that it still carries (tests/stack).
_NODE_FORGOTTEN: Final = "could not find object"
_KEY_DETAIL: Final = "it does not accept this LIVEKIT_API_KEY with this LIVEKIT_API_SECRET"
_BEARER: Final = "Bearer "


class LiveKitMedia:
    """Made by `open`, closed by `aclose`."""

    def __init__(
        self, rooms: api.LiveKitAPI, sip: api.LiveKitAPI, key: str, secret: str, seconds: float
    ) -> None:
        self._rooms = rooms
        self._sip = sip
        self._key = key
        self._secret = secret
        self._seconds = seconds

    @classmethod
    def open(
        cls,
        url: str,
        *,
        sip_url: str | None,
        key: str,
        secret: str,
        request_seconds: float = REQUEST_SECONDS,
    ) -> LiveKitMedia:
        """Connects to nothing yet. `sip_url`: where SIP requests go (None: `url`). Needs a running loop."""
        rooms = _client(url, key, secret, request_seconds)
        sip = rooms
        if sip_url is not None and sip_url != url:
            sip = _client(sip_url, key, secret, request_seconds)
        return cls(rooms, sip, key, secret, request_seconds)

    async def send_agent(self, room: str, metadata: str, *, is_first: bool = False) -> None:
        made = api.CreateRoomRequest(
            name=room, empty_timeout=EMPTY_SECONDS, departure_timeout=DEPARTURE_SECONDS
        )
        async with self._in_time():
            if is_first:
                made.agents.add(agent_name=AGENT_NAME, metadata=metadata)
                await self._rooms.room.create_room(made)
                return
            await self._rooms.room.create_room(made)
            await self._rooms.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(agent_name=AGENT_NAME, room=room, metadata=metadata)
            )

    async def look(self, room: str) -> RoomLook:
        async with self._in_time():
            found, there = await asyncio.gather(
                self._rooms.room.list_rooms(api.ListRoomsRequest(names=[room])),
                self._participants(room),
            )
        if not found.rooms:
            return RoomLook(exists=False)
        sides = [side for each in sorted(there, key=_joined) if (side := _side(each)) is not None]
        return RoomLook(
            exists=True,
            other_side=_other_side(sides),
            other_count=sum(side.call_status != "hangup" for side in sides),
            agent_count=sum(each.kind == api.ParticipantInfo.Kind.AGENT for each in there),
        )

    async def _participants(self, room: str) -> Sequence[api.ParticipantInfo]:
        try:
            answer = await self._rooms.room.list_participants(
                api.ListParticipantsRequest(room=room)
            )
        except api.TwirpError as error:
            if error.code == api.TwirpErrorCode.NOT_FOUND:
                return []
            raise
        return [
            each
            for each in answer.participants
            if each.state != api.ParticipantInfo.State.DISCONNECTED
        ]

    async def close_room(self, room: str) -> None:
        try:
            await self._delete(room)
        except MediaUnreachable as error:
            if _NODE_FORGOTTEN not in str(error):
                raise
            # Whoever is in there would stay there: asking for the room again brings its node back to Redis.
            async with self._in_time():
                await self._rooms.room.create_room(api.CreateRoomRequest(name=room))
            await self._delete(room)

    async def _delete(self, room: str) -> None:
        try:
            async with self._in_time():
                await self._rooms.room.delete_room(api.DeleteRoomRequest(room=room))
        except MediaRefused as refusal:
            if refusal.code != api.TwirpErrorCode.NOT_FOUND:
                raise

    async def list_rooms(self) -> Sequence[OpenRoom]:
        async with self._in_time():
            answer = await self._rooms.room.list_rooms(api.ListRoomsRequest())
        return [
            OpenRoom(room.name, datetime.fromtimestamp(room.creation_time, UTC))
            for room in answer.rooms
        ]

    async def set_inbound_trunk(self, trunk: InboundTrunk, known: MediaTrunk | None) -> MediaTrunk:
        async with self._in_time():
            return await livekit_trunks.set_inbound_trunk(self._sip.sip, trunk, known)

    async def remove_inbound_trunk(self, known: MediaTrunk) -> None:
        async with self._in_time():
            await livekit_trunks.remove_inbound_trunk(self._sip.sip, known)

    def browser_token(self, room: str, *, name: str, seconds: int) -> str:
        grants = api.VideoGrants(
            room_join=True,
            room=room,
            can_publish_sources=["microphone"],
            can_update_own_metadata=False,
        )
        token = api.AccessToken(self._key, self._secret)
        return (
            token.with_identity(BROWSER_IDENTITY)
            .with_name(name)
            .with_grants(grants)
            .with_ttl(timedelta(seconds=seconds))
            .to_jwt()
        )

    def read_callback(self, body: bytes, authorization: str) -> MediaEvent | None:
        """LiveKit signs a callback by a token of our own key that holds the SHA-256 of the body."""
        token = authorization.removeprefix(_BEARER).strip()
        try:
            claimed = api.TokenVerifier(self._key, self._secret).verify(token).sha256
            promised = base64.b64decode(claimed or "", validate=True)
        except (jwt.PyJWTError, binascii.Error, ValueError, TypeError, KeyError) as error:
            raise ForgedCallback(type(error).__name__) from None
        if not hmac.compare_digest(promised, hashlib.sha256(body).digest()):
            raise ForgedCallback("another body")
        try:
            told = json_format.Parse(body, api.WebhookEvent(), ignore_unknown_fields=True)
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise ForgedCallback(type(error).__name__) from None
        return MediaEvent(told.event, told.room.name) if told.room.name else None

    async def aclose(self) -> None:
        await self._rooms.aclose()
        if self._sip is not self._rooms:
            await self._sip.aclose()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Time-out and errors of one use of the API, which may be two requests."""
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except api.TwirpError as error:
            if error.status in (401, 403):  # plain text, no Twirp error
                raise MediaRefused("unauthenticated", _KEY_DETAIL) from error
            if error.code in _UNKNOWN_OUTCOMES:
                told = f"{error.status} {error.code} {error.message}".strip()
                raise MediaUnreachable(told) from error
            raise MediaRefused(error.code, error.message) from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise MediaUnreachable(str(error) or type(error).__name__) from error
        except DecodeError as error:
            raise MediaUnreachable(f"not an answer of LiveKit: {error}") from error


def _client(url: str, key: str, secret: str, seconds: float) -> api.LiveKitAPI:
    timeout = aiohttp.ClientTimeout(total=seconds)
    return api.LiveKitAPI(url, key, secret, timeout=timeout, failover=False)


def _other_side(sides: Sequence[OtherSide]) -> OtherSide | None:
    """Whose call it is: of several the one that we dialed, else the first that came; nobody whom a transfer brought in."""
    named = [side for side in sides if side.identity in (CALLEE_IDENTITY, BROWSER_IDENTITY)]
    others = [side for side in sides if side.identity != GUEST_IDENTITY]
    return next(iter([*named, *others]), None)


def _joined(participant: api.ParticipantInfo) -> int:
    return participant.joined_at_ms


def _side(participant: api.ParticipantInfo) -> OtherSide | None:
    attributes = dict(participant.attributes)
    kinds = api.ParticipantInfo.Kind
    if participant.kind == kinds.SIP:
        told = attributes.get("sip.callStatus", "")
        status = cast("CallStatus", told) if told in get_args(CallStatus) else "unknown"
        call_id = attributes.get("sip.callID")
        return OtherSide(participant.identity, "sip", status, call_id, attributes)
    if participant.kind == kinds.STANDARD:
        return OtherSide(participant.identity, "browser", "active", None, attributes)
    return None
