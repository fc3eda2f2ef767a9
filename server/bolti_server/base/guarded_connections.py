"""Connections to addresses that were judged, and to no other.

Rule: a name is resolved once, every address that it has is judged, one bad address condemns the name, and the very
address that was judged is connected: a name that changes its answer gains nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpcore2

from bolti_server.base import addresses
from bolti_server.base.addresses import Reach

MAX_ADDRESSES_TRIED = 4

# Looks up `host`: every address, plain, in the order to be tried. Raises OSError where there is none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Forbidden(Exception):
    """The host leads, or also leads, where no request may go."""


class NotFound(Exception):
    """The host has no address."""


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections to addresses that it has judged itself, and to nothing else."""

    def __init__(self, resolve: Resolve, allows_private: bool) -> None:
        self._resolve = resolve
        self._allows_private = allows_private
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore2's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        answers = await self._judged(host, port)
        for number, address in enumerate(answers, 1):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if number == len(answers):
                    raise
        raise AssertionError("there is at least one address, and the last one raises")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore2's interface
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise Forbidden

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _judged(self, host: str, port: int) -> list[str]:
        """Plain addresses that were judged and found good. Never the name: it would be looked up again."""
        try:
            answers = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise NotFound(host) from error
        found = [addresses.parse(answer) for answer in answers]
        if not found:
            raise NotFound(host)
        for address in found:
            if address is None or not may_reach(address, self._allows_private):
                raise Forbidden
        return [str(address) for address in found][:MAX_ADDRESSES_TRIED]


def may_reach(address: addresses.Address, allows_private: bool) -> bool:
    """Whether a request may go to `address`."""
    reach = addresses.reach_of(address)
    return reach is Reach.PUBLIC or (allows_private and reach is Reach.PRIVATE)
