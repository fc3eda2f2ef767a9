"""Events and streams of them, as a server would say them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.sdk.support.contract import EVENTS, example
from tests.sdk.support.scripted_server import Reply

CONVERSATION = "conv_01kavqm3t8e6zb2c4d5f7g9h2c"


def golden(event_type: str) -> dict[str, Any]:
    return json.loads((EVENTS / f"{event_type}.json").read_text(encoding="utf-8"))


def event(number: int, event_type: str = "conversation.turn") -> dict[str, Any]:
    return {**golden(event_type), "id": f"evt_{number}", "sequence": number}


def frame(made: dict[str, Any]) -> bytes:
    return f"id: {made['id']}\nevent: {made['type']}\ndata: {json.dumps(made)}\n\n".encode()


def stream(*pieces: bytes, then: Callable[[], object] | None = None) -> Reply:
    """Sends the pieces, calls `then` (which may block), and closes."""

    def body() -> Iterator[bytes]:
        yield b"retry: 10\n: listening\n\n"
        yield from pieces
        if then is not None:
            then()

    return Reply(200, headers={"Content-Type": "text/event-stream"}, stream=body())


def conversation(*, is_over: bool) -> dict[str, Any]:
    record = example("Conversation")
    if not is_over:
        record.update(status="in_progress", ended_at=None, hangup=None, duration_seconds=None)
    return record
