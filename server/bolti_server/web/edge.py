"""The outermost layer of every request: its name, `/v1`, HEAD, OPTIONS, and the headers that every answer carries.

Rule: `/v1` is cut before routing, so contract and routes are one set; HEAD is GET without the body; OPTIONS is answered
here, because Litestar's own answer forgets the methods of handlers that were registered later on the same path; whatever
answers, a route or a failure, passes here, so no answer lacks its Request-Id and RateLimit-Policy.
Pages may ask where `web.cors` says so. Whoever's key is known is also told what is left of its limit, with every answer,
refusals too.
"""

from __future__ import annotations

from typing import Any

from litestar import Litestar
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.utils import normalize_path

from bolti_server.web.admission import CALLER_KEY, RATE_KEY
from bolti_server.web.allowing import allow_value
from bolti_server.web.cors import Cors, Headers
from bolti_server.web.request_ids import KEY, choose_request_id

VERSION_PREFIX = "/v1"
_NO_METHOD: Any = "NONE"  # asks the router which methods there are


class Api(Litestar):
    """A Litestar app with the edge around it."""

    policy_header = b""  # value of RateLimit-Policy; set by api.app
    cors: Cors | None = None  # set by api.app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._http(super().__call__, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _http(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        # A copy: the server reads the method in its own scope to know that an answer to HEAD has no body.
        ours: dict[str, Any] = dict(scope)
        request_id = ours[KEY] = choose_request_id(ours["headers"])
        ours["bolti_path"] = ours["path"]
        _cut_version(ours)
        is_head = ours["method"] == "HEAD"
        if is_head:
            ours["method"] = "GET"
            # An endless stream has no head of its own.
            ours["headers"] = [pair for pair in ours["headers"] if pair[0] != b"accept"]
        request_id_header = (b"request-id", request_id.encode())
        cors_method = None if self.cors is None else self.cors.method_at(ours["path"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"ratelimit-policy", self.policy_header)
                headers = [*message["headers"], request_id_header, policy]
                rate = ours.get(RATE_KEY)
                if rate is not None:
                    headers.append((b"ratelimit", rate))
                    # whoever was let in as somebody got something for their eyes alone
                    if not any(name.lower() == b"cache-control" for name, _ in headers):
                        headers.append((b"cache-control", b"no-store"))
                if self.cors is not None and ours["method"] == cors_method:
                    headers += await self.cors.of_answer(ours["headers"], ours.get(CALLER_KEY))
                message["headers"] = headers
            elif is_head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        allowed = self._allowed(ours["path"]) if ours["method"] == "OPTIONS" else None
        if allowed is not None:
            more: Headers = []
            if self.cors is not None and cors_method is not None:
                more = await self.cors.of_preflight(cors_method, ours["headers"])
            await _send_allowed(send_with_headers, allowed, more)
            return
        await app(ours, receive, send_with_headers)  # type: ignore[arg-type]  # as above

    def _allowed(self, path: str) -> str | None:
        """The value of `Allow`; None where there is nothing at this path."""
        try:
            self.asgi_router.handle_routing(path=normalize_path(path), method=_NO_METHOD)
        except MethodNotAllowedException as error:
            return allow_value((error.headers or {}).get("allow", ""))
        except NotFoundException:
            return None
        return None


async def _send_allowed(send: Send, allow: str, more: Headers) -> None:
    """An answer without a body."""
    headers = [(b"allow", allow.encode()), *more]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _cut_version(scope: dict[str, Any]) -> None:
    path: str = scope["path"]
    if path.startswith(VERSION_PREFIX + "/"):
        scope["path"] = path[len(VERSION_PREFIX) :]
        raw = scope.get("raw_path")
        if raw:
            scope["raw_path"] = raw.removeprefix(VERSION_PREFIX.encode())
