"""`bolti-server serve`: the HTTP API and the background jobs of one process, and the HTTP server itself.

Rules: it does not start with a setting that is missing or dangerous, and says all of them at once with what to do. It
stops in order: waits are woken (long polls and live streams answer and go), what runs gets STOP_SECONDS, then the
background jobs and the database.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import AsyncExitStack
from types import TracebackType
from urllib.parse import urlsplit

import asyncpg
import uvicorn
import uvloop

from bolti_server.base.logging import configure_logging, get_logger
from bolti_server.base.settings import Settings
from bolti_server.bootstrap.web import build_app, open_world
from bolti_server.entrypoints.complaints import (
    CannotStart,
    complaints_about_database_url,
    complaints_about_livekit,
    complaints_about_media_url,
    complaints_about_secret,
    read_settings,
)
from bolti_server.entrypoints.database_complaints import database_complaints
from bolti_server.entrypoints.listening import QuietServer, bound
from bolti_server.migrations import runner
from bolti_server.web.edge import Api
from bolti_server.world import World

STOP_SECONDS = 5
KEEP_ALIVE_SECONDS = 65  # longer than the 60 s of common load balancers, so that they close first
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

log = get_logger("serve")


class HttpServer:
    """`app` answering on `listener` (bound, not yet listening) while the block runs; its lifespan runs with it."""

    def __init__(self, app: Api, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        # Head and body of an answer are two packets, and without this the second waits 40 ms for the first to be
        # acknowledged. Connections inherit it. uvloop sets it, asyncio does not on a socket that was made without a proto.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = QuietServer(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",  # run here: uvicorn answers a failing start-up with sys.exit
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> HttpServer:
        """Returns when it answers. Raises what the app's start-up raises, in an ExceptionGroup."""
        self._serving = asyncio.create_task(self._serve(), name="http server")
        up = asyncio.create_task(self._server.is_up.wait(), name="http server is up")
        await asyncio.wait({self._serving, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if self._serving.done():
            await self._serving
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Answers what is under way, at most STOP_SECONDS, and stops."""
        world: World = self._app.state.world
        world.wakeups.stop()
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving

    async def _serve(self) -> None:
        """In a task of its own: Litestar's lifespan must end in the task in which it began."""
        async with self._app.lifespan():
            await self._server.serve(sockets=[self._listener])


def run() -> int:
    """Runs until SIGTERM or Ctrl-C. Exit code 2 for settings to be mended, 1 where the database is not there."""
    try:
        settings = read_settings(Settings)
        if complaints := complaints_about(settings):
            raise CannotStart(complaints)
        configure_logging(settings.log_level, settings.log_format)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(_serve(settings))
    except CannotStart as problem:
        return problem.tell("serve")
    return 0


def complaints_about(settings: Settings) -> list[str]:
    """What is missing or dangerous for production, each with what to do; empty where nothing is."""
    found = complaints_about_database_url(settings.database_url)
    found += complaints_about_secret("BOLTI_SECRET_KEY", settings.secret_key)
    found += complaints_about_secret("BOLTI_WORKER_TOKEN", settings.worker_token)
    if settings.secret_key and settings.secret_key == settings.worker_token:
        found.append(
            "BOLTI_SECRET_KEY and BOLTI_WORKER_TOKEN are the same. Workers must not know the key."
        )
    if "public_url" not in settings.model_fields_set:
        found.append(
            "BOLTI_PUBLIC_URL is missing. Set it to the address under which clients reach this server, e.g. "
            "https://bolti.example.com."
        )
    else:
        found += _complaints_about_public_url(settings.public_url)
    found += complaints_about_livekit(settings)
    return found + _complaints_about_browser_url(settings)


def _complaints_about_public_url(url: str) -> list[str]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [f"BOLTI_PUBLIC_URL is {url!r}, which is not a web address."]
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        return [
            f"BOLTI_PUBLIC_URL is {url!r}: over http, keys and links to recordings travel in the open. Put TLS in front "
            "and use https://."
        ]
    return []


def _complaints_about_browser_url(settings: Settings) -> list[str]:
    url = settings.livekit_public_url
    if url is None:
        return []
    if not settings.livekit_url:
        return [
            "BOLTI_LIVEKIT_PUBLIC_URL is set, and LIVEKIT_URL is not. Browsers need a media server."
        ]
    found = complaints_about_media_url("BOLTI_LIVEKIT_PUBLIC_URL", url)
    parts = urlsplit(url) if not found else None
    if parts and parts.scheme in ("ws", "http") and parts.hostname not in _LOOPBACK:
        found.append(
            f"BOLTI_LIVEKIT_PUBLIC_URL is {url!r}: a page that is served over https reaches no other than wss:// "
            "addresses. Put TLS in front of LiveKit."
        )
    return found


async def _serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    if settings.is_private_delivery_allowed:
        log.warning("private_delivery_is_allowed")
    with bound(settings.host, settings.port) as listener:
        async with AsyncExitStack() as stack:
            with database_complaints():
                world = await stack.enter_async_context(open_world(settings))
                if missing := await _missing_migrations(world):
                    names = ", ".join(missing)
                    raise CannotStart(
                        [f"The database lacks {names}. Run `bolti-server migrate` first."]
                    )
            async with HttpServer(build_app(world), listener):
                log.info("serving", host=settings.host, port=listener.getsockname()[1])
                await stopping.wait()
                log.info("stopping")


async def _missing_migrations(world: World) -> list[str]:
    try:
        rows = await world.db.fetch("select name from migrations")
    except asyncpg.UndefinedTableError:
        rows = []
    done = {row["name"] for row in rows}
    return [file.stem for file in sorted(runner.FOLDER.glob("*.sql")) if file.stem not in done]
