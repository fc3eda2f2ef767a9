"""Reports of a worker: in order, each once, whatever the network does to them."""

from __future__ import annotations

import asyncio

import httpx2
from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk
from tests.server.support.worker_side import (
    Leased,
    ScriptedWorker,
    event_data,
    events_of,
    hold_of,
    row_of,
    run_deadlines,
    turn,
    verdicts_of,
)

from bolti_server.base.db import decode_json
from bolti_server.world import World


async def talking(desk: Desk, worker: ScriptedWorker) -> Leased:
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    return call


async def test_a_repeated_report_changes_nothing(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    report = await call.report("turn", turn=turn(0))
    before = await row_of(world, call.conversation_id)
    for _ in range(3):
        answer = await call.send([report])
        assert answer.json() == {"applied_through": call.number, "wanted": None}
    other = {**report, "type": "ended", "turn": None, "ended": {"code": "agent_hangup"}}
    await call.send([other])
    assert await row_of(world, call.conversation_id) == before
    assert (await events_of(world, call.conversation_id)).count("conversation.turn") == 1
    assert len(await verdicts_of(world, call.conversation_id)) == call.number


async def test_a_gap_is_asked_for_and_what_comes_before_it_is_kept(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.placed()
    call = await worker.claim()
    reports = [{"number": n, "type": "agent_ready"} for n in (1, 2, 4, 5)]
    assert (await call.send(reports)).json() == {"applied_through": 2, "wanted": 3}
    assert (await call.send(reports[2:])).json() == {"applied_through": 2, "wanted": 3}
    missing = {"number": 3, "type": "agent_ready"}
    answer = await call.send([*reversed(reports), missing])
    assert answer.json() == {"applied_through": 5, "wanted": None}
    assert len(await verdicts_of(world, call.conversation_id)) == 5


async def test_a_whole_call_may_come_in_one_batch(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.intent()
    reports = [
        {"number": 1, "type": "agent_ready"},
        {"number": 2, "type": "ringing"},
        {"number": 3, "type": "answered"},
        {"number": 4, "type": "turn", "turn": turn(0)},
        {"number": 5, "type": "ended", "ended": {"code": "remote_hangup"}},
        {"number": 6, "type": "turn", "turn": turn(1)},
    ]
    assert (await call.send(reports)).json()["applied_through"] == 6
    assert [verdict for _, verdict in await verdicts_of(world, conversation_id)] == [
        "old_news",
        "applied",
        "applied",
        "applied",
        "applied",
        "old_news",
    ]
    record = await desk.conversation(conversation_id)
    assert record["status"] == "completed"
    assert len(record["transcript"]) == 1, "what comes after the end changes nothing"


async def test_the_same_batch_sent_twenty_times_at_once_is_applied_once(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    reports = [{"number": 4 + n, "type": "turn", "turn": turn(n)} for n in range(5)]
    answers = await asyncio.gather(*(call.send(reports) for _ in range(20)))
    assert {answer.json()["applied_through"] for answer in answers} == {8}
    assert (await events_of(world, call.conversation_id)).count("conversation.turn") == 5


async def test_late_line_events_are_recorded_and_change_nothing(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    before = await row_of(world, call.conversation_id)
    for kind in ("ringing", "answered", "agent_ready"):
        await call.report(kind)
    after = await row_of(world, call.conversation_id)
    assert after == {**before, "last_report": call.number}
    assert (await verdicts_of(world, call.conversation_id))[-3:] == [
        ("ringing", "old_news"),
        ("answered", "old_news"),
        ("agent_ready", "old_news"),
    ]


async def test_what_can_not_be_is_recorded_and_changes_nothing(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    call = await worker.claim()
    before = await row_of(world, conversation_id)
    await call.report("ringing")
    await call.report("answered")
    await call.turn(0)
    await call.report("turn")
    await call.report("tool_call")
    after = await row_of(world, conversation_id)
    assert after == {**before, "last_report": 5}
    assert {verdict for _, verdict in await verdicts_of(world, conversation_id)} == {"break"}
    assert await events_of(world, conversation_id) == []
    assert (await call.intent()).status_code == 200, "the call goes on all the same"


async def test_a_turn_that_grows_or_is_cut_replaces_what_was_known_of_it(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    await call.turn(0, "agent", "Hello")
    await call.turn(0, "agent", "Hello there, how are you")
    await call.report("turn", turn=turn(0, "agent", "Hello there", is_interrupted=True))
    await call.report("turn", turn=turn(0, "agent", "Hello there", is_interrupted=True))
    await call.turn(1, "user", "Stop")
    record = await desk.conversation(call.conversation_id)
    assert [each["text"] for each in record["transcript"]] == ["Hello there", "Stop"]
    assert record["transcript"][0]["is_interrupted"] is True
    assert (await events_of(world, call.conversation_id)).count("conversation.turn") == 4


async def test_a_turn_is_told_with_its_latency_and_tool_calls(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    used = {"name": "book", "arguments": {"day": "monday"}, "result": [1, None], "duration_ms": 7}
    latency = {"end_to_end_ms": 640, "llm_first_token_ms": 180}
    await call.report("turn", turn=turn(0, latency=latency, tool_calls=[used], dtmf="1#"))
    await call.report("tool_call", tool_call=used)
    told = (await event_data(world, call.conversation_id, "conversation.turn"))["turn"]
    assert told == (await desk.conversation(call.conversation_id))["transcript"][0]
    assert told["latency"]["end_to_end_ms"] == 640
    assert told["latency"]["playback_ms"] is None
    assert told["tool_calls"] == [{**used, "is_error": False}]
    assert told["dtmf"] == "1#"
    told = await event_data(world, call.conversation_id, "conversation.tool_call")
    assert told["tool_call"] == {**used, "is_error": False}


async def test_an_end_that_can_not_be_ends_the_call_by_our_fault(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    for code, status, expected in (
        ("busy", "in_progress", "agent_lost"),
        ("no_such_code", "in_progress", "agent_lost"),
        ("remote_hangup", "ringing", "outcome_unknown"),
    ):
        conversation_id = await desk.placed()
        call = await worker.claim()
        await call.reach(status)
        await call.ended(code)
        record = await desk.conversation(conversation_id)
        assert record["hangup"]["code"] == expected
        assert code in record["hangup"]["detail"]
        assert record["cost"]["amount_micros"] == 0
        assert await hold_of(world, conversation_id) == "released"


async def test_an_end_without_a_reason_ends_the_call_too(
    desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    await call.report("ended")
    record = await desk.conversation(call.conversation_id)
    assert record["hangup"]["code"] == "agent_lost"


async def test_odd_values_of_an_end_do_not_keep_a_call_alive(
    desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    await call.ended("agent_hangup", sip_status=10**12, detail="d" * 5000, provider_code="p" * 5000)
    hangup = (await desk.conversation(call.conversation_id))["hangup"]
    assert hangup["sip_status"] is None
    assert len(hangup["detail"]) == 1000
    assert len(hangup["provider_code"]) == 200


async def test_a_word_with_a_nul_in_it_does_not_block_what_follows(
    desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    await call.turn(0, "user", "a\0b")
    await call.turn(1, "user", "a\\u0000b")
    texts = [each["text"] for each in (await desk.conversation(call.conversation_id))["transcript"]]
    assert texts == ["ab", "a\\u0000b"]


async def test_reports_of_an_older_epoch_are_refused_and_not_recorded(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    first = await worker.claim()
    await move_time(8)
    second = await worker.claim()
    answer = await first.send([{"number": 1, "type": "ended", "ended": {"code": "agent_lost"}}])
    assert (answer.status_code, answer.json()["code"]) == (409, "epoch_superseded")
    assert await verdicts_of(world, conversation_id) == []
    await second.reach("ringing")
    assert (await row_of(world, conversation_id))["status"] == "ringing"


async def test_reports_after_the_end_are_taken_so_that_the_spool_gets_empty(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    call = await talking(desk, worker)
    await call.turn(0)
    await move_time(700)
    await run_deadlines(world)
    row = await row_of(world, call.conversation_id)
    await call.turn(1)
    await call.ended("remote_hangup", has_recording=True)
    assert await row_of(world, call.conversation_id) == {**row, "last_report": call.number}
    record = await desk.conversation(call.conversation_id)
    assert [each["index"] for each in record["transcript"]] == [0]


async def test_a_worker_that_lost_its_call_before_the_dial_leaves_it_to_another(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    conversation_id = await desk.placed()
    first = await worker.claim()
    await first.report("agent_ready")
    await first.ended("agent_lost")
    assert (await first.intent()).status_code == 409
    second = await worker.claim()
    assert second.conversation_id == conversation_id
    await second.reach("in_progress")
    await second.ended("agent_hangup")
    assert (await row_of(world, conversation_id))["status"] == "completed"


async def test_every_report_is_kept_as_it_came(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    sent = await call.report("turn", turn=turn(0, text="नमस्ते"))
    kept = await world.db.fetchval(
        "select body::text from line_events where conversation_id = $1 order by id desc limit 1",
        call.conversation_id,
    )
    body = decode_json(kept)
    assert body["turn"]["text"] == sent["turn"]["text"]
    assert body["number"] == call.number


async def test_a_very_long_batch_is_taken_piece_by_piece(
    desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.placed()
    call = await worker.claim()
    reports = [{"number": n, "type": "agent_ready"} for n in range(1, 1102)]
    assert (await call.send(reports)).json() == {"applied_through": 1000, "wanted": None}
    assert (await call.send(reports)).json() == {"applied_through": 1101, "wanted": None}


async def test_what_is_no_report_is_refused_whole(desk: Desk, worker: ScriptedWorker) -> None:
    await desk.placed()
    call = await worker.claim()
    bodies = (b"", b"[]", b"{", b'{"epoch": 1}', b'{"epoch": 1, "reports": [{"number": 1}]}')
    for body in (*bodies, b"\xff", b"[" * 100_000, b'{"epoch": 1, "reports": [{"type": "x"}]}'):
        answer: httpx2.Response = await call.http.post(
            f"{call.path}/reports", content=body, headers=call.headers
        )
        assert answer.status_code == 400, body[:60]
