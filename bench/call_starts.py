"""Call starts per second, against a bare Litestar + asyncpg handler that sends PostgreSQL the very same statements.

The statements of one call start are recorded from the real server (asyncpg's query log) and replayed by the reference with
fresh ids, in one transaction per request, with no check, no contract, no key, no event loop work of ours around them.
Each side is one process on one connection pool; both are asked in turns by the same client in the same run.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec
import uvicorn
from litestar import Litestar, Request, Response, post

from bolti_server.base.embedded import EmbeddedPostgres
from bolti_server.base.ids import new_id
from bolti_server.base.settings import Settings
from bolti_server.bootstrap.seeding import seed
from bolti_server.bootstrap.web import build_app, open_world
from bolti_server.contract import structs
from bolti_server.entrypoints.serve import HttpServer
from bolti_server.migrations.runner import migrate
from bolti_server.workspaces.creating import create_api_key

ROUNDS = 5
REQUESTS = 600
CONNECTIONS = 16
KEYS = 64  # each key has a rate limit of its own
CALLEE = "+12025550100"
_OUR_IDS = re.compile(r"\b(?:conv|evt|txn|hold|req)_[0-9a-z]{26}\b")


def measure() -> dict[str, float]:
    """Medians of ROUNDS in requests per second, and ours ÷ bare pair by pair."""
    with tempfile.TemporaryDirectory(prefix="bolti-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        dsn = postgres.start()
        try:
            asyncio.run(migrate(dsn))
            plan = asyncio.run(_prepare(dsn, Path(folder)))
            (Path(folder) / "plan.json").write_text(json.dumps(plan))
            return _compare(dsn, Path(folder), plan)
        finally:
            postgres.stop()


def _compare(dsn: str, folder: Path, plan: dict[str, Any]) -> dict[str, float]:
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    children = {side: _Server(side, dsn, folder) for side in rates}
    try:
        for child in children.values():
            asyncio.run(_ask(child.port, plan, CONNECTIONS * 2))  # warm
        for _ in range(ROUNDS):
            for side, child in children.items():
                rates[side].append(asyncio.run(_ask(child.port, plan, REQUESTS)))
    finally:
        for child in children.values():
            child.stop()
    ratios = [ours / bare for ours, bare in zip(rates["ours"], rates["bare"], strict=True)]
    return {
        "call_starts_per_second": statistics.median(rates["ours"]),
        "bare_per_second": statistics.median(rates["bare"]),
        "ratio_to_bare": statistics.median(ratios),
        "statements": len(plan["statements"]),
    }


def _settings(dsn: str, folder: Path) -> Settings:
    secrets = {"secret_key": "s" * 40, "worker_token": "w" * 40}
    return Settings(database_url=dsn, data_dir=folder, **secrets)


# ---- What one call start says to PostgreSQL ----


async def _prepare(dsn: str, folder: Path) -> dict[str, Any]:
    async with open_world(_settings(dsn, folder)) as world:
        seeded = await seed(world, folder / "seed.json")
        async with world.db.transaction() as tx:
            await tx.execute("update workspaces set max_concurrent_calls = 1000000")
            await tx.execute(
                """update ledger_accounts set balance_micros = balance_micros +
                     case kind when 'available' then 1 else -1 end * 1000000000000000
                   where ledger = 'test' and kind in ('available', 'funding')"""
            )
            keys = [
                await create_api_key(
                    tx,
                    world.vault,
                    seeded.workspace_id,
                    name=f"bench {n}",
                    scopes=[structs.Scope.calls_write],
                )
                for n in range(KEYS)
            ]
        path = f"/workspaces/{seeded.workspace_id}/agents/{seeded.agent_id}/outbound-call"
        plan: dict[str, Any] = {"path": path, "keys": [key.token for key in keys]}
        transport = httpx2.ASGITransport(app=build_app(world))
        async with httpx2.AsyncClient(transport=transport, base_url="http://bench") as client:
            for recorded in (False, True):  # the second time no cache is cold
                statements: list[tuple[str, list[Any]]] = []
                connections = [h._con for h in world.db._pool._holders if h._con is not None]

                def note(query: Any, into: list[tuple[str, list[Any]]] = statements) -> None:
                    into.append((query.query, [_plain(arg) for arg in query.args or ()]))

                for connection in connections if recorded else ():
                    connection.add_query_logger(note)
                answer = await client.post(
                    path,
                    content=_body(),
                    headers=_headers(plan["keys"][0], "recorded" if recorded else "warm"),
                )
                assert answer.status_code == 201 or not recorded, answer.text
                plan["statements"] = [s for s in statements if not _frames(s[0])]
    assert plan["statements"], "nothing was recorded: did the pool use another connection?"
    return plan


def _frames(query: str) -> bool:
    return query.strip().rstrip(";").upper().split()[0] in (
        "BEGIN",
        "COMMIT",
        "SAVEPOINT",
        "RELEASE",
    )


def _plain(value: Any) -> Any:
    return {"hex": bytes(value).hex()} if isinstance(value, bytes | bytearray) else value


def _body() -> bytes:
    return json.dumps(
        {
            "to_number": CALLEE,
            "variable_values": {"name": "Asha"},
            "max_duration_seconds": 60,
            "allow_concurrent_to_callee": True,
        }
    ).encode()


def _headers(key: str, idempotency_key: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key,
    }


# ---- The two servers ----


class _Server:
    def __init__(self, side: str, dsn: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, __file__, side, str(self.port), dsn, str(folder)]
        self._process = subprocess.Popen(command, env={**os.environ, "BOLTI_LOG_LEVEL": "error"})
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self._process.poll() is None, f"the server {side} did not start"
                time.sleep(0.05)  # noqa: TID251  another process, with a deadline
        raise AssertionError(f"the server {side} does not answer")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)


async def _serve_ours(port: int, dsn: str, folder: Path) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    listener = socket.create_server(("127.0.0.1", port))
    async with (
        open_world(_settings(dsn, folder)) as world,
        HttpServer(build_app(world), listener),
    ):
        await stopping.wait()


def _bare_app(dsn: str, folder: Path) -> Litestar:
    plan = json.loads((folder / "plan.json").read_text())
    statements = [(query, json.dumps(arguments)) for query, arguments in plan["statements"]]
    holder: dict[str, asyncpg.Pool[asyncpg.Record]] = {}

    async def open_pool(_app: Litestar) -> None:
        holder["pool"] = await asyncpg.create_pool(dsn, min_size=2, max_size=16, reset=_keep)

    @post(plan["path"], status_code=201)
    async def start(request: Request[Any, Any, Any]) -> Response[bytes]:
        msgspec.json.decode(await request.body())
        fresh: dict[str, str] = {}
        key = request.headers["idempotency-key"]
        async with holder["pool"].acquire() as connection, connection.transaction():
            for query, template in statements:
                await connection.fetch(query, *_fresh(template, fresh, key))
        return Response(b'{"status":"queued"}', media_type="application/json")

    return Litestar([start], on_startup=[open_pool], openapi_config=None, logging_config=None)


async def _keep(_connection: object) -> None:
    """No RESET ALL, as in our own pool."""


def _fresh(template: str, fresh: dict[str, str], key: str) -> list[Any]:
    def renew(match: re.Match[str]) -> str:
        return fresh.setdefault(match[0], new_id(match[0].split("_")[0]))

    arguments = json.loads(_OUR_IDS.sub(renew, template).replace('"recorded"', json.dumps(key)))
    return [
        bytes.fromhex(arg["hex"]) if isinstance(arg, dict) and "hex" in arg else arg
        for arg in arguments
    ]


# ---- The client ----


async def _ask(port: int, plan: dict[str, Any], requests: int) -> float:
    """Requests per second over CONNECTIONS keep-alive connections."""
    left = iter(range(requests))
    began = time.perf_counter()
    await asyncio.gather(*(_connection(port, plan, left) for _ in range(CONNECTIONS)))
    return requests / (time.perf_counter() - began)


async def _connection(port: int, plan: dict[str, Any], left: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = _body()
    for number in left:
        headers = _headers(plan["keys"][number % KEYS], new_id("req"))
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


if __name__ == "__main__":
    if sys.argv[1:2] == ["ours"]:
        asyncio.run(_serve_ours(int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])))
    elif sys.argv[1:2] == ["bare"]:
        uvicorn.run(
            _bare_app(sys.argv[3], Path(sys.argv[4])),
            host="127.0.0.1",
            port=int(sys.argv[2]),
            log_level="error",
            access_log=False,
        )
    else:
        print(json.dumps(measure(), indent=1))
