"""The live log over connections that drop."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.sdk.conftest import Face
from tests.sdk.support.contract import EVENTS, operations, schemas
from tests.sdk.support.events import event, frame, golden, stream
from tests.sdk.support.scripted_server import NoAnswer, json_reply, problem

import bolti
from bolti import _events
from bolti._sse import Decoder, EventTooLong, Message


async def test_a_dropped_stream_goes_on_after_the_last_event(face: Face) -> None:
    half = frame(event(3))[:-20]
    face.server.answers = [
        stream(frame(event(1)), frame(event(2)), half),
        NoAnswer(),
        problem("database_unavailable", 503),
        stream(b": keep-alive\n\n", frame(event(3))),
        stream(frame(event(4)), then=lambda: face.server.is_stopping.wait(20)),
    ]
    found = await face.items(lambda client: client.events.stream(after="evt_0"), most=4)
    assert [each.id for each in found] == ["evt_1", "evt_2", "evt_3", "evt_4"]
    assert all(isinstance(each, bolti.TurnEvent) for each in found)
    resumed = [each.headers.get("last-event-id") for each in face.server.received]
    assert resumed == [None, "evt_2", "evt_2", "evt_2", "evt_3"]
    assert {each.headers["accept"] for each in face.server.received} == {"text/event-stream"}
    assert all(each.query == {"after": ["evt_0"]} for each in face.server.received)


async def test_an_event_that_is_sent_again_comes_once(face: Face) -> None:
    face.server.answers = [
        stream(frame(event(1))),
        stream(frame(event(1)), frame(event(2)), then=lambda: face.server.is_stopping.wait(20)),
    ]
    found = await face.items(lambda client: client.events.stream(), most=2)
    assert [each.id for each in found] == ["evt_1", "evt_2"]


async def test_filters_are_sent(face: Face) -> None:
    face.server.answers = [stream(frame(event(1)))]
    listened = lambda client: client.events.stream(
        types=["conversation.turn", "conversation.ended"], conversation_id="conv_1"
    )
    await face.items(listened, most=1)
    assert face.server.received[0].query == {
        "type": ["conversation.turn", "conversation.ended"],
        "conversation_id": ["conv_1"],
    }


async def test_an_unknown_or_changed_event_does_not_end_the_stream(face: Face) -> None:
    unknown = {**event(1), "type": "campaign.started", "data": {"object": {"id": "camp_1"}}}
    changed = {**event(2), "data": {"object": {"other": 1}}}
    face.server.answers = [stream(frame(unknown), frame(changed))]
    found = await face.items(lambda client: client.events.stream(), most=2)
    assert [type(each) for each in found] == [bolti.Event, bolti.Event]
    assert found[0].type == "campaign.started"
    assert found[0].data.object == {"id": "camp_1"}


@pytest.mark.parametrize(
    ("code", "status"), [("insufficient_scope", 403), ("unauthenticated", 401)]
)
async def test_a_refusal_for_good_ends_it(face: Face, code: str, status: int) -> None:
    face.server.answers = [stream(frame(event(1))), problem(code, status)]
    with pytest.raises(bolti.ApiError) as caught:
        await face.items(lambda client: client.events.stream(), most=2)
    assert caught.value.code == code


async def test_it_gives_up_after_the_time_it_was_given(face: Face) -> None:
    face.server.answers = [NoAnswer()]
    began = time.monotonic()
    with pytest.raises(bolti.ConnectionFailed, match="after="):
        await face.items(lambda client: client.events.stream(give_up_after_seconds=0.3))
    assert time.monotonic() - began < 5


async def test_a_server_without_streams_is_told(face: Face) -> None:
    face.server.answers = [json_reply({"data": [], "next": None})]
    with pytest.raises(bolti.UnexpectedAnswer, match="live stream"):
        await face.items(lambda client: client.events.stream())


async def test_what_is_no_event_is_told(face: Face) -> None:
    face.server.answers = [stream(b"data: {}\n\n")]
    with pytest.raises(bolti.UnexpectedAnswer):
        await face.items(lambda client: client.events.stream())


async def test_a_closed_stream_ends(face: Face) -> None:
    face.server.answers = [stream(frame(event(1)), frame(event(2)))]
    opened = face.client().events.stream()
    if face.is_async:
        async with opened:
            assert (await anext(opened)).id == opened.last_event_id == "evt_1"
        assert [each async for each in opened] == []
    else:
        with opened:
            assert next(opened).id == opened.last_event_id == "evt_1"
        assert list(opened) == []


async def test_pages_of_the_log_are_typed(face: Face) -> None:
    rows = [golden("conversation.ended"), {**event(2), "type": "new.one"}]
    face.server.answers = [json_reply({"data": rows, "next": None})]
    found = await face.items(lambda client: client.events.list())
    assert isinstance(found[0], bolti.ConversationEvent)
    assert found[0].data.object.is_over
    assert type(found[1]) is bolti.Event


def test_every_event_of_the_contract_has_its_class_and_its_golden_example_fits() -> None:
    assert set(_events.BY_TYPE) == set(schemas()["EventType"]["enum"])
    for name, kind in _events.BY_TYPE.items():
        text = (EVENTS / f"{name}.json").read_text(encoding="utf-8")
        made = _events.event_of(text)
        assert type(made) is kind
        assert made.model_dump(mode="json") == json.loads(text)
    assert next(operations())  # the contract was read at all


MESSAGES = (
    "\ufeff: hello\r\nid: 1\r\ndata: a\r\ndata:b\r\n\r\n"
    "event: x\rdata: é€😀\r\r"
    "id\ndata\n\n"
    "id: no\0pe\ndata: c\nunknown: 1\n\n"
    "retry: 250\n\nretry: soon\n\n"
    "data: never ended\n"
).encode()
EXPECTED = [
    Message("a\nb", "1", None),
    Message("é€😀", "1", None),
    Message("", "", None),
    Message("c", "", None),
    Message("", "", 250),
]


@given(st.lists(st.integers(0, len(MESSAGES)), max_size=12))
# Nothing at all between the two halves of a line's end:
@example([MESSAGES.index(b"a\r\n") + 2] * 2)
def test_messages_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(MESSAGES)]
    decoder = Decoder()
    found = [
        message for start, end in pairwise(edges) for message in decoder.feed(MESSAGES[start:end])
    ]
    assert found == EXPECTED


def test_an_event_without_an_end_is_bounded() -> None:
    decoder = Decoder()
    for _ in range(8):
        decoder.feed(b"data: " + b"x" * 1_000_000 + b"\n")
    with pytest.raises(EventTooLong):
        decoder.feed(b"data: " + b"x" * 1_000_000)
