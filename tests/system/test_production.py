"""What an operator runs: migrate, create-workspace, serve and a worker against a database of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import httpx2
import pytest
from tests.system.conftest import remove_database, wait_until

from bolti import Bolti
from bolti_server.base.embedded import EmbeddedPostgres

CLI = [sys.executable, "-m", "bolti_server.entrypoints.cli"]


@attrs.frozen
class Production:
    environment: dict[str, str]
    folder: Path
    url: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLI, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command}.log").open("ab") as log:
            return subprocess.Popen([*CLI, command], env=self.environment, stdout=log, stderr=log)


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Production]:
    postgres = EmbeddedPostgres(tmp_path / "database")
    dsn = postgres.start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    yield Production(
        {
            **os.environ,
            "BOLTI_DATABASE_URL": dsn,
            "BOLTI_SECRET_KEY": "kK3vX9mQ2pL8wR5tY7uI1oA4sD6fG0hJ",
            "BOLTI_WORKER_TOKEN": "zX8cV5bN2mQ9wE6rT3yU0iO7pA4sD1fG",
            "BOLTI_PUBLIC_URL": url,
            "BOLTI_INTERNAL_URL": url,
            "BOLTI_PORT": str(port),
            "BOLTI_DATA_DIR": str(tmp_path / "data"),
        },
        tmp_path,
        url,
    )
    postgres.release()
    assert remove_database(tmp_path / "database") == []


def is_up(url: str) -> bool:
    try:
        return httpx2.get(url + "/health", timeout=2).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.slow
def test_an_operator_s_server_and_worker_carry_a_call_and_stop_in_order(
    production: Production,
) -> None:
    refused = production.run("create-workspace", "Acme")
    assert refused.returncode == 1
    assert "bolti-server migrate" in refused.stderr
    assert "0001_first_call" in production.run("migrate").stdout
    assert "up to date" in production.run("migrate").stdout
    made = json.loads(production.run("create-workspace", "Acme").stdout)
    processes = {name: production.start(name) for name in ("serve", "worker")}
    try:
        wait_until(lambda: is_up(production.url), 30, "serve answers")
        with Bolti(api_key=made["api_key"], base_url=production.url) as bolti:
            agent = bolti.agents.create(
                name="Reception",
                system_prompt="Be brief.",
                first_message="Hello, this is Acme.",
                stt={"provider": "simulated"},
                llm={
                    "provider": "simulated",
                    "rules": [{"hear": ".", "say": "Goodbye!", "tool": {"name": "cut_call"}}],
                },
                tts={"provider": "simulated", "voice": "speech"},
            )
            number = bolti.numbers.list().data[0]
            bolti.agent_phone_numbers.assign(agent.id, number_id=number.id, direction="outbound")
            call = bolti.agents.outbound_call(agent.id, to_number="+12025550100")
            wait_until(
                lambda: bolti.conversations.get(call.conversation_id).answered_at, 30, "an answer"
            )
            processes["worker"].send_signal(signal.SIGTERM)
            ended = bolti.conversations.wait_until_ended(call.conversation_id, timeout_seconds=90)
            assert ended.hangup is not None
            assert ended.hangup.code == "agent_hangup", "a worker that drains finishes its calls"
        assert processes["worker"].wait(30) == 0
        processes["serve"].send_signal(signal.SIGTERM)
        assert processes["serve"].wait(15) == 0
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def test_create_workspace_says_which_settings_it_needs() -> None:
    environment = {name: value for name, value in os.environ.items() if "BOLTI" not in name}
    done = subprocess.run(
        [*CLI, "create-workspace", "Acme"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "BOLTI_DATABASE_URL is missing" in done.stderr
    assert "BOLTI_SECRET_KEY is missing" in done.stderr
