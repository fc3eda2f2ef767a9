"""What is sent again, what is not, and with which key."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.sdk.conftest import Face
from tests.sdk.support.contract import example
from tests.sdk.support.scripted_server import NoAnswer, Received, Reply, json_reply, problem

import bolti
from bolti import _retrying
from bolti._retrying import Repeat

AGENT = "agent_01kavqm3t8e6zb2c4d5f7g9h1a"
CONVERSATION = "conv_01kavqm3t8e6zb2c4d5f7g9h2c"
PLACED = json_reply(example("OutboundCall"), 201)
DISTURBANCES = [
    NoAnswer(),
    Reply(500, b"oops"),
    problem("database_unavailable", 503),
    Reply(201, b'{"conversation_id": ', cut_after=5),
    problem("idempotency_in_progress", 409),
    problem("rate_limited", 429),
    Reply(408),
]


def keys(received: list[Received]) -> list[str | None]:
    return [each.headers.get("idempotency-key") for each in received]


def dial(client: Any, **more: Any) -> Any:
    return client.agents.outbound_call(AGENT, to_number="+12025550100", **more)


@pytest.mark.parametrize(
    "disturbance", DISTURBANCES, ids=lambda each: str(getattr(each, "status", "none"))
)
async def test_a_call_is_placed_with_one_key_however_often_it_is_sent(
    face: Face, disturbance: Any
) -> None:
    face.server.answers = [disturbance, NoAnswer(), PLACED]
    call = await face(dial)
    assert call.conversation_id == CONVERSATION
    assert len(face.server.received) == 3
    assert len(set(keys(face.server.received))) == 1
    assert keys(face.server.received)[0]
    assert len({each.body for each in face.server.received}) == 1


async def test_two_calls_have_two_keys(face: Face) -> None:
    face.server.answers = [PLACED]
    await face(dial)
    await face(dial)
    assert len(set(keys(face.server.received))) == 2


async def test_the_caller_may_give_the_key(face: Face) -> None:
    face.server.answers = [NoAnswer(), PLACED]
    await face(lambda client: dial(client, idempotency_key="order-7"))
    assert keys(face.server.received) == ["order-7", "order-7"]


@pytest.mark.parametrize("key", ["two words", "ключ", "x" * 256, "line\nbreak"])
async def test_a_key_that_is_no_header_is_refused_before_anything_is_sent(
    face: Face, key: str
) -> None:
    face.server.answers = [PLACED]
    with pytest.raises(ValueError, match="idempotency_key"):
        await face(lambda client: dial(client, idempotency_key=key))
    assert face.server.received == []


@pytest.mark.parametrize("disturbance", [NoAnswer(), Reply(500, b"oops"), Reply(408)])
async def test_a_post_without_a_key_is_not_repeated_where_it_may_have_had_its_effect(
    face: Face, disturbance: Any
) -> None:
    face.server.answers = [disturbance, json_reply(example("Conversation"), 202)]
    with pytest.raises(bolti.BoltiError) as caught:
        await face(lambda client: client.conversations.end(CONVERSATION))
    assert len(face.server.received) == 1
    if isinstance(caught.value, bolti.ConnectionFailed):
        assert caught.value.may_have_been_done
        assert "look before you repeat" in str(caught.value)


async def test_a_post_without_a_key_is_repeated_where_the_limit_refused_it(face: Face) -> None:
    face.server.answers = [problem("rate_limited", 429), json_reply(example("Conversation"), 202)]
    await face(lambda client: client.conversations.end(CONVERSATION))
    assert len(face.server.received) == 2


@pytest.mark.parametrize("disturbance", DISTURBANCES[:4])
async def test_reading_is_repeated(face: Face, disturbance: Any) -> None:
    face.server.answers = [disturbance, json_reply(example("Agent"))]
    assert (await face(lambda client: client.agents.get(AGENT))).id == AGENT


@pytest.mark.parametrize("disturbance", DISTURBANCES[:3])
async def test_an_update_is_repeated_with_the_same_body(face: Face, disturbance: Any) -> None:
    face.server.answers = [disturbance, json_reply(example("Agent"))]
    await face(lambda client: client.agents.update(AGENT, is_active=False))
    assert [each.json for each in face.server.received] == [{"is_active": False}] * 2


async def test_a_delete_whose_answer_was_lost_is_done_when_nothing_is_found(face: Face) -> None:
    face.server.answers = [NoAnswer(), problem("not_found", 404)]
    assert await face(lambda client: client.agents.delete(AGENT)) is None


async def test_a_delete_that_finds_nothing_at_once_says_so(face: Face) -> None:
    face.server.answers = [problem("not_found", 404)]
    with pytest.raises(bolti.NotFound):
        await face(lambda client: client.agents.delete(AGENT))


async def test_retry_after_is_honoured(face: Face) -> None:
    face.server.answers = [problem("rate_limited", 429, headers={"Retry-After": "1"}), PLACED]
    began = time.monotonic()
    await face(dial)
    assert time.monotonic() - began >= 1.0


async def test_a_retry_after_beyond_the_time_that_is_left_is_raised_at_once(face: Face) -> None:
    face.server.answers = [problem("rate_limited", 429, headers={"Retry-After": "120"})]
    began = time.monotonic()
    with pytest.raises(bolti.RateLimited) as caught:
        await face(dial)
    assert caught.value.retry_after_seconds == 120
    assert time.monotonic() - began < 10
    assert len(face.server.received) == 1


async def test_a_workspace_at_its_limit_is_told_at_once(face: Face) -> None:
    face.server.answers = [
        problem("concurrency_limit_reached", 429, headers={"Retry-After": "1"}),
        PLACED,
    ]
    with pytest.raises(bolti.ConcurrencyLimitReached):
        await face(dial)
    assert len(face.server.received) == 1


async def test_tries_end(face: Face) -> None:
    face.server.answers = [Reply(500)]
    with pytest.raises(bolti.ServerError):
        await face(dial, max_retries=2)
    assert len(face.server.received) == 3


async def test_no_retries_means_one_try(face: Face) -> None:
    face.server.answers = [NoAnswer()]
    with pytest.raises(bolti.ConnectionFailed) as caught:
        await face(dial, max_retries=0)
    assert len(face.server.received) == 1
    assert caught.value.idempotency_key == keys(face.server.received)[0]
    assert repr(caught.value.idempotency_key) in str(caught.value)


async def test_a_refusal_is_not_repeated(face: Face) -> None:
    face.server.answers = [problem("missing_variables", 400, missing=["name"]), PLACED]
    with pytest.raises(bolti.MissingVariables):
        await face(dial)
    assert len(face.server.received) == 1


async def test_a_server_that_is_not_there_was_not_asked_for_anything(face: Face) -> None:
    face.server.stop()
    with pytest.raises(bolti.ConnectionFailed, match="Is the server running") as caught:
        await face(dial, max_retries=1)
    assert not caught.value.may_have_been_done


async def test_the_time_for_all_tries_together_is_kept(face: Face) -> None:
    def hang(_: Received) -> Reply:
        def nothing() -> Any:
            face.server.is_stopping.wait(20)
            yield b""

        return Reply(200, stream=nothing())

    face.server.script = hang
    began = time.monotonic()
    with pytest.raises(bolti.TimedOut):
        await face(lambda client: client.agents.get(AGENT), timeout_seconds=0.6)
    assert time.monotonic() - began < 3


async def test_a_server_that_drips_holds_nobody_longer_than_the_time(face: Face) -> None:
    def drip() -> Any:
        while not face.server.is_stopping.wait(0.05):
            yield b" "

    face.server.script = lambda _: Reply(200, stream=drip())
    began = time.monotonic()
    with pytest.raises(bolti.TimedOut):
        await face(lambda client: client.agents.get(AGENT), timeout_seconds=0.6)
    assert time.monotonic() - began < 3


def test_waits_double_and_are_spread() -> None:
    waits = [[_retrying.wait_seconds(number) for _ in range(200)] for number in range(1, 9)]
    for number, drawn in enumerate(waits, 1):
        whole = min(8.0, 0.25 * 2 ** (number - 1))
        assert whole / 2 <= min(drawn) < max(drawn) <= whole
        assert len(set(drawn)) > 100
    assert _retrying.wait_seconds(10**9) <= 8.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("9" * 40, 86_400.0),
    ],
)
def test_retry_after_is_read_or_left(value: str | None, seconds: float | None) -> None:
    assert _retrying.retry_after(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    then = "Wed, 25 Nov 2026 10:00:10 GMT"
    now = _retrying.datetime(2026, 11, 25, 10, 0, 0, tzinfo=_retrying.UTC)
    assert _retrying.retry_after(then, now=now) == 10.0


@pytest.mark.parametrize("status", [501, 505, 400, 401, 402, 403, 404, 413, 422])
def test_what_will_not_become_better_is_not_repeated(status: int) -> None:
    assert not _retrying.is_worth_repeating(Repeat.ALWAYS, status, "x")


def test_another_conflict_is_not_repeated() -> None:
    ask: Callable[[str], bool] = lambda code: _retrying.is_worth_repeating(Repeat.ALWAYS, 409, code)
    assert ask("idempotency_in_progress")
    assert not ask("callee_already_in_call")
