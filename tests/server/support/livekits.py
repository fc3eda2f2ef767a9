"""A LiveKit server as far as the doctor asks it, with the answers that were recorded from livekit-server 1.13.5 and
livekit-sip 1.10.0 (November 2026; tests/stack/test_doctor.py holds the doctor against the real one)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import attrs
import httpx2
import jwt

KEY = "doctor-key"
SECRET = "doctor-secret-0123456789abcdef0123456789"
NO_REDIS = (500, "internal", "twirp error unknown: sip not connected (redis required)")
NO_SERVICE = (503, "unavailable", "twirp error unknown: no response from servers")
NO_CPU = (503, "unavailable", "twirp error unknown: cpu exhausted")
NOT_RESOLVED = (
    400,
    "invalid_argument",
    'twirp error unknown: fail to resolve target for "doctor.bolti.invalid": lookup doctor.bolti.invalid: no such host',
)

Error = tuple[int, str, str]


@attrs.define
class FakeLiveKit:
    """`trunks` and `dial` are the errors with which it answers; `front` is what `GET /` says."""

    makes_rooms: bool = True
    trunks: Error | None = None
    dial: Error = NOT_RESOLVED
    clock_ahead: timedelta = timedelta(0)
    front: str = "OK"
    asked: list[tuple[str, Mapping[str, Any]]] = attrs.Factory(list)

    @property
    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self.answer)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content) if request.content else {}
        self.asked.append((request.url.path, body))
        date = format_datetime(datetime.now(UTC) + self.clock_ahead, usegmt=True)
        found = self._answer(request, request.url.path.rpartition("/")[2])
        found.headers["Date"] = date
        return found

    def _answer(self, request: httpx2.Request, method: str) -> httpx2.Response:
        if request.url.path == "/":
            return httpx2.Response(200, text=self.front)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = token or request.url.params.get("access_token", "")
        try:
            claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=KEY)
        except jwt.InvalidTokenError as error:
            return httpx2.Response(401, text=f"invalid authorization token: {error}")
        video, sip = claims.get("video", {}), claims.get("sip", {})
        match method:
            case "ListRooms":
                return _granted(video.get("roomList"), {"rooms": []})
            case "DeleteRoom":
                return _granted(video.get("roomCreate"), {})
            case "validate" if self.makes_rooms:
                assert video["roomJoin"]
                return httpx2.Response(200, text="success")
            case "validate":
                return httpx2.Response(404, text="requested room does not exist")
            case "ListSIPInboundTrunk" if self.trunks is None:
                return _granted(sip.get("admin"), {"items": []})
            case "ListSIPInboundTrunk":
                return _error(self.trunks or NO_REDIS)
            case "CreateSIPParticipant":
                assert sip["call"]
                return _error(self.dial)
        return httpx2.Response(404, json={"code": "bad_route", "msg": request.url.path})


def _granted(is_granted: bool | None, answer: Mapping[str, Any]) -> httpx2.Response:
    if not is_granted:
        return _error((403, "permission_denied", "permissions denied"))
    return httpx2.Response(200, json=answer)


def _error(error: Error) -> httpx2.Response:
    status, code, message = error
    return httpx2.Response(status, json={"code": code, "msg": message})
