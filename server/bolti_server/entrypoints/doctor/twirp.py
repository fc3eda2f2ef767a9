"""LiveKit's API as the doctor speaks it: Twirp in JSON over plain HTTP, so that what is told is what was answered."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import attrs
import httpx2

TOKEN_SECONDS = 60


@attrs.frozen
class Access:
    """Where LiveKit is, and as whom."""

    url: str
    key: str
    secret: str = attrs.field(repr=False)

    @property
    def http_url(self) -> str:
        return (
            "http" + self.url.removeprefix("ws").rstrip("/")
            if self.url.startswith("ws")
            else self.url.rstrip("/")
        )

    def token(self, **grants: Mapping[str, Any]) -> str:
        """A JWT (RFC 7519) by hand: the library refuses short secrets, which here are a finding."""
        now = int(time.time())
        claims = {"iss": self.key, "sub": "doctor", "nbf": now - 5, "exp": now + TOKEN_SECONDS}
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part({**claims, **grants})}"
        return f"{signed}.{_base64(hmac.digest(self.secret.encode(), signed.encode(), 'sha256'))}"


@attrs.frozen
class Told:
    """`code` and `message` of an error, None of a success. `is_twirp`: the answer is one that LiveKit could give."""

    status: int
    code: str | None
    message: str | None
    is_twirp: bool
    date: str | None


async def call(
    http: httpx2.AsyncClient,
    access: Access,
    method: str,
    body: Mapping[str, Any],
    **grants: Mapping[str, Any],
) -> Told:
    """`method` as in `RoomService/ListRooms`. Raises httpx2.HTTPError."""
    answer = await http.post(
        f"{access.http_url}/twirp/livekit.{method}",
        json=body,
        headers={"Authorization": f"Bearer {access.token(**grants)}"},
    )
    try:
        told = answer.json()
    except ValueError:
        told = None
    is_error = answer.status_code != 200
    is_twirp = isinstance(told, dict) and (not is_error or "code" in told)
    if not isinstance(told, dict):
        told = {}
    return Told(
        answer.status_code,
        str(told.get("code", "")) if is_error else None,
        str(told.get("msg") or answer.text[:200]) if is_error else None,
        is_twirp,
        answer.headers.get("date"),
    )


def _part(claims: Mapping[str, Any]) -> str:
    return _base64(json.dumps(claims).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
