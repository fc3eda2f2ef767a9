"""What a call says to its server, when the server is slow, gone, or of another opinion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest
from tests.server.support.flaky_server import FlakyServer

from bolti_server.worker_api.client import CallClient, WorkerClient, carry_on
from bolti_server.worker_api.errors import CallLost, ServerUnreachable
from bolti_server.worker_api.messages import Claimed, Command, EndReport, TurnReport
from bolti_server.worker_api.spool import left_behind

CLAIMED = Claimed(conversation_id="conv_1", epoch=1, token="conv_1.1.secret")
ENDED = EndReport(code="agent_hangup")


@pytest.fixture
def server() -> FlakyServer:
    return FlakyServer()


@pytest.fixture
async def worker(server: FlakyServer) -> AsyncIterator[WorkerClient]:
    client = WorkerClient("http://server.test", "worker-token", server)
    yield client
    await client.aclose()


@pytest.fixture
async def call(worker: WorkerClient, tmp_path: Path) -> CallClient:
    client = worker.call(CLAIMED, tmp_path)
    client.start()
    return client


async def until(holds: Callable[[], bool], within_seconds: float = 10.0) -> None:
    async with asyncio.timeout(within_seconds):
        while not holds():
            await asyncio.sleep(0.005)


def numbers(server: FlakyServer) -> list[int]:
    return [report.number for report in server.kept]


async def test_reports_arrive_in_order_and_the_folder_goes_when_all_is_delivered(
    call: CallClient, server: FlakyServer, tmp_path: Path
) -> None:
    for name in ("agent_ready", "ringing", "answered"):
        call.report(name)
    call.report("ended", ended=ENDED)
    await asyncio.wait_for(call.deliver_rest(), 5)

    assert [report.type for report in server.kept] == [
        "agent_ready",
        "ringing",
        "answered",
        "ended",
    ]
    assert server.authorization == "Bearer conv_1.1.secret"
    assert list(tmp_path.iterdir()) == []


async def test_a_server_that_is_gone_for_a_while_loses_no_report(
    call: CallClient, server: FlakyServer
) -> None:
    server.faults["reports"] = [httpx2.ConnectError, 503, httpx2.ReadTimeout, 429]
    call.report("agent_ready")
    await until(lambda: not server.faults["reports"])
    call.report("ended", ended=ENDED)
    await asyncio.wait_for(call.deliver_rest(), 10)

    assert numbers(server) == [1, 2]


async def test_a_lost_answer_makes_a_repeat_that_the_server_takes_once(
    call: CallClient, server: FlakyServer
) -> None:
    server.loses_answer_of = {"reports"}
    call.report("ended", ended=ENDED)
    await asyncio.wait_for(call.deliver_rest(), 5)

    assert server.batches == [[1], [1]]
    assert numbers(server) == [1]


async def test_what_the_server_lacks_is_sent_again_from_there(
    call: CallClient, server: FlakyServer
) -> None:
    for name in ("agent_ready", "ringing", "answered"):
        call.report(name)
    await until(lambda: len(server.kept) == 3)
    server.wants = 2
    call.report("ended", ended=ENDED)
    await asyncio.wait_for(call.deliver_rest(), 5)

    assert numbers(server) == [1, 2, 3, 4]
    assert server.batches[-1] == [2, 3, 4]


async def test_a_call_of_another_epoch_is_lost_and_its_commands_end(
    call: CallClient, server: FlakyServer
) -> None:
    server.faults["reports"] = [409]
    call.report("agent_ready")

    async with asyncio.timeout(5):
        assert [command async for command in call.commands()] == []
    call.report("ended", ended=ENDED)
    await asyncio.wait_for(call.deliver_rest(), 5)
    assert server.kept == []


async def test_commands_come_in_order_and_end_when_the_server_says_so(
    call: CallClient, server: FlakyServer
) -> None:
    server.faults["commands"] = [httpx2.ConnectError, 502]
    server.commands.put_nowait(Command(number=1, type="say_then_end", text="Bye."))
    got = []
    async with asyncio.timeout(5):
        async for command in call.commands():
            got.append(command)
            server.is_over = True

    assert [command.text for command in got] == ["Bye."]


async def test_a_worker_that_stops_gives_its_call_one_drain(
    call: CallClient, server: FlakyServer
) -> None:
    got: list[str] = []

    async def follow() -> None:
        async for command in call.commands():
            got.append(command.type)  # noqa: PERF401 - what has come so far is looked at

    following = asyncio.create_task(follow())
    await until(lambda: "commands" in server.requests)
    call.drain()
    await until(lambda: got == ["drain"])
    server.commands.put_nowait(Command(number=1, type="end"))
    await until(lambda: got == ["drain", "end"])
    following.cancel()


async def test_the_intent_to_dial_is_asked_again_with_the_same_nonce(
    call: CallClient, server: FlakyServer
) -> None:
    server.faults["dial-intent"] = [httpx2.ReadTimeout, 503]
    await asyncio.wait_for(call.dial_intent(), 5)

    assert server.requests.count("dial-intent") == 3


async def test_an_intent_that_another_process_won_is_never_asked_again(
    call: CallClient, server: FlakyServer
) -> None:
    server.faults["dial-intent"] = [409]
    with pytest.raises(CallLost):
        await call.dial_intent()

    assert server.requests.count("dial-intent") == 1


async def test_a_tool_that_cannot_be_reached_answers_with_an_error_in_its_time(
    call: CallClient, server: FlakyServer
) -> None:
    server.faults["tools"] = [httpx2.ConnectError] * 1000
    answer = await asyncio.wait_for(call.call_tool("call_1", "check", {}, -4.0), 5)

    assert answer.is_error


async def test_a_tool_is_asked_again_after_a_broken_connection(
    call: CallClient, server: FlakyServer
) -> None:
    server.loses_answer_of = {"tools"}
    answer = await call.call_tool("call_1", "check", {}, 1.0)

    assert (answer.result, server.requests.count("tools")) == ("done", 2)


async def test_the_recording_follows_the_last_report(
    call: CallClient, server: FlakyServer, tmp_path: Path
) -> None:
    server.faults["recording"] = [500, httpx2.WriteError]
    call.recording_file().write_bytes(b"OggS")
    call.report("ended", ended=ENDED)
    await asyncio.wait_for(call.deliver_rest(), 10)

    assert server.recordings == [b"OggS"]
    assert server.requests.index("reports") < server.requests.index("recording")
    assert list(tmp_path.iterdir()) == []


async def test_a_recording_that_the_server_refuses_is_given_up(
    call: CallClient, server: FlakyServer, tmp_path: Path
) -> None:
    server.faults["recording"] = [404]
    call.recording_file().write_bytes(b"OggS")
    call.report("ended", ended=ENDED)
    await asyncio.wait_for(call.deliver_rest(), 5)

    assert list(tmp_path.iterdir()) == []


async def test_what_a_stopping_worker_could_not_deliver_is_delivered_by_the_next_one(
    worker: WorkerClient, call: CallClient, server: FlakyServer, tmp_path: Path
) -> None:
    server.faults["reports"] = [httpx2.ConnectError] * 1000
    call.report("agent_ready")
    call.report("ended", ended=ENDED)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call.deliver_rest(), 0.2)

    server.faults.clear()
    (spool,) = left_behind(tmp_path)
    await asyncio.wait_for(carry_on(worker.connection, spool).deliver_rest(), 5)
    assert [report.type for report in server.kept] == ["agent_ready", "ended"]


async def test_a_killed_workers_call_is_ended_as_lost_with_the_recording_that_it_left(
    worker: WorkerClient, call: CallClient, server: FlakyServer, tmp_path: Path
) -> None:
    turn = TurnReport(turn_index=0, role="agent", text="Hello.", start_ms=0, end_ms=9)
    server.faults["reports"] = [httpx2.ConnectError] * 1000
    call.report("turn", turn=turn)
    call.recording_file().write_bytes(b"OggS")
    assert call._delivering is not None
    call._delivering.cancel()  # what the process's death does: its lock falls
    await asyncio.wait({call._delivering})

    server.faults.clear()
    (spool,) = left_behind(tmp_path)
    await asyncio.wait_for(carry_on(worker.connection, spool).deliver_rest(), 5)

    assert [report.type for report in server.kept] == ["turn", "ended"]
    ended = server.kept[-1].ended
    assert ended is not None
    assert (ended.code, ended.has_recording) == ("agent_lost", True)
    assert server.recordings == [b"OggS"]


async def test_an_answer_that_is_no_answer_of_ours_means_unreachable(tmp_path: Path) -> None:
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, text="<html>"))
    worker = WorkerClient("http://server.test", "worker-token", transport)
    with pytest.raises(ServerUnreachable):
        await worker.claim("worker_1", "here", 1)
    await worker.aclose()


async def test_what_a_killed_process_left_says_that_the_line_may_still_be_open(
    worker: WorkerClient, server: FlakyServer, tmp_path: Path
) -> None:
    call = worker.call(CLAIMED, tmp_path)
    call.report("answered")
    call._spool.close()  # the process is dead: the lock is free

    [spool] = left_behind(tmp_path)
    await asyncio.wait_for(carry_on(worker.connection, spool).deliver_rest(), 5)

    ended = server.kept[-1].ended
    assert ended is not None
    assert (ended.code, ended.is_line_open) == ("agent_lost", True)
