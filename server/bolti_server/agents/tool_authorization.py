"""How a tool's request proves who sends it, and that its secrets show nowhere else.

Rule: a secret is in the request that leaves this server and in no other place: not in an answer of the API, not in what
a Test shows, not in what an LLM reads (a service that echoes its caller's headers is masked too).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from enum import StrEnum
from typing import assert_never
from urllib.parse import quote

import attrs

MASK = "•••"
DEFAULT_HMAC_HEADER = "Bolti-Signature"
# Shorter ones stand in any text by chance ("1234"); where they are placed they are masked all the same.
_SHORTEST_SEARCHED = 6


class AuthorizationKind(StrEnum):
    NONE = "none"
    BEARER = "bearer"
    BASIC = "basic"
    API_KEY_HEADER = "api_key_header"
    API_KEY_QUERY = "api_key_query"
    HMAC = "hmac"


@attrs.frozen
class Authorization:
    """`bearer` has token; `basic` username and password; `api_key_…` name and value; `hmac` secret and, if other than
    Bolti-Signature, the header's name."""

    kind: AuthorizationKind = AuthorizationKind.NONE
    token: str = attrs.field(default="", repr=False)
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    name: str = ""
    value: str = attrs.field(default="", repr=False)
    secret: str = attrs.field(default="", repr=False)

    def header(
        self, *, target: str, method: str, body: bytes, unix_time: int
    ) -> tuple[str, str] | None:
        """The header to add, if this kind is one. `target` is path and query as sent.

        hmac: `t=<unix time>,v1=<hex HMAC-SHA256 of "<t>.<method>.<target>.<body>">`: time, place and content are
        signed, so that a request can't be replayed later or elsewhere.
        """
        match self.kind:
            case AuthorizationKind.NONE | AuthorizationKind.API_KEY_QUERY:
                return None
            case AuthorizationKind.BEARER:
                return "Authorization", f"Bearer {self.token}"
            case AuthorizationKind.BASIC:
                return "Authorization", f"Basic {self._basic()}"
            case AuthorizationKind.API_KEY_HEADER:
                return self.name, self.value
            case AuthorizationKind.HMAC:
                signed = f"{unix_time}.{method}.{target}.".encode() + body
                digest = hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
                return self.name or DEFAULT_HMAC_HEADER, f"t={unix_time},v1={digest}"
            case _:
                assert_never(self.kind)

    def query_parameter(self) -> tuple[str, str] | None:
        if self.kind is AuthorizationKind.API_KEY_QUERY:
            return self.name, self.value
        return None

    def mask(self, text: str) -> str:
        """`text` without this authorization's secrets, in each spelling in which they travel."""
        for spelling in sorted(self._spellings(), key=len, reverse=True):
            text = text.replace(spelling, MASK)
        return text

    def _spellings(self) -> Iterable[str]:
        secrets = [self.token, self.password, self.value, self.secret]
        if self.kind is AuthorizationKind.BASIC:
            secrets.append(self._basic())
        for secret in secrets:
            if len(secret) >= _SHORTEST_SEARCHED:
                yield from {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}

    def _basic(self) -> str:
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


NO_AUTHORIZATION = Authorization()
