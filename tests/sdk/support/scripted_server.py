"""An HTTP server on a real socket that does what a test tells it, down to closing the connection in mid-answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REASONS = {404: "Not found"}


@dataclass(frozen=True)
class Received:
    """A request as it came: names of headers in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """`body` with its length; or `stream`, piece by piece without a length. `cut_after`: bytes of the body that are sent
    before the connection is closed, though more was promised."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterable[bytes] | None = None
    cut_after: int | None = None


class NoAnswer:
    """The connection is closed without a word."""


Answer = Reply | NoAnswer
Script = Callable[[Received], Answer]


def json_reply(content: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(
        status, json.dumps(content).encode(), {"Content-Type": "application/json", **named}
    )


def problem(
    code: str, status: int, *, headers: dict[str, str] | None = None, **members: Any
) -> Reply:
    content = {
        "type": f"https://bolti.dev/problems/{code}",
        "title": code,
        "status": status,
        "detail": f"It is {code}.",
        "code": code,
        "errors": [],
        "request_id": "req_test",
        **members,
    }
    all_headers = {"Content-Type": "application/problem+json", **(headers or {})}
    return Reply(status, json.dumps(content).encode(), all_headers)


class ScriptedServer:
    """`answers` are given one after the other, the last one for ever; or set `script`. `received` tells what came."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[Answer] = []
        self.script: Script = self._next_answer
        self.is_stopping = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(), True)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def paths(self) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.received]

    def stop(self) -> None:
        self.is_stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _next_answer(self, _: Received) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True  # the client went away, as tests let it

            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Received(self.command, self.path, headers, self.rfile.read(length))
                with server._lock:
                    server.received.append(request)
                    answer = server.script(request)
                if isinstance(answer, NoAnswer):
                    self.hang_up()
                else:
                    self.give(answer)

            def give(self, answer: Reply) -> None:
                self.send_response(answer.status, REASONS.get(answer.status, "Said"))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.stream is not None:
                    self.send_header("Connection", "close")
                    self.end_headers()
                    for piece in answer.stream:
                        self.wfile.write(piece)
                        self.wfile.flush()
                    self.close_connection = True
                    return
                if answer.status not in (204, 304):
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body[: answer.cut_after])
                if answer.cut_after is not None:
                    self.hang_up()

            def hang_up(self) -> None:
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - names of http.server

            def log_message(self, *_: object) -> None:
                pass

        return Handler
