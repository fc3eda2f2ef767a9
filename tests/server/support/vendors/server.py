"""What the vendors' counterparts have in common: an HTTP server on a free port that logs what it is sent."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import attrs
from aiohttp import web


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
        self.seen: list[Seen] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    def note(self, request: web.Request, body: Any = None) -> None:
        self.seen.append(Seen(request.method, request.path, dict(request.query), body))

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
