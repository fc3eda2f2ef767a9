"""`bolti-server dev` as a child process: for `demo`, for the benchmarks and for tests that kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import httpx2

from bolti_server.bootstrap.local import forget_state, read_state

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 40.0
LOOK_EVERY_SECONDS = 0.01


class DevDidNotStart(Exception):
    """Carries the end of its log."""


@attrs.frozen
class Running:
    """A `dev` that answers; `seconds_to_answer` from the start of its process to the first good GET /health."""

    base_url: str
    api_key: str
    workspace_id: str
    agent_id: str
    worker_pid: int
    data_dir: Path
    seconds_to_answer: float


def find_running(data_dir: Path) -> Running:
    """The `dev` that uses this folder already. Raises DevDidNotStart when it doesn't answer in time."""
    began = time.perf_counter()
    while time.perf_counter() - began < START_TIMEOUT_SECONDS:
        if (running := _answers(data_dir, began)) is not None:
            return running
        time.sleep(LOOK_EVERY_SECONDS)  # noqa: TID251  a poll of another process, with a deadline
    raise DevDidNotStart(
        f"A bolti-server dev holds {data_dir} and does not answer. Stop it and try again."
    )


def _answers(data_dir: Path, began: float) -> Running | None:
    state = read_state(data_dir)
    if state is None:
        return None
    try:
        health = httpx2.get(state["base_url"] + "/health", timeout=2)
    except httpx2.TransportError:
        return None
    if health.status_code != 200:
        return None
    return Running(
        base_url=state["base_url"],
        api_key=state["api_key"],
        workspace_id=state["workspace_id"],
        agent_id=state["agent_id"],
        worker_pid=state["worker_pid"],
        data_dir=data_dir,
        seconds_to_answer=time.perf_counter() - began,
    )


class DevChild:
    """Use `start()` and `stop()`, or as a context manager that yields `Running`.

    `profile`: the file that it writes the client profile to; None: none, so that it changes nothing of the user's.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        worker_capacity: int = 10,
        port: int = 0,
        profile: Path | None = None,
    ) -> None:
        self.data_dir = data_dir
        self._environment = {} if profile is None else {"BOLTI_PROFILE": str(profile)}
        self._command = [
            sys.executable,
            "-m",
            "bolti_server.entrypoints.cli",
            "dev",
        ]
        self._command += [] if profile else ["--no-profile"]
        self._command += ["--port", str(port), "--data-dir", str(data_dir)]
        self._command += ["--worker-capacity", str(worker_capacity)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Running:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Running:
        """Blocks until the API answers. Raises DevDidNotStart."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        forget_state(self.data_dir)
        began = time.perf_counter()
        with (self.data_dir / "dev.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the parent's terminal is the parent's to handle
                env={"BOLTI_LOG_LEVEL": "warning", **os.environ, **self._environment},
            )
        while self._process.poll() is None and time.perf_counter() - began < START_TIMEOUT_SECONDS:
            if (running := _answers(self.data_dir, began)) is not None:
                return running
            time.sleep(LOOK_EVERY_SECONDS)  # noqa: TID251  a poll of another process, with a deadline
        self.stop()
        tail = (self.data_dir / "dev.log").read_text(errors="replace")[-3000:]
        raise DevDidNotStart(
            f"bolti-server dev did not start. The end of {self.data_dir / 'dev.log'}:\n{tail}"
        )

    def kill(self) -> None:
        """kill -9 of the server's process alone: its worker and PostgreSQL live on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGTERM and wait; after STOP_TIMEOUT_SECONDS kill -9. Safe to repeat."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
