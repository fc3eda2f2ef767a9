"""A webhook receiver on loopback, in a thread: what a user's own backend is to Bolti."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Keeps every event that it was sent; answers 200."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def subjects(self, event_type: str) -> set[str]:
        """The ids of the conversations that it heard this of."""
        found = [event for event in self._events if event["type"] == event_type]
        return {str(event["data"]["object"]["id"]) for event in found}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        events = self._events

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                events.append(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler
