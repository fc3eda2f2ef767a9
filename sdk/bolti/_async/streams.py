"""The event log as it goes on. Rule: no event is lost or given twice over dropped connections and restarts of the server:
each connection goes on after the last event that was handed out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from types import TracebackType

import httpx2
from pydantic import ValidationError

from bolti._async.core import AsyncCore
from bolti._errors import ApiError, ConnectionFailed, UnexpectedAnswer
from bolti._events import AnyEvent, event_of
from bolti._operations import LIST_EVENTS
from bolti._problems import unexpected
from bolti._retrying import Repeat, is_worth_repeating, wait_seconds
from bolti._sending import Query
from bolti._sse import Decoder, EventTooLong, Message
from bolti._waiting import async_sleep

LONGEST_SILENCE_SECONDS = 60.0


class AsyncEventConnection:
    """One connection to the live log, from opening to its end."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._chunks: AsyncIterator[bytes] = response.aiter_bytes()
        self._decoder = Decoder()

    @classmethod
    async def open(
        cls, core: AsyncCore, query: Query, *, last_event_id: str | None, silence_seconds: float
    ) -> AsyncEventConnection:
        """Raises ApiError, UnexpectedAnswer, and httpx2's TransportError."""
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        response = await core.open(
            LIST_EVENTS, query=query, headers=headers, silence_seconds=silence_seconds
        )
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            await response.aclose()
            raise UnexpectedAnswer(
                "The server does not offer its events as a live stream; `events.list()` reads them page by page.",
                status=response.status_code,
                request_id=response.headers.get("request-id"),
            )
        return cls(response)

    async def read(self) -> list[Message] | None:
        """What came next: nothing but a sign of life is an empty list, the end is None. Raises httpx2's TransportError."""
        try:
            chunk = await self._chunks.__anext__()
        except StopAsyncIteration:
            return None
        try:
            return self._decoder.feed(chunk)
        except EventTooLong as error:
            raise httpx2.RemoteProtocolError("an event without an end") from error

    async def aclose(self) -> None:
        """Safe to repeat."""
        await self._response.aclose()


class AsyncEventStream:
    """Iterate over it: events as they come, without an end. Close it (or use `async with`) when you have seen enough.

    A dropped connection is opened again after the last event that you got. The iteration raises ApiError where the
    server refuses for good, and ConnectionFailed after `give_up_after_seconds` without a connection.
    """

    def __init__(
        self,
        core: AsyncCore,
        query: Mapping[str, str | list[str] | None],
        *,
        give_up_after_seconds: float,
    ) -> None:
        self.last_event_id: str | None = None
        self._core = core
        self._query = query
        self._give_up_after_seconds = give_up_after_seconds
        self._connection: AsyncEventConnection | None = None
        self._ready: deque[AnyEvent] = deque()
        self._received_id: str | None = None
        self._failures = 0
        self._down_since: float | None = None
        self._retry_seconds = 0.0
        self._is_closed = False

    def __aiter__(self) -> AsyncEventStream:
        return self

    async def __anext__(self) -> AnyEvent:
        while not self._ready:
            if self._is_closed:
                raise StopAsyncIteration
            await self._receive()
        event = self._ready.popleft()
        self.last_event_id = event.id
        return event

    async def __aenter__(self) -> AsyncEventStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the iteration; safe to repeat."""
        self._is_closed = True
        self._ready.clear()
        await self._disconnect()

    async def _receive(self) -> None:
        try:
            if self._connection is None:
                self._connection = await self._opened()
            messages = await self._connection.read()
        except httpx2.TransportError as error:
            await self._disconnect()
            await self._wait_after(error)
        except ApiError as error:
            if not is_worth_repeating(Repeat.ALWAYS, error.status, error.code):
                raise
            await self._wait_after(error)
        else:
            if messages is None:
                await self._disconnect()
                await self._wait_after(None)
            else:
                self._failures, self._down_since = 0, None
                self._take(messages)

    async def _opened(self) -> AsyncEventConnection:
        return await AsyncEventConnection.open(
            self._core,
            self._query,
            last_event_id=self._received_id,
            silence_seconds=LONGEST_SILENCE_SECONDS,
        )

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            if message.retry_ms is not None:
                self._retry_seconds = message.retry_ms / 1000
            if not message.data:
                continue
            event = _event(message.data)
            if event.id != self._received_id:
                self._received_id = event.id
                self._ready.append(event)

    async def _wait_after(self, error: Exception | None) -> None:
        """`None`: the server closed the stream, as it does before it stops."""
        now = time.monotonic()
        self._down_since = self._down_since or now
        self._failures += 1
        if now - self._down_since >= self._give_up_after_seconds:
            raise ConnectionFailed(
                f"The event stream could not be opened again for {now - self._down_since:.0f} s: "
                f"{error or 'it closes at once'}. Go on later with after={self._received_id!r}."
            ) from error
        asked = error.retry_after_seconds if isinstance(error, ApiError) else None
        await async_sleep(max(self._retry_seconds, wait_seconds(self._failures, asked)))

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()


def _event(data: str) -> AnyEvent:
    try:
        return event_of(data)
    except ValidationError as error:
        raise unexpected(error, LIST_EVENTS.id, status=200, request_id=None) from None
