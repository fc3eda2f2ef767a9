"""What the demo's call needs of the world outside: a delivery service for the agent's tool, and a webhook receiver.

Both answer on loopback in a thread of the demo's own process, so that the tool's request and the webhook are real HTTP.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import attrs

_ORDER = {
    "order": "BX-4711",
    "status": "out for delivery",
    "arrives": "tomorrow between nine and eleven",
}


@attrs.frozen
class Received:
    """A webhook's body and headers as they came: what a signature is checked against."""

    body: bytes
    headers: Mapping[str, str]


class DemoServices:
    """Use as a context manager; `url` has no slash at its end."""

    def __init__(self) -> None:
        self._received: list[Received] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> DemoServices:
        threading.Thread(
            target=self._server.serve_forever, name="demo services", daemon=True
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for_webhook(self, timeout_seconds: float) -> Received | None:
        """The first webhook that came; None when none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._received), timeout_seconds)
            return self._received[0] if self._received else None

    def _receive(self, body: bytes, headers: Mapping[str, str]) -> None:
        with self._changed:
            self._received.append(Received(body, dict(headers)))
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        services = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(_ORDER)

            def do_POST(self) -> None:
                services._receive(
                    self.rfile.read(int(self.headers["Content-Length"])), dict(self.headers.items())
                )
                self._answer({"received": True})

            def _answer(self, content: object) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet: the terminal shows the call."""

        return Handler
