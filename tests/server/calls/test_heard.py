"""The job that listens to recordings: what it finds is on the record; nothing stops it and nothing makes it go round."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk
from tests.server.support.recordings import side, write_ogg
from tests.server.support.worker_side import OGG, Leased, ScriptedWorker, events_of, row_of, turn

from bolti_server.calls import heard, heard_helper
from bolti_server.calls.heard_helper import HearingFailed
from bolti_server.calls.heard_latency import answering, with_heard
from bolti_server.calls.heard_messages import HeardAnswer, HeardRequest
from bolti_server.contract import structs
from bolti_server.world import World

CALLER = [(2000, 3000), (6000, 6800)]
AGENT = [
    (200, 1500),
    (3655, 5000),
    (7500, 8500),
]  # the greeting, and two answers: after 655 and 700 ms
MEASURED = {
    "end_of_turn_ms": 310,
    "transcription_ms": 42,
    "llm_first_token_ms": 182,
    "tts_first_audio_ms": 94,
    "playback_ms": 21,
    "end_to_end_ms": 649,
}


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    file = write_ogg(tmp_path / "made.ogg", side(9000, CALLER), side(9000, AGENT))
    return file.read_bytes()


async def talked(desk: Desk, worker: ScriptedWorker) -> Leased:
    """A call with a greeting and two answered turns, still going on."""
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    tools = [
        {"name": "look_up", "arguments": {}, "result": 1, "is_error": False, "duration_ms": 50}
    ]
    for index, (role, text, (start, end), more) in enumerate(
        [
            ("agent", "Hello.", AGENT[0], {}),
            ("user", "A table, please.", CALLER[0], {}),
            ("agent", "For when?", AGENT[1], {"latency": MEASURED}),
            ("user", "Tonight.", CALLER[1], {}),
            ("agent", "Done.", AGENT[2], {"latency": MEASURED, "tool_calls": tools}),
        ]
    ):
        spoken = {**turn(index, role, text, **more), "start_ms": start, "end_ms": end}
        await call.report("turn", turn=spoken)
    return call


async def ended(desk: Desk, worker: ScriptedWorker, content: bytes) -> Leased:
    call = await talked(desk, worker)
    await call.put_recording(content)
    await call.ended("agent_hangup", has_recording=True)
    return call


async def peaks_status(desk: Desk, call: Leased) -> tuple[int, str | None]:
    answer = await desk.client.get(
        f"/workspaces/current/conversations/{call.conversation_id}/recording/peaks"
    )
    return answer.status_code, answer.json().get("recording_status")


async def test_what_was_heard_is_on_the_record(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes
) -> None:
    call = await ended(desk, worker, content)
    before = await desk.conversation(call.conversation_id)
    assert before["latency"]["heard_p50_ms"] is None
    assert await peaks_status(desk, call) == (404, "pending")

    assert await heard.hear_due(world) == 1
    assert await heard.hear_due(world) == 0

    record = await desk.conversation(call.conversation_id)
    latencies = [each["latency"] for each in record["transcript"]]
    assert [latencies[n] for n in (0, 1, 3)] == [None, None, None]
    first, second = latencies[2], latencies[4]
    assert first["heard_ms"] == pytest.approx(655, abs=20)
    assert second["heard_ms"] == pytest.approx(700, abs=20)
    assert first["unaccounted_ms"] == first["heard_ms"] - 310 - 182 - 94 - 21
    assert second["unaccounted_ms"] == second["heard_ms"] - 310 - 182 - 94 - 21 - 50
    assert {name: first[name] for name in MEASURED} == MEASURED
    assert record["latency"]["heard_p50_ms"] == first["heard_ms"]
    assert record["latency"]["heard_p95_ms"] == second["heard_ms"]


async def test_the_peaks_of_a_recording_can_be_had(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes
) -> None:
    call = await ended(desk, worker, content)
    await heard.hear_due(world)
    path = f"/workspaces/current/conversations/{call.conversation_id}/recording/peaks"
    peaks = (await desk.client.get(path)).json()
    assert peaks["duration_ms"] == pytest.approx(9000, abs=40)
    assert len(peaks["caller"]) == len(peaks["agent"]) == -(-peaks["duration_ms"] // 10)
    assert peaks["interval_ms"] == 10
    assert max(peaks["caller"][:195]) < 5 < 50 < max(peaks["caller"][200:300])


async def test_without_a_recording_there_are_no_peaks(desk: Desk, worker: ScriptedWorker) -> None:
    await desk.placed()
    call = await worker.claim()
    assert await peaks_status(desk, call) == (404, "none")
    unknown = "conv_01kavqm3t8e6zb2c4d5f7g9h2c"
    answer = await desk.client.get(f"/workspaces/current/conversations/{unknown}/recording/peaks")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_recording_that_is_none_is_given_up_at_once_and_can_still_be_fetched(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    call = await ended(desk, worker, OGG)
    assert await heard.hear_due(world) == 1
    await move_time(3600)
    assert await heard.hear_due(world) == 0
    assert await peaks_status(desk, call) == (404, "failed")
    assert (await desk.conversation(call.conversation_id))["recording_status"] == "available"


async def test_what_kills_the_helper_is_tried_three_times(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes, move_time: MoveTime
) -> None:
    call = await ended(desk, worker, content)

    async def dies(request: HeardRequest) -> HeardAnswer:
        command = (sys.executable, "-c", "import os; os.kill(os.getpid(), 11)")
        return await heard_helper.listen(request, command=command)

    tries = 0
    for _ in range(10):
        tries += await heard.hear_due(world, listen=dies)
        await move_time(60)
    assert tries == heard.MOST_ATTEMPTS
    assert await peaks_status(desk, call) == (404, "failed")


async def test_a_poisoned_recording_holds_up_no_other(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes
) -> None:
    await ended(desk, worker, content)
    good = await ended(desk, worker, content)
    failures = 0

    async def dies_once(request: HeardRequest) -> HeardAnswer:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise HearingFailed("it was the poison")
        return await heard_helper.listen(request)

    assert [await heard.hear_due(world, listen=dies_once) for _ in range(3)] == [1, 1, 0]
    assert (await peaks_status(desk, good))[0] == 200


async def test_a_killed_servers_recording_is_taken_up_by_another(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes, move_time: MoveTime
) -> None:
    call = await ended(desk, worker, content)

    async def killed(_request: HeardRequest) -> HeardAnswer:
        raise asyncio.CancelledError  # nothing is written any more, as after kill -9

    with pytest.raises(asyncio.CancelledError):
        await heard.hear_due(world, listen=killed)
    assert await heard.hear_due(world) == 0, "its lease is not over"
    await move_time(heard.LEASE_SECONDS + 1)
    assert await heard.hear_due(world) == 1
    assert (await peaks_status(desk, call))[0] == 200


async def test_what_kills_every_server_is_given_up(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes, move_time: MoveTime
) -> None:
    call = await ended(desk, worker, content)

    async def killed(_request: HeardRequest) -> HeardAnswer:
        raise asyncio.CancelledError

    for _ in range(heard.MOST_ATTEMPTS):
        with pytest.raises(asyncio.CancelledError):
            await heard.hear_due(world, listen=killed)
        await move_time(heard.LEASE_SECONDS + 1)
    assert await heard.hear_due(world, listen=killed) == 1
    assert await peaks_status(desk, call) == (404, "failed")


async def test_two_servers_listen_to_a_recording_once(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes
) -> None:
    await ended(desk, worker, content)
    assert sorted(await asyncio.gather(*(heard.hear_due(world) for _ in range(3)))) == [0, 0, 1]


async def test_a_recording_whose_file_is_gone_does_not_go_round(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes, move_time: MoveTime
) -> None:
    call = await ended(desk, worker, content)
    await world.objects.delete((await row_of(world, call.conversation_id))["recording_path"])
    tries = 0
    for _ in range(6):
        tries += await heard.hear_due(world)
        await move_time(60)
    assert tries == heard.MOST_ATTEMPTS


async def test_a_helper_that_hangs_is_killed_in_time() -> None:
    request = HeardRequest(parts=[], turns=[], cpu_seconds=5)
    command = (sys.executable, "-c", "import threading; threading.Event().wait()")
    with pytest.raises(HearingFailed, match="more than"):
        await heard_helper.listen(request, command=command, timeout_seconds=0.5)
    with pytest.raises(HearingFailed, match="nothing that makes sense"):
        await heard_helper.listen(request, command=(sys.executable, "-c", "print('{')"))


def spoken(index: int, role: str, text: str, start_ms: int, **more: object) -> structs.Turn:
    fields = {"is_interrupted": False, "latency": None, "tool_calls": [], "dtmf": None, **more}
    return structs.Turn(
        index=index, role=role, text=text, start_ms=start_ms, end_ms=start_ms + 500, **fields
    )


def test_the_first_words_after_a_callers_answer_him_and_keys_are_no_words() -> None:
    turns = [
        spoken(0, "agent", "Hello.", 0),
        spoken(1, "user", "One.", 1000),
        spoken(2, "user", "Two.", 2000),
        spoken(3, "agent", "Both.", 3000),
        spoken(4, "agent", "And more.", 4000),
        spoken(5, "user", "", 5000, dtmf="1"),
        spoken(6, "agent", "You pressed one.", 6000),
    ]
    assert [(each.index, each.caller_start_ms) for each in answering(turns)] == [(3, 1000)]


def test_an_apology_that_the_session_did_not_measure_is_heard_all_the_same() -> None:
    turn = with_heard(spoken(1, "agent", "Sorry.", 1000), 4200)
    assert turn.latency is not None
    assert (turn.latency.heard_ms, turn.latency.unaccounted_ms) == (4200, None)


# ---- several agents, several parts ----


async def replaced(world: World, call: Leased) -> Leased:
    """The agent of a call that was answered is replaced: only a real line survives its worker, so this is done by hand."""
    async with world.db.transaction() as tx:
        await tx.execute(
            """update conversations set epoch = 2, dispatch_count = 2, last_report = 0 where id = $1""",
            call.conversation_id,
        )
    signature = world.vault.sign("worker call", f"{call.conversation_id}:2")
    return Leased(call.http, call.conversation_id, 2, f"{call.conversation_id}.2.{signature}")


async def duration_of(desk: Desk, call: Leased) -> int:
    path = f"/workspaces/current/conversations/{call.conversation_id}/recording/peaks"
    found: int = (await desk.client.get(path)).json()["duration_ms"]
    return found


async def test_the_parts_of_two_agents_are_one_recording(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes, move_time: MoveTime
) -> None:
    first = await talked(desk, worker)
    await first.put_recording(content, age_ms=0)
    second = await replaced(world, first)
    await move_time(20)
    await second.put_recording(content, age_ms=4000)
    await second.ended("agent_hangup", has_recording=True)
    record = await desk.conversation(first.conversation_id)
    assert (record["recording_status"], record["recording_url"]) == ("pending", None)

    assert await heard.hear_due(world) == 1

    record = await desk.conversation(first.conversation_id)
    assert (record["recording_status"], record["recording_detail"]) == ("available", None)
    assert await duration_of(desk, first) == pytest.approx(16_000 + 9000, abs=500)
    assert (await events_of(world, first.conversation_id)).count(
        "conversation.recording_ready"
    ) == 1
    downloaded = await desk.client.get(
        f"/workspaces/current/conversations/{first.conversation_id}/recording"
    )
    assert downloaded.content.startswith(b"OggS")
    assert len(downloaded.content) > len(content)
    assert record["transcript"][2]["latency"]["heard_ms"] == pytest.approx(655, abs=20)


async def test_a_part_that_comes_after_the_call_makes_the_recording_whole(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes
) -> None:
    """The worker that was killed runs again and sends what its spool holds."""
    first = await talked(desk, worker)
    second = await replaced(world, first)
    await second.put_recording(content)
    await second.ended("agent_hangup", has_recording=True)
    await heard.hear_due(world)
    assert await duration_of(desk, first) == pytest.approx(9000, abs=40)

    assert (await first.put_recording(content)).status_code == 200
    assert (await desk.conversation(first.conversation_id))["recording_status"] == "available"
    await heard.hear_due(world)

    assert await duration_of(desk, first) == pytest.approx(18_000, abs=80)
    assert (await events_of(world, first.conversation_id)).count(
        "conversation.recording_ready"
    ) == 1


async def test_parts_that_can_not_be_joined_leave_the_largest(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
) -> None:
    first = await talked(desk, worker)
    await first.put_recording(OGG)
    second = await replaced(world, first)
    await second.put_recording(OGG * 3)
    await second.ended("agent_hangup", has_recording=True)
    await heard.hear_due(world)
    record = await desk.conversation(first.conversation_id)
    assert record["recording_status"] == "available"
    assert "Only a part" in record["recording_detail"]
    row = await row_of(world, first.conversation_id)
    assert row["recording_bytes"] == len(OGG) * 3


async def test_an_epoch_that_never_was_sends_nothing(
    world: World, desk: Desk, worker: ScriptedWorker, content: bytes
) -> None:
    call = await talked(desk, worker)
    signature = world.vault.sign("worker call", f"{call.conversation_id}:9")
    ahead = Leased(call.http, call.conversation_id, 9, f"{call.conversation_id}.9.{signature}")
    assert (await ahead.put_recording(content)).status_code == 409
