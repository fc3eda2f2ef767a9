"""A gate between two programs that speak HTTP: it lets everything through, and holds what a test has named.

With it a test meets the instant that it means, whatever the machine's pace: a request that is held has not arrived (the
moment before the intent), an answer that is held was committed and not heard (between intent and send).

Rules: bytes pass unchanged; a connection that one side closes is closed on the other at once, since that is how a killed
process is noticed. It runs in a thread of its own, so that a test that waits for a process does not hold up the traffic.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Literal

import attrs
from tests.stack.support.media import LOOPBACK, free_port

What = Literal["request", "answer"]
CHUNK_BYTES = 65_536
HELD_SECONDS = 60.0


@attrs.define(eq=False)
class Hold:
    """`is_reached` when something is held. `release` lets it on; with `drop` the connection is cut instead."""

    path_part: str
    what: What
    is_reached: threading.Event = attrs.Factory(threading.Event)
    _is_released: threading.Event = attrs.Factory(threading.Event)
    _drops: bool = False

    async def reached(self, timeout_seconds: float = 30) -> None:
        came = await asyncio.to_thread(self.is_reached.wait, timeout_seconds)
        assert came, f"no {self.what} of {self.path_part} within {timeout_seconds} s"

    def release(self) -> None:
        self._is_released.set()

    def drop(self) -> None:
        self._drops = True
        self._is_released.set()

    async def pass_by(self) -> bool:
        """Waits for the test's word; whether to go on."""
        self.is_reached.set()
        if not await asyncio.to_thread(self._is_released.wait, HELD_SECONDS):
            return False
        return not self._drops


@attrs.define(eq=False)
class Gate:
    """Stands before the HTTP server at `target_port`; clients use `url`."""

    target_port: int
    port: int = attrs.Factory(free_port)
    drops_everything: bool = False
    _holds: list[Hold] = attrs.Factory(list)
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def hold(self, path_part: str, what: What) -> Hold:
        """Holds the next request whose path has this in it, or its answer; the ones after it pass."""
        made = Hold(path_part, what)
        self._holds.append(made)
        return made

    def start(self) -> None:
        up = threading.Event()

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            server = await asyncio.start_server(self._connected, LOOPBACK, self.port)
            up.set()
            with contextlib.suppress(asyncio.CancelledError):
                await server.serve_forever()

        self._thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        self._thread.start()
        assert up.wait(10)

    def stop(self) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._cancel_all)
            self._thread.join(10)

    def _cancel_all(self) -> None:
        for hold in self._holds:
            hold.drop()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    # ---- One connection ----

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.drops_everything:
            writer.close()
            return
        try:
            from_target, to_target = await asyncio.open_connection(LOOPBACK, self.target_port)
        except OSError:
            writer.close()
            return
        answers: list[Hold] = []
        pumps = [
            asyncio.create_task(self._requests(reader, to_target, answers)),
            asyncio.create_task(_answers(from_target, writer, answers)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for side in (writer, to_target):
                side.close()

    async def _requests(
        self, reader: asyncio.StreamReader, to_target: asyncio.StreamWriter, answers: list[Hold]
    ) -> None:
        """Request by request, so that each path is seen."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if self.drops_everything:
                    return
                path = head.split(b" ", 2)[1].decode()
                hold = next((each for each in self._holds if each.path_part in path), None)
                if hold is not None:
                    self._holds.remove(hold)
                    if hold.what == "answer":
                        answers.append(hold)
                    elif not await _or_gone(hold.pass_by, reader):
                        return
                to_target.write(head)
                await _pass_body(head.lower(), reader, to_target)
                await to_target.drain()


async def _pass_body(
    head: bytes, reader: asyncio.StreamReader, to_target: asyncio.StreamWriter
) -> None:
    if b"transfer-encoding: chunked" in head:
        while True:
            size = await reader.readuntil(b"\r\n")
            to_target.write(size + await reader.readexactly(int(size, 16) + 2))
            await to_target.drain()
            if int(size, 16) == 0:
                return
    _, found, rest = head.partition(b"content-length:")
    left = int(rest.split(b"\r\n", 1)[0]) if found else 0
    while left > 0:
        part = await reader.readexactly(min(left, CHUNK_BYTES))
        left -= len(part)
        to_target.write(part)
        await to_target.drain()


async def _answers(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: list[Hold]
) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(CHUNK_BYTES):
            if answers and not await answers.pop(0).pass_by():
                return
            writer.write(part)
            await writer.drain()


async def _or_gone(wait: Callable[[], Awaitable[bool]], reader: asyncio.StreamReader) -> bool:
    """False also when the client is gone meanwhile (nothing comes from one that waits for an answer)."""
    waiting = asyncio.ensure_future(wait())
    while not waiting.done():
        if reader.at_eof():
            return False
        await asyncio.wait([waiting], timeout=0.02)
    return waiting.result()
