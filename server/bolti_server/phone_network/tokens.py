"""Who may ask: a token signed with the key and secret of the LiveKit server, as for LiveKit's own SIP service."""

from __future__ import annotations

import jwt
from google.protobuf.message import Message
from livekit import api
from livekit.api.access_token import Claims
from livekit.protocol import sip

from bolti_server.phone_network.twirp import TwirpError


class Unreadable(Exception):
    """There is a token, and it is none of ours: 401 in plain text, as livekit-server says it."""


class Doorkeeper:
    def __init__(self, api_key: str, api_secret: str) -> None:
        self._verifier = api.TokenVerifier(api_key, api_secret)

    def read(self, authorization: str | None) -> Claims | None:
        """What the token allows; None where there is no token. Raises Unreadable."""
        if not authorization:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            raise Unreadable("invalid authorization header. Must start with Bearer ")
        try:
            return self._verifier.verify(token)
        except jwt.InvalidSignatureError:
            raise Unreadable("invalid token, error: token signature is invalid") from None
        except jwt.InvalidTokenError:
            raise Unreadable("invalid authorization token") from None

    def check(self, claims: Claims | None, method: str, message: Message | None) -> None:
        """Raises TwirpError `unauthenticated` where the token does not allow this (livekit-server's code for it)."""
        if claims is None or claims.sip is None:
            raise _denied()
        match method:
            case "CreateSIPParticipant":
                is_allowed = claims.sip.call
            case "TransferSIPParticipant":
                is_allowed = claims.sip.call and _may_manage(claims, message)
            case _:
                is_allowed = claims.sip.admin
        if not is_allowed:
            raise _denied()


def _may_manage(claims: Claims, message: Message | None) -> bool:
    if not isinstance(message, sip.TransferSIPParticipantRequest) or not message.room_name:
        return True  # livekit-server complains of the missing room first
    video = claims.video
    return video is not None and bool(video.room_admin) and video.room == message.room_name


def _denied() -> TwirpError:
    return TwirpError("unauthenticated", "permissions denied")
