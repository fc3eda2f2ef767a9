"""The processes of the stack, each a child with a log of its own, and what else runs in our network namespace.

Rule: everything that runs in this namespace is ours, since pytest was started in it (tools/stack.py). So a process whose
line of parents does not lead to one of our children has outlived what started it: a stray.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

START_SECONDS = 40.0
STOP_SECONDS = 40.0
LOOK_EVERY_SECONDS = 0.02
TAIL_LINES = 40


@attrs.define
class Child:
    """A process that can be stopped, killed and started again. `log` gathers what all of its lives wrote."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    log: Path
    _process: subprocess.Popen[bytes] | None = None
    _life_begins: int = 0  # where in the log

    def start(self) -> None:
        assert not self.is_running, f"{self.name} runs already"
        self.forget()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.environment),
                start_new_session=True,  # a Ctrl-C is pytest's to handle
            )

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, timeout_seconds: float) -> int:
        """Its exit code; fails where it is not over in time."""
        assert self._process is not None
        return self._process.wait(timeout_seconds)

    def stop(self) -> int | None:
        """SIGTERM, and kill -9 after STOP_SECONDS. Its exit code; None where it did not run."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return None
        process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill_group(process)
            return process.wait()

    def kill(self) -> None:
        """kill -9 of this process alone: its children see it gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def kill_all(self) -> None:
        """kill -9 of it and of all of its children at once, as when the machine is lost."""
        process, self._process = self._process, None
        if process is not None:
            for pid in [*children_of(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._kill_group(process)
            process.wait()

    def pause(self) -> None:
        """SIGSTOP of it and of all of its children: a machine that stands still."""
        for pid in [self.pid, *children_of(self.pid)]:
            os.kill(pid, signal.SIGSTOP)

    def wake(self) -> None:
        for pid in [*children_of(self.pid), self.pid]:
            os.kill(pid, signal.SIGCONT)

    def forget(self) -> None:
        """`told` begins here."""
        self._life_begins = self.log.stat().st_size if self.log.exists() else 0

    def told(self) -> str:
        """What it has written since its last start, or `forget`."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._life_begins :].decode(errors="replace")

    def tail(self) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-TAIL_LINES:])

    def _kill_group(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_until_up(child: Child, answers: object, timeout_seconds: float = START_SECONDS) -> None:
    """`answers`: a function that tells whether it does. Fails with the end of the log where it does not."""
    assert callable(answers)
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline and child.is_running:
        if answers():
            return
        time.sleep(LOOK_EVERY_SECONDS)  # noqa: TID251  another process is watched: nothing to wait on
    raise AssertionError(f"{child.name} did not start; the end of {child.log}:\n{child.tail()}")


# ---- Everything that runs here ----


@attrs.frozen
class Process:
    pid: int
    parent: int
    command: str


def processes_here() -> dict[int, Process]:
    """All processes of our network namespace but the dead ones that nobody has waited for."""
    ours = os.readlink("/proc/self/ns/net")
    return {each.pid: each for each in _processes(ours)}


def _processes(namespace: str) -> Iterator[Process]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if os.readlink(folder / "ns" / "net") != namespace:
                continue
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            if state != "Z" and command:
                yield Process(int(folder.name), int(parent), command)


def children_of(pid: int) -> list[int]:
    """All of them, and theirs."""
    here = processes_here()
    return [each for each in here if pid in _parents(each, here)]


def open_files(pid: int) -> list[str]:
    """Their names; none of a process that has ended."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(os.readlink(file))
    return found


def strays() -> list[str]:
    """What has outlived the process that started it. PostgreSQL makes a session of its own and is stopped by name."""
    here = processes_here()
    return [
        f"{each.pid} {each.command[:200]}"
        for each in here.values()
        if os.getpid() not in (each.pid, *_parents(each.pid, here))
        and each.pid not in _parents(os.getpid(), here)
        and "postgres" not in each.command
    ]


def _parents(pid: int, here: Mapping[int, Process]) -> list[int]:
    found: list[int] = []
    while (process := here.get(pid)) is not None and process.parent not in found:
        pid = process.parent
        found.append(pid)
    return found
