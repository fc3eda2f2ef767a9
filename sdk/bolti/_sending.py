"""What both faces share of sending: how requests are written, how long they may take, and what a failure means. No I/O.

Overhead matters here (bench/sdk_overhead.py): what is the same for every request is made once, in `Wire`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx2
from pydantic import ValidationError
from pydantic_core import to_json

from bolti._configuration import Configuration, path_segment
from bolti._errors import ApiError, ConnectionFailed, TimedOut, UnexpectedAnswer
from bolti._operations import Operation, T
from bolti._problems import problem_error, unexpected
from bolti._retrying import Repeat, is_worth_repeating, retry_after, wait_seconds

LONGEST_TRY_SECONDS = 20.0  # a stuck connection leaves time for another try
LONGEST_CONNECT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = (
    3.0  # uvicorn closes idle connections after 5 s; a request must not meet that close
)

QueryValue = str | int | bool | datetime | Sequence[str] | None
Query = Mapping[str, QueryValue]
Body = Mapping[str, Any]

NOTHING_WAS_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)


@dataclass(frozen=True)
class Options:
    """`timeout_seconds`: for one call with all its tries; `max_retries`: tries after the first."""

    timeout_seconds: float = 60.0
    max_retries: int = 4

    def __post_init__(self) -> None:
        if not self.timeout_seconds > 0 or self.max_retries < 0:
            raise ValueError("timeout_seconds must be over 0 and max_retries at least 0")


class Wire:
    """Writes requests and reads answers of one configuration. Immutable, shared by all calls."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._base = httpx2.URL(configuration.base_url)
        self._base_path = self._base.raw_path.decode("ascii").rstrip("/")
        self._workspace = path_segment(configuration.workspace_id, "workspace_id")
        self.headers: list[tuple[bytes, bytes]] = [
            (b"Host", self._base.netloc),
            (b"Authorization", b"Bearer " + configuration.api_key.encode("ascii")),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"gzip"),
            (b"User-Agent", _user_agent()),
            (b"Connection", b"keep-alive"),
        ]

    def url(
        self, operation: Operation[Any], query: Query | None, ids: Mapping[str, str]
    ) -> httpx2.URL:
        """Raises ValueError for an id that is none."""
        quoted = {name: path_segment(value, name) for name, value in ids.items()}
        path = self._base_path + operation.path.format(workspace_id=self._workspace, **quoted)
        asked = _query(query) if query else ""
        return self._base.copy_with(raw_path=(f"{path}?{asked}" if asked else path).encode("ascii"))

    def request(
        self,
        method: str,
        url: httpx2.URL,
        *,
        headers: Sequence[tuple[bytes, bytes]],
        content: bytes | None,
        read_seconds: float,
    ) -> httpx2.Request:
        """One try, silent for no longer than `read_seconds` at any time."""
        connect = min(read_seconds, LONGEST_CONNECT_SECONDS)
        limits = {"connect": connect, "read": read_seconds, "write": read_seconds, "pool": connect}
        return httpx2.Request(
            method, url, headers=headers, content=content, extensions={"timeout": limits}
        )

    def headers_with(self, own: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """The usual headers, with these in place of those of the same name."""
        names = {name.lower().encode("ascii") for name in own}
        kept = [(name, value) for name, value in self.headers if name.lower() not in names]
        return [
            *kept,
            *((name.encode("ascii"), value.encode("ascii")) for name, value in own.items()),
        ]

    def error(self, response: httpx2.Response, body: bytes) -> ApiError:
        """The exception for an answer that is no success."""
        headers = response.headers
        return problem_error(
            self.configuration,
            status=response.status_code,
            body=body,
            content_type=headers.get("content-type", ""),
            request_id=headers.get("request-id"),
            location=headers.get("location"),
            retry_after_seconds=retry_after(headers.get("retry-after")),
        )

    def read(self, operation: Operation[T], response: httpx2.Response, content: bytes) -> T:
        """The typed answer. Raises UnexpectedAnswer."""
        try:
            return operation.read(content)
        except ValidationError as error:
            request_id = response.headers.get("request-id")
            raise unexpected(
                error, operation.id, status=response.status_code, request_id=request_id
            ) from None


class Call:
    """One logical call over all its tries: the key that stays the same, the time that is left, what failed so far."""

    __slots__ = (
        "content",
        "deadline",
        "headers",
        "idempotency_key",
        "is_outcome_open",
        "operation",
        "options",
        "repeat",
        "tries",
        "url",
    )

    def __init__(
        self,
        wire: Wire,
        operation: Operation[Any],
        options: Options,
        url: httpx2.URL,
        body: Body | None,
        idempotency_key: str | None,
        expected_version: int | None = None,
    ) -> None:
        self.operation = operation
        self.options = options
        self.url = url
        self.headers = wire.headers
        self.content: bytes | None = None
        self.idempotency_key = idempotency_key
        self.tries = 0
        self.is_outcome_open = False  # an answer was lost: the effect may be there
        allowed = max(options.timeout_seconds, operation.longest_try_seconds or 0.0)
        self.deadline = time.monotonic() + allowed
        if operation.has_body:
            self.content = to_json({} if body is None else body)
            self.headers = [*self.headers, (b"Content-Type", b"application/json")]
        if operation.is_keyed:
            self.idempotency_key = idempotency_key or str(uuid4())
            key = _header_value(self.idempotency_key)
            self.headers = [*self.headers, (b"Idempotency-Key", key)]
        self.repeat = operation.repeat
        if expected_version is not None:
            if not operation.is_keyed:  # a second try would be refused for what the first has done
                self.repeat = Repeat.IF_NOTHING_HAPPENED
            self.headers = [*self.headers, (b"If-Match", b'"%d"' % expected_version)]

    def next_try_seconds(self) -> float:
        """Starts a try: how long it may take."""
        self.tries += 1
        longest = self.operation.longest_try_seconds or LONGEST_TRY_SECONDS
        return max(0.001, min(longest, self.deadline - time.monotonic()))

    def is_late(self) -> bool:
        """Whether the time for the whole call is over."""
        return time.monotonic() > self.deadline

    def after_failure(self, error: httpx2.TransportError) -> float:
        """Seconds until the next try. Raises ConnectionFailed or TimedOut where there is none."""
        was_sent = not isinstance(error, NOTHING_WAS_SENT)
        self.is_outcome_open |= was_sent
        wait = wait_seconds(self.tries)
        may_repeat = self.repeat is Repeat.ALWAYS or not was_sent
        if may_repeat and self._has_another(wait):
            return wait
        raise self._given_up(error) from error

    def after_refusal(self, error: ApiError) -> float:
        """Seconds until the next try. Raises the refusal where there is none."""
        if error.status >= 500:
            self.is_outcome_open = True
        wait = wait_seconds(self.tries, error.retry_after_seconds)
        is_worth_it = is_worth_repeating(self.repeat, error.status, error.code)
        if is_worth_it and self._has_another(wait):
            return wait
        raise error

    def is_answered_by(self, status: int) -> bool:
        """A success, a status that this operation answers with too, or a DELETE whose answer was lost and that now finds
        nothing: it is gone, as asked."""
        if is_success(status) or status == self.operation.answers_too:
            return True
        return status == 404 and self.operation.method == "DELETE" and self.is_outcome_open

    def _has_another(self, wait: float) -> bool:
        return self.tries <= self.options.max_retries and time.monotonic() + wait < self.deadline

    def _given_up(self, error: httpx2.TransportError) -> ConnectionFailed:
        may_have_been_done = self.is_outcome_open and self.operation.method != "GET"
        where = f"{self.url.scheme}://{self.url.netloc.decode('ascii')}"
        tries = f"{self.tries} tries" if self.tries > 1 else "one try"
        is_timeout = isinstance(error, httpx2.TimeoutException)
        text = f"{self.operation.id}: no answer from {where} in time ({tries})."
        if not is_timeout:
            reason = str(error) or type(error).__name__
            text = f"{self.operation.id}: no connection to {where} ({tries}): {reason}."
        return (TimedOut if is_timeout else ConnectionFailed)(
            f"{text} {self._what_now(may_have_been_done)}",
            may_have_been_done=may_have_been_done,
            idempotency_key=self.idempotency_key,
        )

    def _what_now(self, may_have_been_done: bool) -> str:
        if not may_have_been_done:
            return "Nothing was changed. Is the server running, and is the base URL right?"
        if self.operation.is_keyed:
            return (
                f"It may have been done: the same call with idempotency_key={self.idempotency_key!r} tells, "
                "and does nothing twice."
            )
        return "It may have been done: look before you repeat it."


def is_success(status: int) -> bool:
    """2xx."""
    return 200 <= status < 300


def unreadable(error: httpx2.DecodingError, response: httpx2.Response) -> UnexpectedAnswer:
    """For a body whose compression is broken."""
    request_id = response.headers.get("request-id")
    return UnexpectedAnswer(
        f"The answer can't be unpacked: {error}", status=response.status_code, request_id=request_id
    )


def given(**members: Any) -> dict[str, Any]:
    """The members that are not None: what is left out has the server's default."""
    return {name: value for name, value in members.items() if value is not None}


def _query(query: Query) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        if value is None:
            continue
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
        pairs.extend((name, _query_text(name, each)) for each in values)
    return urlencode(pairs)


def _query_text(name: str, value: str | int | bool | datetime) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name} needs a time zone: datetime.now(timezone.utc), for example")
        return value.isoformat()
    return str(value)


def _header_value(key: str) -> bytes:
    if not key.isascii() or not key.isprintable() or " " in key or len(key) > 255:
        raise ValueError("an idempotency_key has up to 255 visible ASCII characters, e.g. a UUID")
    return key.encode("ascii")


def _user_agent() -> bytes:
    try:
        own = version("bolti")
    except PackageNotFoundError:  # run from a source tree that was not installed
        own = "0"
    return f"bolti-python/{own} Python/{python_version()}".encode("ascii")
