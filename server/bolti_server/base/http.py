"""Requests to URLs that our users chose: webhooks and tools. The only way out of the server for such a URL.

Rules (SSRF): a name is resolved once, every address it has is judged (`addresses.reach_of`), one bad address condemns
the name, and the connection goes to the very address that was judged, so a name that changes its answer gains nothing.
Redirects are answers. The time-out covers the whole exchange from the look-up to the last byte, the size cap what is
read of the body. Each exchange has a connection of its own: nothing that one workspace's exchange left in it can reach
another's, and no request is lost on a connection that the other side has just closed. No proxy and no other setting of
the environment is read.

With `allows_private` (`dev` and tests) this machine and its network may be reached too; metadata services, link-local,
multicast and reserved addresses never.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import httpcore2
import httpx2

from bolti_server import __version__
from bolti_server.base import addresses
from bolti_server.base.guarded_connections import (
    Forbidden,
    GuardedBackend,
    NotFound,
    Resolve,
    may_reach,
)

MAX_URL_CHARACTERS = 8_192
MAX_CONNECTIONS = 400  # at once, for the whole process; the next waits within its own time-out
CONNECT_SECONDS = 5.0  # for one address

# Ports whose protocols might take an HTTP request for commands: the fetch standard's "bad ports", without those that
# nobody serves. https://fetch.spec.whatwg.org/#port-blocking, November 2026.
_BAD_PORTS = frozenset(
    {1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109}
    | {110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530}
    | {531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190}
    | {5060, 5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211}
)  # fmt: skip
# They frame the message or say who is asked: written here, whatever the caller gives.
_OUR_HEADERS = frozenset(
    {
        *(
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "keep-alive",
            "te",
            "trailer",
        ),
        *("upgrade", "expect", "accept-encoding", "proxy-authorization", "proxy-connection"),
    }
)
_USER_AGENT = f"Bolti/{__version__}"
_HAS_BODY = frozenset({"POST", "PUT", "PATCH"})


@attrs.frozen
class HttpAnswer:
    """What came back: `body` is at most the asked-for bytes, `is_truncated` says that there was more."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_truncated: bool
    duration_ms: int


class HttpFailed(Exception):
    """No answer. `reason`: forbidden_address, dns, connect, timeout, tls or protocol; `detail` is for people.

    `detail` never tells an address that a name led to: that would make us a map of the network we stand in.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class GuardedHttp:
    """The guarded client. `close()` it at the end of the process."""

    def __init__(
        self,
        *,
        allows_private: bool,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._allows_private = allows_private
        # A pool of its own: a name server that never answers must not take the threads of files and compression.
        self._lookups = ThreadPoolExecutor(max_workers=16, thread_name_prefix="guarded lookup")
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context or httpx2.create_ssl_context(trust_env=False),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=0,
            retries=0,
            network_backend=GuardedBackend(resolve or self._look_up, allows_private),
        )

    def check_url(self, url: str) -> str | None:
        """A complaint in words about a URL that could never be asked, for when it is saved; None: it may do.

        Nothing is looked up: where a name leads is judged at each request.
        """
        parsed = _parse(url)
        if isinstance(parsed, str):
            return parsed
        host = parsed.host.rstrip(".").lower()
        address = addresses.literal(host)
        if address is not None and not may_reach(address, self._allows_private):
            return "The address is private, local or reserved; it has to be public."
        is_local_name = host == "localhost" or host.endswith(".localhost")
        if is_local_name and not self._allows_private:
            return "localhost is this server itself; the address has to be public."
        return None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout_seconds: float,
        max_response_bytes: int,
    ) -> HttpAnswer:
        """One request, sent once, and its answer, whatever its status. Raises HttpFailed.

        Headers that frame the message or name the host are ours and dropped from `headers`. An answer that is longer
        than `max_response_bytes` is cut there, and the rest is never read.
        """
        parsed = _parse(url)
        if isinstance(parsed, str):
            raise HttpFailed("protocol", parsed)
        if body is None and method in _HAS_BODY:
            body = b""
        started = time.monotonic()
        try:
            async with asyncio.timeout(timeout_seconds):
                status, answered, content, is_truncated = await self._exchange(
                    method, parsed, _headers(parsed, headers, body), body, max_response_bytes
                )
        except TimeoutError:
            detail = f"There was no whole answer within {timeout_seconds:g} s."
            raise HttpFailed("timeout", detail) from None
        except _RAISED as error:
            raise _failure(error) from error
        return HttpAnswer(
            status=status,
            headers=answered,
            body=content,
            is_truncated=is_truncated,
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    async def close(self) -> None:
        await self._pool.aclose()
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def _exchange(
        self,
        method: str,
        url: httpx2.URL,
        headers: list[tuple[bytes, bytes]],
        body: bytes | None,
        max_response_bytes: int,
    ) -> tuple[int, tuple[tuple[str, str], ...], bytes, bool]:
        target = httpcore2.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        extensions = {
            "timeout": {"connect": CONNECT_SECONDS},
            "sni_hostname": url.raw_host.decode().rstrip("."),
        }
        async with self._pool.stream(
            method, target, headers=headers, content=body, extensions=extensions
        ) as response:
            content = _Content(response.headers, max_response_bytes)
            async for chunk in response.aiter_stream():
                if not content.take(chunk):
                    break
            answered = tuple(
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in response.headers
            )
            return response.status, answered, bytes(content.body), content.is_truncated

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        def ask() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))

        return await asyncio.get_running_loop().run_in_executor(self._lookups, ask)


_RAISED = (
    Forbidden,
    NotFound,
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
    OSError,
)


class _Content:
    """The body as it comes in, decoded, cut at its cap. Compression is not asked for; where it comes nevertheless,
    it is undone with the same cap, so that a small answer can't become a large one."""

    def __init__(self, headers: Sequence[tuple[bytes, bytes]], max_bytes: int) -> None:
        self.body = bytearray()
        self.is_truncated = False
        self._max_bytes = max_bytes
        encodings = {
            value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"
        }
        # 32 + 15: zlib tells gzip and zlib apart by their headers.
        is_zipped = bool(encodings & {b"gzip", b"x-gzip", b"deflate"})
        self._unzip = zlib.decompressobj(32 + zlib.MAX_WBITS) if is_zipped else None

    def take(self, chunk: bytes) -> bool:
        """Whether more is wanted."""
        room = self._max_bytes - len(self.body)
        if self._unzip is not None:
            try:
                chunk = self._unzip.decompress(chunk, room + 1)
            except zlib.error as error:
                raise httpcore2.RemoteProtocolError(
                    f"the answer can't be decompressed: {error}"
                ) from error
        self.body += chunk[:room]
        self.is_truncated = len(chunk) > room
        return not self.is_truncated


def _parse(url: str) -> httpx2.URL | str:
    """The URL, or what keeps it from being asked."""
    if len(url) > MAX_URL_CHARACTERS:
        return f"The URL is longer than {MAX_URL_CHARACTERS} characters."
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        return f"This is no URL: {error}"
    if parsed.scheme not in ("https", "http"):
        return "The URL has to begin with https:// or http://."
    if parsed.userinfo:
        return "The URL must not carry a user name or password: use an authorization header."
    host = parsed.raw_host.decode("ascii")
    if not host.strip(".") or any(sign in host for sign in "%\\\"'<>^`{|} "):
        return "The URL has no proper host."
    port = parsed.port
    if port is not None and not 0 < port < 65536:
        return f"There is no port {port}."
    if port in _BAD_PORTS:
        return f"Port {port} belongs to another protocol than HTTP and is not asked."
    return parsed


def _headers(
    url: httpx2.URL, given: Sequence[tuple[str, str]], body: bytes | None
) -> list[tuple[bytes, bytes]]:
    ours = [
        ("Host", url.netloc.decode("ascii")),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    kept = [(name, value) for name, value in given if name.lower() not in _OUR_HEADERS]
    names = {name.lower() for name, _ in kept}
    if "user-agent" not in names:
        ours.append(("User-Agent", _USER_AGENT))
    if "accept" not in names:
        ours.append(("Accept", "*/*"))
    if body is not None:
        ours.append(("Content-Length", str(len(body))))
    try:
        return [(name.encode("ascii"), value.encode("utf-8")) for name, value in (*ours, *kept)]
    except UnicodeEncodeError as error:
        raise HttpFailed("protocol", "A header's name or value can't be sent.") from error


def _failure(error: Exception) -> HttpFailed:
    cause = error.__cause__ or error.__context__ or error
    match error:
        case Forbidden():
            detail = (
                "The address is private, local or reserved: requests go to public addresses only."
            )
            return HttpFailed("forbidden_address", detail)
        case NotFound():
            return HttpFailed("dns", "The host name has no address.")
        case httpcore2.TimeoutException():
            return HttpFailed("timeout", "The connection was not made in time.")
        case _ if isinstance(cause, ssl.SSLError) or isinstance(error, ssl.SSLError):
            return HttpFailed("tls", f"No TLS connection could be made: {_tls_words(cause)}")
        case httpcore2.ConnectError():
            return HttpFailed("connect", "No connection could be made.")
        case httpcore2.NetworkError() | OSError():
            return HttpFailed("connect", "The connection broke before there was an answer.")
        case _:
            return HttpFailed("protocol", f"This is no HTTP answer: {str(error)[:200]}")


def _tls_words(cause: BaseException) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted ({cause.verify_message})"
    return (getattr(cause, "reason", None) or str(cause))[:200]
