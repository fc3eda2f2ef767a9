"""What LiveKit's SIP service makes of a callee's answer: the error that the caller gets, and the reason with which the
participant leaves the room.

Recorded on livekit-server 1.13.5 with livekit-sip 1.10.0 in November 2026 (26 exchanges; tests/stack/test_phone_network.py
plays them all). What was not recorded follows its neighbours: 4xx are `invalid_argument`, 5xx `failed_precondition`, 6xx
`permission_denied`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

import attrs
from google.protobuf.any_pb2 import Any as AnyMessage
from livekit.protocol import sip

from bolti_server.phone_network.twirp import TwirpError

LeaveReason = Literal["CLIENT_INITIATED", "USER_UNAVAILABLE", "USER_REJECTED", "UNKNOWN_REASON"]

_PREFIX = "twirp error unknown: "
PHRASES: Mapping[int, str] = {
    **{int(status): status.phrase for status in HTTPStatus},  # SIP took many of them over
    480: "Temporarily Unavailable",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    504: "Gateway Time-out",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
_CODES: Mapping[int, str] = {
    403: "permission_denied",
    404: "not_found",
    408: "deadline_exceeded",
    410: "not_found",
    480: "resource_exhausted",
    486: "resource_exhausted",
    487: "aborted",
    504: "deadline_exceeded",
    600: "resource_exhausted",
    604: "not_found",
}
# google.rpc.Code, by Twirp's names.
_GRPC_CODES: Mapping[str, int] = {
    "invalid_argument": 3,
    "deadline_exceeded": 4,
    "not_found": 5,
    "permission_denied": 7,
    "resource_exhausted": 8,
    "failed_precondition": 9,
    "aborted": 10,
}
# These four have a branch of their own in livekit-sip, with words of their own.
_SAID_AS_FAILED = frozenset({404, 480, 486, 488})
_UNAVAILABLE = frozenset({404, 408, 480})
_WANTS_CREDENTIALS = frozenset({401, 407})


@attrs.frozen
class Refused:
    """The callee was not reached."""

    error: TwirpError
    leave_reason: LeaveReason
    outcome: str
    sip_status: int | None = None


NOT_ANSWERED = Refused(
    TwirpError("canceled", _PREFIX + "sip request timed out"), "USER_UNAVAILABLE", "not_answered"
)
OUT_OF_CPU = TwirpError("unavailable", _PREFIX + "cpu exhausted")
# Of a leg that is lost after dialing: the SIP service is gone, and livekit-server waits for it in vain.
NO_WORD = Refused(
    TwirpError("deadline_exceeded", _PREFIX + "request timed out"), "CLIENT_INITIATED", "lost"
)
# Whoever closes the room while it rings gets the words of a ring that nobody answered.
GIVEN_UP = Refused(
    TwirpError("canceled", _PREFIX + "sip request timed out"), "CLIENT_INITIATED", "room_closed"
)


def refused_with(sip_status: int) -> Refused:
    """The callee (or what is between us and it) answered with a final SIP status of 400 to 699."""
    if sip_status in _WANTS_CREDENTIALS:
        error = TwirpError(
            "failed_precondition",
            _PREFIX + "sip server required auth, but no username or password was provided",
        )
        return Refused(error, "USER_REJECTED", "refused", sip_status)
    how = (
        "INVITE failed: "
        if sip_status in _SAID_AS_FAILED
        else "unexpected status from INVITE response: "
    )
    error = error_of(sip_status, how)
    return Refused(error, _leave_reason_of(sip_status), "refused", sip_status)


def error_of(sip_status: int, how: str) -> TwirpError:
    """A final SIP status as the caller gets it; `how` says what it was the answer to."""
    code = _code_of(sip_status)
    message = f"{how}sip status: {sip_status}: {phrase_of(sip_status)}"
    return TwirpError(code, _PREFIX + message, _meta_of(sip_status, code, message))


def not_resolved(host: str) -> Refused:
    """The trunk's name is not in the DNS: nothing was sent."""
    error = TwirpError(
        "invalid_argument",
        f'{_PREFIX}fail to resolve target for "{host}": lookup {host}: no such host',
    )
    return Refused(error, "CLIENT_INITIATED", "not_resolved")


def phrase_of(sip_status: int) -> str:
    """SIP's reason phrase."""
    return PHRASES.get(sip_status, f"Status {sip_status}")


def _meta_of(sip_status: int, code: str, message: str) -> dict[str, str]:
    """The status twice: readable, and as base64 of a google.rpc.Status whose detail is a SIPStatus."""
    phrase = phrase_of(sip_status)
    detail = AnyMessage()
    # the enum is open: numbers that it has no name for pass through
    detail.Pack(sip.SIPStatus(code=sip_status, status=phrase))  # type: ignore[arg-type]
    status = bytes([0x08, _GRPC_CODES[code]])
    status += b"\x12" + _with_length(message.encode())
    status += b"\x1a" + _with_length(detail.SerializeToString())
    return {
        "sip_status_code": str(sip_status),
        "sip_status": phrase,
        "error_details": base64.b64encode(status).decode(),
    }


def _with_length(part: bytes) -> bytes:
    """As a field of protobuf: these are all shorter than 16 kB."""
    length = len(part)
    head = [length] if length < 0x80 else [length & 0x7F | 0x80, length >> 7]
    return bytes(head) + part


def _code_of(sip_status: int) -> str:
    if sip_status in _CODES:
        return _CODES[sip_status]
    if sip_status < 500:
        return "invalid_argument"
    return "failed_precondition" if sip_status < 600 else "permission_denied"


def _leave_reason_of(sip_status: int) -> LeaveReason:
    if sip_status in _UNAVAILABLE:
        return "USER_UNAVAILABLE"
    return "CLIENT_INITIATED" if 500 <= sip_status < 600 else "USER_REJECTED"
