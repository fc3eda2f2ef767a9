"""What the vendors' counterparts have in common: an HTTP server on a free port that logs what it is sent."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Literal, Self

import attrs
from aiohttp import web


@attrs.frozen
class Fault:
    """How a vendor misbehaves from now on.

    `status`: every request is answered with it; `hang`: none is answered; `stall`, `cut`: after `after` pieces of an
    answer (tokens, tenths of a second of sound) nothing comes any more, or the connection breaks; `comments`: the answer
    is comments for ever; `error`: the vendor's own message of an error instead of sound.
    """

    kind: Literal["status", "hang", "stall", "cut", "comments", "error"]
    status: int = 500
    after: int = 0

    @property
    def is_of_the_handshake(self) -> bool:
        return self.kind in ("status", "hang")


@attrs.frozen
class Seen:
    """One request: its path, its query and its JSON body, where it had one."""

    method: str
    path: str
    query: dict[str, str]
    body: Any = None


class Vendor:
    """Use as an async context manager. `status` set: every request that needs a key is answered with it."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.status: int | None = None
        self.fault: Fault | None = None
        self.seen: list[Seen] = []
        self._live: set[web.WebSocketResponse] = set()
        self.url = ""
        self._runner: web.AppRunner | None = None

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    def note(self, request: web.Request, body: Any = None) -> None:
        self.seen.append(Seen(request.method, request.path, dict(request.query), body))

    def break_with(self, fault: Fault) -> None:
        """From now on; where the fault is one of the handshake, open connections are dropped, so that there is one."""
        self.fault = fault
        if fault.kind == "status":
            self.status = fault.status
        if fault.is_of_the_handshake:
            for socket in set(self._live):
                drop(socket)

    async def hang_if_broken(self) -> None:
        if self.fault is not None and self.fault.kind == "hang":
            await asyncio.Event().wait()

    def has_come_to(self, kind: str, piece: int) -> bool:
        """Whether the fault strikes before this piece of an answer."""
        return self.fault is not None and self.fault.kind == kind and piece >= self.fault.after

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()


def drop(stream: web.StreamResponse) -> None:
    """Breaks the connection without a word."""
    transport = stream._req.transport if stream._req is not None else None
    if transport is not None:
        transport.abort()
