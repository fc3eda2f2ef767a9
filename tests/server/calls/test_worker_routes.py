"""The internal API as a whole: who may speak, the spec, tools, and a real worker client against it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
from litestar import Litestar
from tests.server.conftest import BASE_URL, WORKER_TOKEN, MoveTime
from tests.server.support.calls_public import Desk
from tests.server.support.listeners import answer as answering
from tests.server.support.listeners import listening
from tests.server.support.waiting import until
from tests.server.support.worker_side import (
    PROTOCOL,
    Leased,
    ScriptedWorker,
    row_of,
    turn,
)

from bolti_server.worker_api.client import WorkerClient
from bolti_server.worker_api.messages import EndReport
from bolti_server.world import World

TEXTS = {
    "system_prompt": "You talk with {{ name }} ({{ callee_number }}).",
    "first_message": 'Hello {{ name }}, it is {{ current_weekday | default: "x" }}.',
    "goal": "Speak of {{ topic | default: 'the weather' }}.",
    "disclosure_text": "This call of {{ agent_name }} is recorded.",
    "timezone": "Asia/Kolkata",
}


async def test_the_spec_says_all_that_an_agent_needs_with_variables_resolved(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.change_agent(
        **TEXTS,
        stt={"provider": "simulated", "final_delay_ms": 40},
        llm={
            "provider": "simulated",
            "rules": [{"hear": "bye", "say": "Goodbye.", "tool": {"name": "cut_call"}}],
            "default_reply": "I see.",
        },
        tts={"provider": "simulated", "voice": "modem"},
        limits={
            "max_duration_seconds": 90,
            "silence_timeout_seconds": 7,
            "ring_timeout_seconds": 3,
        },
        turn={"endpointing_min_delay_ms": 450},
    )
    values = {"name": "Priya {{ topic }}", "current_weekday": "not yours to say"}
    conversation_id = await desk.placed(variable_values=values)
    call = await worker.claim()
    answer = await call.spec()
    assert answer.status_code == 200, answer.text
    spec = answer.json()
    weekday = await world.db.fetchval(
        "select trim(to_char(bolti_now() at time zone 'Asia/Kolkata', 'Day'))"
    )
    assert spec["greeting"] == f"Hello Priya {{ topic }}}}, it is {weekday}."
    assert spec["disclosure_text"] == "This call of Front desk is recorded."
    assert "+12025550100" in spec["instructions"]
    assert "Speak of the weather." in spec["instructions"]
    assert "{{" not in spec["instructions"]
    assert (spec["conversation_id"], spec["epoch"]) == (conversation_id, 1)
    assert spec["line"] == {
        "kind": "simulated",
        "from_number": "+12025550199",
        "to_number": "+12025550100",
        "scenario": None,
        "script": None,
        "is_text": False,
        "is_simulated": True,
        "room": None,
    }
    assert spec["stt"]["final_delay_ms"] == 40
    assert spec["llm"]["rules"] == [
        {"hear": "bye", "say": "Goodbye.", "tool": {"name": "cut_call", "arguments": {}}}
    ]
    assert spec["tts"]["voice"] == "modem"
    assert spec["turn"]["endpointing_min_delay_ms"] == 450
    assert [tool["name"] for tool in spec["tools"]] == ["cut_call"]
    limits = (spec["max_duration_seconds"], spec["silence_timeout_seconds"])
    assert (*limits, spec["ring_timeout_seconds"]) == (90, 7, 3)
    assert spec["is_recording_enabled"] is True
    assert spec["is_cap_shortened"] is False
    assert spec["transcript_so_far"] == []


async def test_a_call_keeps_the_agent_version_that_it_was_placed_with(
    desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.change_agent(first_message="The old one.")
    await desk.placed()
    await desk.change_agent(first_message="The new one.")
    call = await worker.claim()
    assert (await call.spec()).json()["greeting"] == "The old one."


async def test_a_call_that_is_over_has_no_spec(desk: Desk, worker: ScriptedWorker) -> None:
    await desk.placed()
    call = await worker.claim()
    await call.ended("model_error")
    answer = await call.spec()
    assert (answer.status_code, answer.json()["code"]) == (409, "conversation_over")


async def test_every_request_names_the_protocol(desk: Desk, worker: ScriptedWorker) -> None:
    await desk.placed()
    call = await worker.claim()
    authorized = {"Authorization": f"Bearer {call.token}"}
    for headers in (authorized, {**authorized, "Bolti-Worker-Protocol": "2"}):
        for method, what in (
            ("GET", "/spec"),
            ("POST", "/dial-intent"),
            ("POST", "/reports"),
            ("POST", "/tools"),
            ("GET", "/commands?epoch=1"),
            ("PUT", "/recording?epoch=1"),
        ):
            answer = await call.http.request(method, f"{call.path}{what}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "protocol_mismatch"), what
    answer = await call.http.post("/internal/claim", headers={})
    assert answer.json()["code"] == "protocol_mismatch"


async def test_an_api_key_opens_nothing_of_the_internal_api(
    desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.placed()
    call = await worker.claim()
    headers = {**PROTOCOL, "Authorization": desk.client.headers["Authorization"]}
    for method, what in (("GET", "/spec"), ("GET", "/commands?epoch=1"), ("PUT", "/recording")):
        answer = await call.http.request(method, f"{call.path}{what}", headers=headers)
        assert answer.status_code == 401, what
    assert (await call.http.post("/internal/claim", headers=headers)).status_code == 401


async def test_the_internal_api_is_no_part_of_the_contract(anonymous: httpx2.AsyncClient) -> None:
    contract = (await anonymous.get("/openapi.yaml")).text
    assert "\n  /internal" not in contract
    assert "\n  /workspaces" in contract, "that is how a path would look"


# ---- heartbeat over a connection that is cut ----


async def test_a_connection_that_is_cut_is_noticed_at_once(
    app: Litestar, world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    """ASGI as uvicorn speaks it: the request is read, then comes `http.disconnect`."""
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    is_cut = asyncio.Event()
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        for message in messages:
            return message
        await is_cut.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        return

    poll = asyncio.create_task(app(scope_of(call), receive, send))

    async def has_beaten() -> bool:
        row = await row_of(world, conversation_id)
        return row["heartbeat_at"] > row["dispatched_at"]

    await until(has_beaten)
    assert (await row_of(world, conversation_id))["line_lost_at"] is None
    is_cut.set()
    async with asyncio.timeout(5):
        await poll
    assert (await row_of(world, conversation_id))["line_lost_at"] is not None


def scope_of(call: Leased) -> Any:
    headers = {**call.headers, "Host": "bolti.test"}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"{call.path}/commands",
        "raw_path": f"{call.path}/commands".encode(),
        "root_path": "",
        "query_string": f"epoch={call.epoch}&after=0".encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
    }


# ---- tools ----


async def with_tool(desk: Desk, url: str) -> None:
    made = await desk.client.post(
        "/workspaces/current/tools",
        json={
            "name": "book_table",
            "description": "Books.",
            "url": url + "?who={{ name }}&call={{ conversation_id }}",
            "method": "POST",
            "input_schema": {"type": "object", "properties": {"day": {"type": "string"}}},
        },
    )
    assert made.status_code == 201, made.text
    await desk.change_agent(tool_ids=[made.json()["id"]])


async def test_a_tool_is_called_by_the_server_once_for_each_id(
    desk: Desk, worker: ScriptedWorker
) -> None:
    async with listening(answering(b'{"booked": true}')) as service:
        await with_tool(desk, service.url)
        conversation_id = await desk.placed(variable_values={"name": "Priya"})
        call = await worker.claim()
        assert [tool["name"] for tool in (await call.spec()).json()["tools"]] == [
            "cut_call",
            "book_table",
        ]
        await call.reach("in_progress")
        first = await call.tool("t1", "book_table", day="monday")
        assert first.status_code == 200, first.text
        assert first.json()["result"] == {"booked": True}
        assert first.json()["is_error"] is False
        again = await asyncio.gather(
            *(call.tool("t1", "book_table", day="sunday") for _ in range(5))
        )
        assert [answer.json() for answer in again] == [first.json()] * 5
        assert len(service.requests) == 1
        assert b"who=Priya" in service.requests[0]
        assert conversation_id.encode() in service.requests[0]
        assert b"monday" in service.requests[0]
        await call.tool("t2", "book_table", day="tuesday")
        assert len(service.requests) == 2


async def test_a_repeat_waits_for_the_request_that_is_out(
    desk: Desk, worker: ScriptedWorker
) -> None:
    may_answer = asyncio.Event()

    async def slowly(_request: bytes, writer: asyncio.StreamWriter) -> None:
        await may_answer.wait()
        writer.write(b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\n42")
        await writer.drain()

    async with listening(slowly) as service:
        await with_tool(desk, service.url)
        await desk.placed(variable_values={"name": "Priya"})
        call = await worker.claim()
        await call.reach("in_progress")
        first = asyncio.create_task(call.tool("t1", "book_table"))

        async def is_out() -> bool:
            return len(service.requests) == 1

        await until(is_out)
        repeat = asyncio.create_task(call.tool("t1", "book_table"))
        may_answer.set()
        answers = await asyncio.gather(first, repeat)
        assert [answer.json()["result"] for answer in answers] == [42, 42]
        assert len(service.requests) == 1


async def test_a_tool_that_the_agent_does_not_have_is_an_answer_and_not_a_failure(
    desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    answer = await call.tool("t1", "somebody_elses")
    assert answer.status_code == 200
    assert answer.json()["is_error"] is True


async def test_a_call_that_is_over_calls_no_tools(desk: Desk, worker: ScriptedWorker) -> None:
    await desk.placed()
    call = await worker.claim()
    await call.reach("dialing")
    await call.ended("busy")
    assert (await call.tool("t1", "anything")).status_code == 409


async def test_equal_tool_call_ids_of_two_calls_are_two_tool_calls(
    desk: Desk, worker: ScriptedWorker
) -> None:
    async with listening(answering(b"1")) as service:
        await with_tool(desk, service.url)
        await desk.placed("+12025550100", variable_values={"name": "a"})
        await desk.placed("+12025550107", variable_values={"name": "b"})
        for call in await worker.claim_all(capacity=2):
            await call.reach("in_progress")
            assert (await call.tool("t1", "book_table")).json()["is_error"] is False
        assert len(service.requests) == 2


# ---- the worker's own client ----


async def test_the_workers_client_carries_a_call_through(
    app: Litestar, world: World, desk: Desk, tmp_path: Path, move_time: MoveTime
) -> None:
    conversation_id = await desk.placed()
    client = WorkerClient(BASE_URL, WORKER_TOKEN, transport=httpx2.ASGITransport(app=app))
    try:
        (claimed,) = await client.claim("worker_real", "real client", 1)
        call = client.call(claimed, tmp_path / "spool")
        call.start()
        assert (await call.spec()).conversation_id == conversation_id
        call.report("agent_ready")
        await call.dial_intent()
        call.report("ringing")
        call.report("answered")
        call.recording_file().write_bytes(b"OggS and some sound")
        call.report("ended", ended=EndReport(code="remote_hangup", has_recording=True))
        async with asyncio.timeout(10):
            await call.deliver_rest()
    finally:
        await client.aclose()
    record = await desk.conversation(conversation_id)
    assert (record["status"], record["recording_status"]) == ("completed", "available")


async def test_an_agent_that_takes_over_knows_what_was_said(
    world: World, desk: Desk, worker: ScriptedWorker
) -> None:
    """Not reached with simulated lines, whose callee is gone with its worker; real ones will come here."""
    conversation_id = await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await call.turn(0, "agent", "Hello.")
    await call.report("turn", turn=turn(1, "user", "Hi."))
    async with world.db.transaction() as tx:
        await tx.execute(
            "update conversations set epoch = 2, last_report = 0 where id = $1", conversation_id
        )
    from_server = Leased(call.http, conversation_id, 2, mint(world, conversation_id))
    spec = (await from_server.spec()).json()
    assert spec["transcript_so_far"] == [
        {"role": "agent", "text": "Hello."},
        {"role": "user", "text": "Hi."},
    ]


def mint(world: World, conversation_id: str) -> str:
    return f"{conversation_id}.2." + world.vault.sign("worker call", f"{conversation_id}:2")
