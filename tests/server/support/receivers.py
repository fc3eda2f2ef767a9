"""A webhook receiver on loopback: it verifies nothing, keeps everything, and answers as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
from tests.server.support.listeners import listening


@attrs.frozen
class Received:
    """One POST. Header names are in small letters."""

    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, raw: bytes) -> Received:
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return cls({name.lower(): value.strip() for name, _, value in pairs}, body)

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


# What to answer: a status, or bytes as they are; it may wait before.
Answer = Callable[[Received], Awaitable[int | bytes]]


@attrs.define
class Receiver:
    """`received` in the order of arrival; set `answer` to change what comes back from then on."""

    answer: Answer
    url: str = ""
    port: int = 0
    received: list[Received] = attrs.Factory(list)
    _came: asyncio.Event = attrs.Factory(asyncio.Event)

    def ids(self) -> list[str]:
        return [each.id for each in self.received]

    async def wait_for(self, count: int, timeout_seconds: float = 10) -> None:
        """Until so many requests have come in all."""
        async with asyncio.timeout(timeout_seconds):
            while len(self.received) < count:
                self._came.clear()
                await self._came.wait()


def always(status: int) -> Answer:
    async def answer(_received: Received) -> int:
        return status

    return answer


@asynccontextmanager
async def receiving(answer: Answer | int = 200, *, port: int = 0) -> AsyncIterator[Receiver]:
    """Listens while the block runs; after it, connections are refused."""
    receiver = Receiver(always(answer) if isinstance(answer, int) else answer)

    async def behave(request: bytes, writer: asyncio.StreamWriter) -> None:
        received = Received.of(request)
        receiver.received.append(received)
        receiver._came.set()
        result = await receiver.answer(received)
        if isinstance(result, int):
            result = f"HTTP/1.1 {result} Said\r\nContent-Length: 2\r\n\r\nok".encode()
        writer.write(result)
        await writer.drain()

    async with listening(behave, port=port) as listener:
        receiver.url, receiver.port = listener.url + "hook", listener.port
        yield receiver
