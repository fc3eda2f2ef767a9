"""Waiting for the end of a call, over everything that can break meanwhile."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from tests.sdk.conftest import Face
from tests.sdk.support.events import CONVERSATION, conversation, event, frame, stream
from tests.sdk.support.scripted_server import (
    Answer,
    NoAnswer,
    Received,
    Reply,
    json_reply,
    problem,
)

import bolti


class Call:
    """A server with one live call: `end()` it, and choose how its event stream behaves."""

    def __init__(self, face: Face, *, streams: list[Any]) -> None:
        self.server = face.server
        self.is_over = threading.Event()
        self.streams = streams
        self.looks = 0
        self.bad_looks: list[Answer] = []
        self.server.script = self.answer

    def answer(self, request: Received) -> Answer:
        if request.path.endswith("/events"):
            made = self.streams.pop(0) if len(self.streams) > 1 else self.streams[0]
            return made() if callable(made) else made
        self.looks += 1
        if self.bad_looks:
            return self.bad_looks.pop(0)
        return json_reply(conversation(is_over=self.is_over.is_set()))

    def ends_by_event(self) -> Reply:
        """The event comes 0.2 s after the stream was opened, the record is over from then on."""

        def end() -> None:
            self.server.is_stopping.wait(0.2)
            self.is_over.set()

        def body() -> Any:
            yield b"retry: 10\n: listening\n\n"
            end()
            yield frame(event(9, "conversation.ended"))
            self.server.is_stopping.wait(20)

        return Reply(200, headers={"Content-Type": "text/event-stream"}, stream=body())

    def ends_in(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self.is_over.set)
        timer.daemon = True
        timer.start()


def wait(client: Any, seconds: float = 20) -> Any:
    return client.conversations.wait_until_ended(CONVERSATION, timeout_seconds=seconds)


async def test_a_call_that_is_over_is_answered_at_once(face: Face) -> None:
    call = Call(face, streams=[problem("not_found", 404)])
    call.is_over.set()
    assert (await face(wait)).hangup.code == "agent_hangup"
    assert len(face.server.received) == 1


async def test_the_event_stream_tells_the_end(face: Face) -> None:
    call = Call(face, streams=[])
    call.streams = [call.ends_by_event]
    began = time.monotonic()
    assert (await face(wait)).is_over
    assert time.monotonic() - began < 5
    assert call.looks == 2
    listened = face.server.received[1]
    assert listened.query == {"conversation_id": [CONVERSATION], "type": ["conversation.ended"]}


async def test_dropped_streams_and_a_restarting_server_are_survived(face: Face) -> None:
    call = Call(face, streams=[])
    call.streams = [NoAnswer(), stream(b": hello\n\n"), Reply(503), call.ends_by_event]
    call.bad_looks = [json_reply(conversation(is_over=False)), NoAnswer(), Reply(503)]
    assert (await face(wait, max_retries=0)).is_over


@pytest.mark.parametrize(
    "answer",
    [
        problem("insufficient_scope", 403),
        problem("not_acceptable", 406),
        json_reply({"data": [], "next": None}),
    ],
)
async def test_without_a_stream_it_asks(face: Face, answer: Reply) -> None:
    call = Call(face, streams=[answer])
    call.ends_in(1.2)
    assert (await face(wait)).is_over
    assert sum(each.path.endswith("/events") for each in face.server.received) == 1
    assert 2 <= call.looks <= 6


async def test_an_end_that_the_stream_does_not_tell_is_found_all_the_same(face: Face) -> None:
    """The stream stays silent; with 2 s left it is not waited for beyond that."""
    call = Call(face, streams=[])
    call.streams = [lambda: stream(then=lambda: face.server.is_stopping.wait(20))]
    call.ends_in(0.5)
    began = time.monotonic()
    assert (await face(lambda client: wait(client, 2.0))).is_over
    assert time.monotonic() - began < 5


async def test_a_stream_that_falls_silent_does_not_outlast_the_wait(face: Face) -> None:
    def late_sign_of_life() -> Reply:
        def body() -> Any:
            yield b": listening\n\n"
            face.server.is_stopping.wait(1.4)
            yield b": keep-alive\n\n"
            face.server.is_stopping.wait(20)

        return Reply(200, headers={"Content-Type": "text/event-stream"}, stream=body())

    Call(face, streams=[late_sign_of_life])
    began = time.monotonic()
    with pytest.raises(bolti.WaitTimedOut):
        await face(lambda client: wait(client, 3.0))
    assert time.monotonic() - began < 4.2


async def test_a_wait_that_is_over_before_the_call_says_how_far_it_is(face: Face) -> None:
    Call(face, streams=[problem("insufficient_scope", 403)])
    with pytest.raises(bolti.WaitTimedOut, match=r"still in_progress after 0\.7 s") as caught:
        await face(lambda client: wait(client, 0.7))
    assert caught.value.conversation.status == "in_progress"


async def test_a_wait_without_a_server_says_that(face: Face) -> None:
    face.server.stop()
    with pytest.raises(bolti.WaitTimedOut, match="could not be read") as caught:
        await face(lambda client: wait(client, 0.7), max_retries=0)
    assert isinstance(caught.value.__cause__, bolti.ConnectionFailed)


async def test_a_conversation_that_does_not_exist_is_told_at_once(face: Face) -> None:
    face.server.answers = [problem("not_found", 404)]
    with pytest.raises(bolti.NotFound):
        await face(wait)
