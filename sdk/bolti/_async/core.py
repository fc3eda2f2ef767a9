"""Sends operations and repeats them where that is right. The rules are in `_retrying` and `_sending`; here is the I/O."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import httpx2

from bolti._async.pages import AsyncListing, listing
from bolti._configuration import Configuration
from bolti._operations import Operation, T
from bolti._pages import PageLike
from bolti._sending import (
    KEEP_ALIVE_SECONDS,
    Body,
    Call,
    Options,
    Query,
    Wire,
    is_success,
    unreadable,
)
from bolti._waiting import async_sleep


class AsyncConnections:
    """The HTTP client, made at the first request: making one costs a tenth of a second."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._lock = threading.Lock()
        self._client: httpx2.AsyncClient | None = None
        self._is_closed = False

    def get(self) -> httpx2.AsyncClient:
        """Raises RuntimeError after `aclose()`."""
        client = self._client
        return client if client is not None else self._made()

    def _made(self) -> httpx2.AsyncClient:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("This client is closed.")
            if self._client is None:
                # Many live streams at once are many connections: their number is the caller's affair.
                limits = httpx2.Limits(
                    max_connections=None,
                    max_keepalive_connections=20,
                    keepalive_expiry=KEEP_ALIVE_SECONDS,
                )
                self._client = httpx2.AsyncClient(
                    limits=limits,
                    follow_redirects=False,
                    trust_env=not self._configuration.is_loopback,
                )
            return self._client

    async def aclose(self) -> None:
        """Safe to repeat."""
        with self._lock:
            client, self._client, self._is_closed = self._client, None, True
        if client is not None:
            await client.aclose()


class AsyncCore:
    """One per client; safe to share between tasks."""

    def __init__(self, wire: Wire, options: Options, connections: AsyncConnections) -> None:
        self.wire = wire
        self.options = options
        self.connections = connections

    def with_options(self, options: Options) -> AsyncCore:
        """The same connections with other limits."""
        return AsyncCore(self.wire, options, self.connections)

    async def call(
        self,
        operation: Operation[T],
        *,
        query: Query | None = None,
        body: Body | None = None,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
        **ids: str,
    ) -> T:
        """The answer of one logical call, after as many tries as it takes and the options allow. `ids` go into its path."""
        return await self._call(operation, ids, query, body, idempotency_key, expected_version)

    async def _call(
        self,
        operation: Operation[T],
        ids: Mapping[str, str],
        query: Query | None,
        body: Body | None = None,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
    ) -> T:
        wire = self.wire
        client = self.connections.get()
        url = wire.url(operation, query, ids)
        call = Call(wire, operation, self.options, url, body, idempotency_key, expected_version)
        while True:
            try:
                request = wire.request(
                    operation.method,
                    url,
                    headers=call.headers,
                    content=call.content,
                    read_seconds=call.next_try_seconds(),
                )
                response = await client.send(request, stream=True)
                content = await read_body(response, call)
            except httpx2.TransportError as error:
                await async_sleep(call.after_failure(error))
                continue
            if call.is_answered_by(response.status_code):
                return wire.read(operation, response, content)
            await async_sleep(call.after_refusal(wire.error(response, content)))

    def pages(
        self,
        operation: Operation[PageLike[T]],
        *,
        query: Mapping[str, Any],
        **ids: str,
    ) -> AsyncListing[T]:
        """The page that was asked for, and from it all that follow."""

        async def fetch(after: str | None) -> PageLike[T]:
            wanted = query if after is None else {**query, "after": after}
            return await self._call(operation, ids, wanted)

        return listing(fetch)

    async def open(
        self,
        operation: Operation[Any],
        *,
        query: Query | None,
        headers: Mapping[str, str],
        silence_seconds: float,
        **ids: str,
    ) -> httpx2.Response:
        """One try: an answer whose body is still to be read, silent for no longer than that. Raises ApiError, httpx2's."""
        request = self.wire.request(
            operation.method,
            self.wire.url(operation, query, ids),
            headers=self.wire.headers_with(headers),
            content=None,
            read_seconds=silence_seconds,
        )
        response = await self.connections.get().send(request, stream=True)
        if is_success(response.status_code):
            return response
        try:
            body = await response.aread()
        finally:
            await response.aclose()
        raise self.wire.error(response, body)


async def read_body(response: httpx2.Response, call: Call) -> bytes:
    """All of it, unless the call's time ends first: a server that drips holds nobody longer than that."""
    chunks: list[bytes] = []
    try:
        async for chunk in response.aiter_bytes():
            chunks.append(chunk)
            if call.is_late():
                raise httpx2.ReadTimeout("the answer did not end in time", request=response.request)
    except httpx2.DecodingError as error:
        raise unreadable(error, response) from error
    finally:
        await response.aclose()
    return b"".join(chunks)
