"""What every program with an HTTP side listens by: a socket that is bound first, and a uvicorn that keeps quiet."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from bolti_server.entrypoints.complaints import CannotStart


class QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers (the process has its own, and ends with 0), and with a sign when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


def bound(host: str, port: int, *, exit_code: int = 2) -> socket.socket:
    """A socket that is bound and does not listen yet: whoever connects before we answer is told so at once. Raises
    CannotStart."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        told = f"Can't listen on {host}:{port}: {error.strerror}."
        raise CannotStart([told], exit_code) from None
    return listener
