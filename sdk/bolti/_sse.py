"""Server-sent events from bytes (WHATWG HTML, 9.2.6 "Interpreting an event stream", 2026-11). Pure.

Why not httpx2's `EventSource`: it swallows comments, and here each sign of life counts (a keep-alive lets the reader look at
its clock). Rule: an event whose blank line did not arrive is dropped; the next connection brings it whole.
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_EVENT_BYTES = 8 * 1024 * 1024


class EventTooLong(Exception):
    """More than LONGEST_EVENT_BYTES without an end: not a stream of ours."""


@dataclass(frozen=True)
class Message:
    """`data` empty: nothing but a new id, or a new delay before connecting again."""

    data: str
    last_event_id: str | None
    retry_ms: int | None


class Decoder:
    """Feed it bytes as they come; it gives whole messages. One per connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._is_after_cr = False
        self._data: list[bytes] = []
        self._size = 0
        self._last_id: str | None = None
        self._retry_ms: int | None = None
        self._is_first_line = True

    def feed(self, chunk: bytes) -> list[Message]:
        """Raises EventTooLong."""
        messages: list[Message] = []
        if not chunk:
            return messages
        if self._is_after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._is_after_cr = chunk.endswith(b"\r")
        lines = (self._buffer + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._buffer = lines.pop()
        for line in lines:
            message = self._line(line)
            if message is not None:
                messages.append(message)
        if self._size + len(self._buffer) > LONGEST_EVENT_BYTES:
            raise EventTooLong
        return messages

    def _line(self, line: bytes) -> Message | None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"id" and b"\0" not in value:
            self._last_id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            self._retry_ms = min(int(value[:9]), 600_000)
        return None

    def _dispatch(self) -> Message | None:
        data, self._data, self._size = self._data, [], 0
        if not data and self._retry_ms is None:
            return None
        message = Message(
            b"\n".join(data).decode("utf-8", "replace"), self._last_id, self._retry_ms
        )
        self._retry_ms = None
        return message
