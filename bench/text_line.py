"""Whole calls a minute on the text line: API, ledger, turns, events and a signed webhook for each of a call's five events.

A call is placed over HTTP with a key, claimed and talked by one worker process (12 turns and tool reports of the seeded
agent with the callee that answers), settled, and told to one endpoint that subscribes to every conversation event; it counts
when its last webhook was taken. Client, receiver, server, worker and PostgreSQL share the machine's two cores.

Reference in the same run: the bare Litestar + asyncpg handler of bench/call_starts.py, which sends PostgreSQL the statements
of one call *start* and nothing else. `cpu_ms_per_call` is what a whole call costs over all processes, however busy the
machine is; two cores have 120,000 ms a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import attrs

from bench import call_starts
from bolti_server.base.embedded import EmbeddedPostgres
from bolti_server.base.ids import new_id
from bolti_server.bootstrap.web import open_world
from bolti_server.contract import structs
from bolti_server.migrations.runner import migrate
from bolti_server.webhooks.subscribing import create_endpoint

ROUNDS = 3
CALLS = 300
CONNECTIONS = 12
BARE_STARTS = 600
EVENTS = ["started", "ringing", "answered", "ended", "completed"]
CALL_SECONDS = 120.0


def measure() -> dict[str, float]:
    """Medians over ROUNDS of CALLS calls each."""
    os.environ["BOLTI_IS_PRIVATE_DELIVERY_ALLOWED"] = "true"  # the receiver is on this machine
    with tempfile.TemporaryDirectory(prefix="bolti-bench-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder)
        dsn = postgres.start()
        try:
            sides = [
                _Side.prepare(dsn, folder / "ours"),
                _Side.prepare(_other(dsn), folder / "bare"),
            ]
            return _measure(*sides)
        finally:
            postgres.stop()


@attrs.frozen
class _Side:
    """A seeded database of its own, so that nobody carries the reference's calls."""

    dsn: str
    folder: Path
    plan: dict[str, Any]

    @classmethod
    def prepare(cls, dsn: str, folder: Path) -> _Side:
        folder.mkdir()
        asyncio.run(migrate(dsn))
        plan = asyncio.run(call_starts._prepare(dsn, folder))
        (folder / "plan.json").write_text(json.dumps(plan))
        return cls(dsn, folder, plan)


def _other(dsn: str) -> str:
    async def create() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("create database bare")
        await connection.close()

    asyncio.run(create())
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(path="/bare"))


def _measure(ours: _Side, reference: _Side) -> dict[str, float]:
    with ExitStack() as stack:
        receiver = _Receiver()
        stack.callback(receiver.stop)
        asyncio.run(_subscribe(ours, receiver.url))
        server = call_starts._Server("ours", ours.dsn, ours.folder)
        stack.callback(server.stop)
        bare = call_starts._Server("bare", reference.dsn, reference.folder)
        stack.callback(bare.stop)
        worker = _Worker(server.port, ours.folder)
        stack.callback(worker.stop)
        return _rounds(ours, reference, server, worker, receiver, bare)


def _rounds(
    ours: _Side,
    reference: _Side,
    server: Any,
    worker: _Worker,
    receiver: _Receiver,
    bare: Any,
) -> dict[str, float]:
    pids = {
        "server": server._process.pid,
        "worker": worker.pid,
        "receiver": receiver.pid,
        "client": os.getpid(),
        "postgres": asyncio.run(_postmaster(ours.dsn)),
    }
    whole: list[float] = []
    starts: list[float] = []
    cpu: dict[str, list[float]] = {}
    asyncio.run(_whole_calls(server.port, ours, 50))  # warm
    asyncio.run(call_starts._ask(bare.port, reference.plan, 50))
    for _ in range(ROUNDS):
        before = {who: _cpu_ms(pid) for who, pid in pids.items()}
        seconds = asyncio.run(_whole_calls(server.port, ours, CALLS))
        for who, pid in pids.items():
            cpu.setdefault(who, []).append((_cpu_ms(pid) - before[who]) / CALLS)
        whole.append(60 * CALLS / seconds)
        starts.append(60 * asyncio.run(call_starts._ask(bare.port, reference.plan, BARE_STARTS)))
    ratios = [one / other for one, other in zip(whole, starts, strict=True)]
    used = {who: statistics.median(each) for who, each in cpu.items()}
    return {
        "whole_calls_per_minute": statistics.median(whole),
        "bare_call_starts_per_minute": statistics.median(starts),
        "ratio_to_bare_starts": statistics.median(ratios),
        "cpu_ms_per_call": sum(used.values()),
        **{f"cpu_ms_of_{who}": ms for who, ms in used.items()},
    }


# ---- One round ----


async def _whole_calls(port: int, side: _Side, calls: int) -> float:
    """Seconds from the first request to the last webhook of `calls` calls."""
    connection = await asyncpg.connect(side.dsn)
    before = await _delivered(connection)
    began = time.perf_counter()
    left = iter(range(calls))
    await asyncio.gather(*(_place(port, side.plan, left) for _ in range(CONNECTIONS)))
    deadline = began + CALL_SECONDS
    while (done := await _delivered(connection) - before) < calls * len(EVENTS):
        if time.perf_counter() > deadline:
            found = await connection.fetch(
                "select status, hangup_code, hangup_detail, count(*) from conversations group by 1, 2, 3"
            )
            raise AssertionError(f"{done} webhooks of {calls} calls: {found}")
        await asyncio.sleep(0.05)
    seconds = time.perf_counter() - began
    wrong = await connection.fetch(
        """select status, hangup_code, count(*) from conversations
           where line = 'text' and hangup_code is distinct from 'agent_hangup' group by 1, 2"""
    )
    assert not wrong, wrong
    await connection.close()
    return seconds


async def _delivered(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    count: int = await connection.fetchval(
        "select count(*) from webhook_deliveries where status = 'delivered'"
    )
    return count


async def _place(port: int, plan: dict[str, Any], left: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(
        {
            "to_number": call_starts.CALLEE,
            "variable_values": {"name": "Asha"},
            "allow_concurrent_to_callee": True,
            "simulation": {"line": "text"},
        }
    ).encode()
    for number in left:
        key = plan["keys"][number % call_starts.KEYS]
        headers = call_starts._headers(key, new_id("req"))
        head = f"POST {plan['path']} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(head.encode() + b"\r\n" + body)
        status = await reader.readline()
        assert b" 201 " in status, (status, await reader.read(2000))
        length = 0
        while (line := await reader.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        await reader.readexactly(length)
    writer.close()


async def _subscribe(ours: _Side, url: str) -> None:
    settings = call_starts._settings(ours.dsn, ours.folder)
    async with open_world(settings) as world, world.db.transaction() as tx:
        workspace_id = await tx.fetchval("select id from workspaces limit 1")
        events = [structs.WebhookEventType(f"conversation.{name}") for name in EVENTS]
        body = structs.WebhookEndpointCreate(url=url, event_types=events)
        await create_endpoint(tx, world, workspace_id, body)


# ---- The other processes ----


class _Receiver:
    """Takes webhooks and answers 204, as cheaply as can be."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RECEIVER], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/hook"
        self.pid = self._process.pid

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


_RECEIVER = """
import asyncio

class Hook(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        while b"\\r\\n\\r\\n" in self.data:
            head, rest = self.data.split(b"\\r\\n\\r\\n", 1)
            lines = [line for line in head.lower().split(b"\\r\\n") if line.startswith(b"content-length:")]
            length = int(lines[0].split(b":")[1])
            if len(rest) < length:
                return
            self.data = rest[length:]
            self.transport.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")

async def main():
    server = await asyncio.get_running_loop().create_server(Hook, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


class _Worker:
    def __init__(self, port: int, folder: Path) -> None:
        environment = {
            **os.environ,
            "BOLTI_INTERNAL_URL": f"http://127.0.0.1:{port}",
            "BOLTI_WORKER_TOKEN": "w" * 40,
            "BOLTI_DATA_DIR": str(folder),
            "BOLTI_LOG_LEVEL": os.environ.get("BOLTI_LOG_LEVEL", "error"),
            "BOLTI_WORKER_DRAIN_SECONDS": "0",
        }
        command = [sys.executable, "-m", "bolti_server.entrypoints.worker"]
        self._process = subprocess.Popen(command, env=environment)
        self.pid = self._process.pid

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _cpu_ms(pid: int) -> float:
    """User and system time of the process, of its children that live, and of those that it has waited for."""
    own = _stat(pid)
    total = sum(int(each) for each in own[11:15])
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = _stat(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and pid != os.getpid():
            total += int(fields[11]) + int(fields[12])
    return 1000 * total / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


async def _postmaster(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    folder = await connection.fetchval(
        "select setting from pg_settings where name = 'data_directory'"
    )
    await connection.close()
    return int((Path(folder) / "postmaster.pid").read_text().splitlines()[0])


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
