"""CORS (Fetch standard, section 3.3): which pages may ask this API from a browser, and read what it answers.

Rules: only operations that the contract marks (`x-cors`), only from origins of public keys that work, never for a secret
key: one that got into a page must not be of use there. No cookies exist here, so there is nothing to ride on and no
`Access-Control-Allow-Credentials`. An origin hears of itself alone, never of others' (docs/decisions/0017).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable

import asyncpg

from bolti_server.base.logging import get_logger
from bolti_server.web.authentication import KEY_TRUST_SECONDS, Caller
from bolti_server.web.contract import load_contract
from bolti_server.world import World

MOST_ORIGINS = 10_000
LONGEST_ORIGIN = 300
PREFLIGHT_SECONDS = 600  # how long a browser may remember that it may ask
REQUEST_HEADERS = b"Authorization, Content-Type, Idempotency-Key, Request-Id"
ANSWER_HEADERS = (
    b"Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Request-Id, Retry-After"
)
_VARY = (b"vary", b"Origin")

Headers = list[tuple[bytes, bytes]]

# Given by whoever owns the table of keys (`workspaces.keys`): whether a public key that works names this origin.
FindOrigin = Callable[[World, str], Awaitable[bool]]

log = get_logger("cors")


class Cors:
    """Of one app. Not shared between event loops."""

    def __init__(self, world: World, find_origin: FindOrigin) -> None:
        self._world = world
        self._find_origin = find_origin
        self._known: dict[
            str, tuple[float, bool]
        ] = {}  # origin → (believed until, is one of a key)
        self._methods = {
            re.compile(re.sub(r"\{[^}]+\}", "[^/]+", each.path)): each.method
            for each in load_contract().operations.values()
            if each.has_cors
        }

    def method_at(self, path: str) -> str | None:
        """The method that pages may use at this path; None: none."""
        return next(
            (method for path_, method in self._methods.items() if path_.fullmatch(path)), None
        )

    async def of_preflight(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        """What an OPTIONS request is answered beside `Allow`: nothing more where it is no preflight or not allowed."""
        asked = _header(headers, b"access-control-request-method")
        origin = _header(headers, b"origin")
        found: Headers = [_VARY]
        if asked == method.encode() and origin is not None and await self._is_known(origin):
            found += [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-methods", asked),
                (b"access-control-allow-headers", REQUEST_HEADERS),
                (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
            ]
        return found

    async def of_answer(
        self, headers: Iterable[tuple[bytes, bytes]], caller: Caller | None
    ) -> Headers:
        """What the answer to a request with these `headers` carries. `caller` None: nobody whom we know."""
        origin = _header(headers, b"origin")
        if origin is None or (caller is not None and caller.kind == "secret"):
            return [_VARY]
        is_own = caller is not None and origin.decode("latin-1") in caller.origins
        if not is_own and not await self._is_known(origin):
            return [_VARY]
        allowed = (b"access-control-allow-origin", origin)
        return [_VARY, allowed, (b"access-control-expose-headers", ANSWER_HEADERS)]

    async def _is_known(self, raw: bytes) -> bool:
        if len(raw) > LONGEST_ORIGIN or not raw.isascii():
            return False
        origin = raw.decode()
        now = self._world.clock.monotonic()
        known = self._known.get(origin)
        if known is not None and now < known[0]:
            return known[1]
        try:
            found = await self._find_origin(self._world, origin)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("origin_unknown", error=repr(error))
            return False  # what is asked for is answered 503 in its own way
        if len(self._known) >= MOST_ORIGINS:
            self._known.clear()
        self._known[origin] = (now + KEY_TRUST_SECONDS, found)
        return found


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    return next((value for name, value in headers if name == wanted), None)
