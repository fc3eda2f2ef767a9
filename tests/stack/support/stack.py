"""The whole stack as an operator runs it: PostgreSQL, Redis, livekit-server, phone network, `serve` and workers.

Each part can be killed and started again on its own. A test leaves it as it found it: `restore` starts what is not running
and stops the workers that were added.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import attrs
import httpx2
from livekit import api
from tests.stack.support.gate import Gate
from tests.stack.support.media import LOOPBACK, LiveKit, Redis, free_port
from tests.stack.support.processes import Child, children_of, open_files, wait_until_up

from bolti import AsyncBolti
from bolti_server.base.embedded import EmbeddedPostgres

CLI = (sys.executable, "-m", "bolti_server.entrypoints.cli")
WORKERS = ("worker-1", "worker-2")  # two machines, as far as Bolti knows
WARM = 3  # processes of each
REGISTERED = "rooms_ready"
REGISTER_SECONDS = 60.0


@attrs.define
class Stack:
    folder: Path
    postgres: EmbeddedPostgres
    dsn: str
    redis: Redis
    livekit: LiveKit
    phone_network: Child
    phone_network_url: str
    server: Child
    server_url: str
    environment: dict[str, str]
    server_gate: Gate  # between workers and the server
    sip_gate: Gate  # between workers and the phone network
    callback_gate: Gate  # between livekit-server and the server
    workers: dict[str, Child] = attrs.Factory(dict)
    exchange_url: str | None = None  # support/sip_exchange.py, where SIP requests go to it
    workspace_id: str = ""
    api_key: str = ""
    module_began: float = 0.0  # of the wall clock: the tests that are running

    @classmethod
    def prepare(cls, folder: Path, *, sip_url: str | None = None) -> Stack:
        """Nothing runs yet but PostgreSQL. `sip_url`: where SIP requests go; None: to the phone network."""
        postgres = EmbeddedPostgres(folder / "database", durable=False)
        dsn = postgres.start()
        port, phone_port = free_port(), free_port()
        url = f"http://{LOOPBACK}:{port}"
        redis = Redis.on(folder)
        callback_gate = Gate(port)
        livekit = LiveKit.on(folder, redis, [f"{callback_gate.url}/callbacks/livekit"])
        phone_url = f"http://{LOOPBACK}:{phone_port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not _is_setting(name)},
            **livekit.settings,
            "BOLTI_DATABASE_URL": dsn,
            "BOLTI_SECRET_KEY": "kK3vX9mQ2pL8wR5tY7uI1oA4sD6fG0hJ",
            "BOLTI_WORKER_TOKEN": "zX8cV5bN2mQ9wE6rT3yU0iO7pA4sD1fG",
            "BOLTI_PUBLIC_URL": url,
            "BOLTI_INTERNAL_URL": url,
            "BOLTI_PORT": str(port),
            "BOLTI_DATA_DIR": str(folder / "server"),
            "BOLTI_LIVEKIT_SIP_URL": sip_url or phone_url,
            "BOLTI_IS_PRIVATE_DELIVERY_ALLOWED": "true",
            "BOLTI_LOG_FORMAT": "json",
        }
        phone = {**environment, "BOLTI_PHONE_NETWORK_PORT": str(phone_port)}
        return cls(
            folder,
            postgres,
            dsn,
            redis,
            livekit,
            Child("phone-network", (*CLI, "phone-network"), phone, folder / "phone-network.log"),
            phone_url,
            Child("serve", (*CLI, "serve"), dict(environment), folder / "serve.log"),
            url,
            environment,
            Gate(port),
            Gate(phone_port),
            callback_gate,
        )

    def start(self, workers: Sequence[str] = WORKERS, **settings: str) -> None:
        """All of it, and a workspace whose key `client` has. `settings`: of the workers."""
        self.run("migrate")
        made = json.loads(self.run("create-workspace", "The stack"))
        self.workspace_id, self.api_key = made["workspace_id"], made["api_key"]
        for gate in self.gates():
            gate.start()
        self.redis.start()
        self.start_livekit()
        self.start_phone_network()
        self.start_server()
        for name in workers:
            self.start_worker(name, **settings)

    def run(self, *arguments: str) -> str:
        """A command of bolti-server; what it printed."""
        done = subprocess.run(
            [*CLI, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self) -> AsyncBolti:
        return AsyncBolti(
            api_key=self.api_key, base_url=self.server_url, workspace_id=self.workspace_id
        )

    # ---- Its parts ----

    def start_server(self) -> None:
        self.server.start()
        wait_until_up(self.server, lambda: _answers(f"{self.server_url}/health", 200))

    def start_livekit(self) -> None:
        for worker in self.workers.values():
            worker.forget()  # it has to register again
        self.livekit.start()

    def start_phone_network(self) -> None:
        self.phone_network.start()
        wait_until_up(self.phone_network, lambda: _answers(f"{self.phone_network_url}/"))

    def start_worker(self, name: str, **settings: str) -> Child:
        """Of that name, on a folder of its own; one that ran before finds its folder again. Returns at once."""
        if name not in self.workers:
            folder = self.folder / name
            folder.mkdir(exist_ok=True)
            environment = {
                **self.environment,
                "BOLTI_DATA_DIR": str(folder),
                "BOLTI_INTERNAL_URL": self.server_gate.url,
                "BOLTI_LIVEKIT_SIP_URL": self.sip_gate.url,
                "BOLTI_WORKER_WARM": str(WARM),
                "BOLTI_WORKER_HEALTH_PORT": "0",
                **settings,
            }
            command = (*CLI, "worker")
            self.workers[name] = Child(name, command, environment, self.folder / f"{name}.log")
        self.workers[name].start()
        return self.workers[name]

    def worker_of(self, conversation_id: str) -> Child:
        """The one that carries this call."""
        for worker in self.workers.values():
            if worker.is_running and _carriers(worker, conversation_id):
                return worker
        raise AssertionError(f"no worker carries {conversation_id}")

    def job_of(self, conversation_id: str) -> int | None:
        """The process that carries this call."""
        running = [worker for worker in self.workers.values() if worker.is_running]
        found = [pid for worker in running for pid in _carriers(worker, conversation_id)]
        return found[0] if found else None

    def gates(self) -> list[Gate]:
        return [self.server_gate, self.sip_gate, self.callback_gate]

    def children(self) -> list[Child]:
        parts = [self.redis.child, self.livekit.child, self.phone_network, self.server]
        return [*parts, *self.workers.values()]

    def restore(self) -> None:
        """Starts what is not running; stops workers that a test has added."""
        for name in [each for each in self.workers if each not in WORKERS]:
            self.workers.pop(name).stop()
        for part, start in (
            (self.redis.child, self.redis.start),
            (self.livekit.child, self.start_livekit),
            (self.phone_network, self.start_phone_network),
            (self.server, self.start_server),
        ):
            if not part.is_running:
                start()
        for name in WORKERS:
            if not self.workers[name].is_running:
                self.start_worker(name)

    def stop(self) -> None:
        """In the order in which nobody misses anybody; PostgreSQL with its folder goes last."""
        for child in [*self.workers.values(), self.server, self.phone_network]:
            child.stop()
        for child in (self.livekit.child, self.redis.child):
            child.stop()
        for gate in self.gates():
            gate.stop()
        self.postgres.stop()
        assert self.postgres._places is not None
        shutil.rmtree(self.postgres._places.home, ignore_errors=True)

    def send_sip_to(self, url: str | None) -> None:
        """Server and workers start anew with another SIP service; None: the phone network."""
        for child in (*self.workers.values(), self.server):
            child.stop()
        self.server.environment["BOLTI_LIVEKIT_SIP_URL"] = url or self.phone_network_url
        self.start_server()
        for name, worker in self.workers.items():
            worker.environment["BOLTI_LIVEKIT_SIP_URL"] = url or self.sip_gate.url
            self.start_worker(name)

    async def wait_for_workers(self, count: int = len(WORKERS)) -> None:
        """So many are registered with the livekit-server that runs."""
        deadline = time.monotonic() + REGISTER_SECONDS
        while sum(map(_is_registered, self.workers.values())) < count:
            assert time.monotonic() < deadline, "workers do not register"
            await asyncio.sleep(0.05)

    # ---- Looking behind the API ----

    async def rows(self, statement: str, *arguments: object) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.dsn, timeout=10)
        try:
            return [dict(row) for row in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()

    async def dials(self) -> list[dict[str, Any]]:
        """Everything that the phone network was asked to dial since it started, or who stands in its place."""
        if self.exchange_url is not None:
            async with httpx2.AsyncClient(timeout=10) as asking:
                told = await asking.get(f"{self.exchange_url}/dials")
            return list(told.raise_for_status().json())
        return list(await self._ask_phone_network("GET", "/dials"))

    async def behave(self, **behaviour: object) -> None:
        """Makes the phone network misbehave: `next`, and for whom (`number`)."""
        await self._ask_phone_network("POST", "/behaviour", behaviour)

    async def call_in(self, from_number: str, to_number: str, **more: object) -> dict[str, Any]:
        """Somebody of the simulated network calls one of our numbers."""
        body = {"from_number": from_number, "to_number": to_number, **more}
        return dict(await self._ask_phone_network("POST", "/calls", body))

    async def _ask_phone_network(
        self, method: str, path: str, body: dict[str, object] | None = None
    ) -> Any:
        token = api.AccessToken(self.livekit.key, self.livekit.secret).with_sip_grants(
            api.SIPGrants(admin=True, call=True)
        )
        async with httpx2.AsyncClient(timeout=30, base_url=self.phone_network_url) as asked:
            answer = await asked.request(
                method, path, json=body, headers={"Authorization": f"Bearer {token.to_jwt()}"}
            )
        assert answer.is_success, answer.text
        return answer.json()

    async def tell_trunks_again(self) -> None:
        """The phone network keeps them in memory; after its restart the server tells them within two minutes, or now."""
        await self.rows(
            "update trunks set sync_due_at = bolti_now() where sync_due_at is not null returning id"
        )
        is_told = (
            "select bool_and(sync_due_at > bolti_now() + interval '1 minute') as told from trunks"
        )
        deadline = time.monotonic() + REGISTER_SECONDS
        while not (await self.rows(f"{is_told} where sync_due_at is not null"))[0]["told"]:
            assert time.monotonic() < deadline, "the trunks are not told again"
            await asyncio.sleep(0.1)

    def spooled(self) -> list[str]:
        """What workers still keep on disk for a server that has not taken it."""
        return sorted(
            str(file.relative_to(self.folder))
            for worker in self.workers
            for file in (self.folder / worker).glob("worker/spool/**/*")
            if file.is_file() and not file.name.startswith(".")
        )


def _is_registered(worker: Child) -> bool:
    return worker.is_running and REGISTERED in worker.told()


def _carriers(worker: Child, conversation_id: str) -> list[int]:
    """Its processes that have files of this call's spool open."""
    jobs = children_of(worker.pid)
    return [pid for pid in jobs if any(conversation_id in name for name in open_files(pid))]


def _is_setting(name: str) -> bool:
    return name.startswith(("BOLTI_", "LIVEKIT_"))


def _answers(url: str, status: int | None = None) -> bool:
    """`status` None: whatever it says."""
    try:
        return httpx2.get(url, timeout=2).status_code == status or status is None
    except httpx2.TransportError:
        return False
