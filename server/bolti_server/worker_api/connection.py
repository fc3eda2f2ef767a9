"""One HTTP connection pool between a worker and its server, and the only place that reads status codes.

Rule: every request has a time-out, and every answer becomes one of three facts: here it is, come again
(`ServerUnreachable`), or it is over (`CallLost`, `NotAuthorized`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx2
import msgspec

from bolti_server.worker_api.errors import CallLost, NotAuthorized, ServerUnreachable
from bolti_server.worker_api.messages import PROTOCOL_HEADER, PROTOCOL_VERSION

Answer = TypeVar("Answer")

CONNECT_SECONDS = 3.0
REQUEST_SECONDS = 10.0
MAX_CONNECTIONS = 1000  # each call holds one long poll, and a worker may carry hundreds of calls
_COME_AGAIN = frozenset({408, 425, 429})


class Backoff:
    """Waits between tries: 0.1 s, doubling to 5 s, each ±25 %."""

    def __init__(self, first_seconds: float = 0.1, most_seconds: float = 5.0) -> None:
        self._first = first_seconds
        self._most = most_seconds
        self._next = first_seconds

    def next_seconds(self) -> float:
        seconds = self._next * random.uniform(0.75, 1.25)
        self._next = min(self._next * 2, self._most)
        return seconds

    def reset(self) -> None:
        self._next = self._first


class Connection:
    """`transport` replaces the network (httpx2.ASGITransport in tests). Close it with `aclose()`."""

    def __init__(self, base_url: str, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._http = httpx2.AsyncClient(
            base_url=base_url,
            transport=transport,
            headers={PROTOCOL_HEADER: PROTOCOL_VERSION},
            limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=100),
            follow_redirects=False,
            trust_env=False,  # a proxy for the internet must not get between a worker and its server
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def get(
        self,
        path: str,
        answer: type[Answer],
        *,
        token: str,
        params: Mapping[str, Any] | None = None,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Answer:
        """The decoded answer. Raises ServerUnreachable, CallLost, NotAuthorized."""
        body = await self._send(
            "GET", path, token=token, params=params, timeout_seconds=timeout_seconds
        )
        return _decoded(body, answer)

    async def post(
        self,
        path: str,
        message: msgspec.Struct,
        answer: type[Answer],
        *,
        token: str,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Answer:
        """As `get`. Only what is safe to repeat is sent this way: the messages carry their own keys."""
        body = await self._send(
            "POST",
            path,
            token=token,
            content=msgspec.json.encode(message),
            content_type="application/json",
            timeout_seconds=timeout_seconds,
        )
        return _decoded(body, answer)

    async def put_bytes(
        self,
        path: str,
        content: bytes,
        answer: type[Answer],
        *,
        token: str,
        content_type: str,
        params: Mapping[str, Any] | None = None,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Answer:
        """As `get`."""
        body = await self._send(
            "PUT",
            path,
            token=token,
            content=content,
            content_type=content_type,
            params=params,
            timeout_seconds=timeout_seconds,
        )
        return _decoded(body, answer)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        token: str,
        timeout_seconds: float,
        content: bytes | None = None,
        content_type: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> bytes:
        headers = {"Authorization": f"Bearer {token}"}
        if content_type is not None:
            headers["Content-Type"] = content_type
        try:
            response = await self._http.request(
                method,
                path,
                content=content,
                params=params,
                headers=headers,
                timeout=httpx2.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
            )
        except httpx2.TransportError as error:
            raise ServerUnreachable(f"{type(error).__name__}: {error}") from error
        return _accepted(response)


def _accepted(response: httpx2.Response) -> bytes:
    status = response.status_code
    if 200 <= status < 300:
        return response.content
    said = f"{response.request.method} {response.request.url.path} answered {status}: {response.text[:300]}"
    if status >= 500 or status in _COME_AGAIN:
        raise ServerUnreachable(said)
    if status in (401, 403):
        raise NotAuthorized(said)
    raise CallLost(said)


def _decoded(body: bytes, answer: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(body, type=answer)
    except msgspec.DecodeError as error:
        # Another program listens there, or a proxy answered: the same as no answer.
        raise ServerUnreachable(f"the answer is not a {answer.__name__}: {error}") from error
