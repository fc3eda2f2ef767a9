"""Small TCP servers on loopback that answer HTTP as a test says, and count who came."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs


@attrs.define
class Listener:
    """What a listener saw. `requests` are the raw bytes of each, head and body."""

    host: str
    port: int
    scheme: str
    connections: int = 0
    requests: list[bytes] = attrs.Factory(list)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/"


Behave = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes, *, status: int = 200, headers: bytes = b"") -> Behave:
    """Answers every request with this."""

    async def behave(request: bytes, writer: asyncio.StreamWriter) -> None:
        length = f"Content-Length: {len(body)}\r\n".encode()
        writer.write(f"HTTP/1.1 {status} Fine\r\n".encode() + headers + length + b"\r\n" + body)
        await writer.drain()

    return behave


@asynccontextmanager
async def listening(
    behave: Behave, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Listener]:
    """One request a connection: read whole, recorded, then `behave(request, writer)`."""
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        seen.connections += 1
        # cancelled: the listener closes while it answers
        gone = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError)
        with contextlib.suppress(*gone):
            request = await reader.readuntil(b"\r\n\r\n")
            for line in request.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    request += await reader.readexactly(int(line.split(b":")[1]))
            seen.requests.append(request)
            await behave(request, writer)
        writer.close()

    server = await asyncio.start_server(serve, host, port, ssl=tls)
    seen = Listener(host, server.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)
