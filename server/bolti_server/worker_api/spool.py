"""The reports of one call on the worker's disk, until the server has acknowledged them.

Rules: a report is on disk before it is sent. Numbers are 1, 2, 3 … without a gap. The folder of a call belongs to the
process that holds its lock, which the kernel drops when that process dies; the next worker on this machine finds the
folder free and carries it on. Nothing is fsynced: it survives the death of a process, not of the machine (after that
the server's deadline ends the call).

    <root>/<conversation_id>.<epoch>/   call.json · reports.jsonl · acknowledged · recording.ogg · lock
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from io import BufferedWriter
from pathlib import Path

import msgspec

from bolti_server.worker_api.messages import (
    EndReport,
    Report,
    ReportType,
    ToolCallReport,
    TurnReport,
)

MAX_BATCH = 50


class SpooledCall(msgspec.Struct, frozen=True, kw_only=True):
    """Whose reports these are, and the token that sends them."""

    conversation_id: str
    epoch: int
    token: str


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    made_at: float  # of the wall clock: the only one that survives the process
    report: Report


class Spool:
    """Make one with `Spool.create` or `Spool.adopt`."""

    def __init__(self, folder: Path, call: SpooledCall, lock: int) -> None:
        self.folder = folder
        self.call = call
        self._lock = lock
        self._lines = _read_lines(folder / "reports.jsonl")
        self._out: BufferedWriter = (folder / "reports.jsonl").open("ab")
        self.acknowledged = _read_number(folder / "acknowledged")

    @classmethod
    def create(cls, root: Path, call: SpooledCall) -> Spool:
        """A new folder, or the one that an earlier claim of the same epoch began. Raises SpoolTaken."""
        folder = root / f"{call.conversation_id}.{call.epoch}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _lock(folder)
        if lock is None:
            raise SpoolTaken(f"another process on this machine carries {folder.name}")
        _write_whole(folder / "call.json", msgspec.json.encode(call))
        return cls(folder, call, lock)

    @classmethod
    def adopt(cls, folder: Path) -> Spool | None:
        """What a dead process left; None while a living one holds it, or where nothing useful is in it."""
        lock = _lock(folder)
        if lock is None:
            return None
        try:
            call = msgspec.json.decode((folder / "call.json").read_bytes(), type=SpooledCall)
        except (FileNotFoundError, msgspec.DecodeError):
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
            return None
        return cls(folder, call, lock)

    @property
    def recording_file(self) -> Path:
        """Where the recording grows: a worker that finds the folder later finds the recording in it."""
        return self.folder / "recording.ogg"

    @property
    def last_number(self) -> int:
        return len(self._lines)

    @property
    def is_ended(self) -> bool:
        """Whether the call's `ended` report is among them."""
        return any(line.report.type == "ended" for line in self._lines)

    @property
    def is_acknowledged(self) -> bool:
        return self.acknowledged >= self.last_number

    def append(
        self,
        report_type: ReportType,
        *,
        turn: TurnReport | None = None,
        tool_call: ToolCallReport | None = None,
        ended: EndReport | None = None,
        age_seconds: float = 0.0,
    ) -> int:
        """Writes one down and returns its number. `age_seconds`: how long ago what it tells happened."""
        report = Report(
            number=self.last_number + 1,
            type=report_type,
            turn=turn,
            tool_call=tool_call,
            ended=ended,
        )
        line = _Line(made_at=time.time() - age_seconds, report=report)
        self._out.write(msgspec.json.encode(line) + b"\n")
        self._out.flush()
        self._lines.append(line)
        return report.number

    def pending(self, limit: int = MAX_BATCH) -> list[Report]:
        """The oldest that the server has not acknowledged, each with its age as of now."""
        now = time.time()
        return [
            msgspec.structs.replace(line.report, age_ms=max(0, round((now - line.made_at) * 1000)))
            for line in self._lines[self.acknowledged : self.acknowledged + limit]
        ]

    def acknowledge(self, through: int) -> None:
        """The server keeps everything up to `through`. An older answer that comes late takes nothing back."""
        if through > self.acknowledged:
            self._set_acknowledged(min(through, self.last_number))

    def rewind(self, wanted: int) -> None:
        """The server lacks `wanted` and what follows: they are pending again."""
        if 1 <= wanted <= self.acknowledged:
            self._set_acknowledged(wanted - 1)

    def _set_acknowledged(self, number: int) -> None:
        self.acknowledged = number
        _write_whole(self.folder / "acknowledged", str(number).encode())

    def close(self) -> None:
        """Gives the folder up as it is, for whoever adopts it. Safe to repeat."""
        if not self._out.closed:
            self._out.close()
            os.close(self._lock)

    def remove(self) -> None:
        """Everything has arrived: the folder goes. Safe to repeat."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()


class SpoolTaken(Exception):
    """Two processes must not send for the same call."""


def left_behind(root: Path) -> list[Spool]:
    """Adopts every folder under `root` whose process is dead."""
    if not root.is_dir():
        return []
    found = (Spool.adopt(folder) for folder in sorted(root.iterdir()) if folder.is_dir())
    return [spool for spool in found if spool is not None]


def _lock(folder: Path) -> int | None:
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:  # its owner has just finished and removed it
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    if not (folder / "lock").exists():
        os.close(lock)
        return None
    return lock


def _read_lines(file: Path) -> list[_Line]:
    """Whole lines in order. A process that was killed while writing leaves half a line: that report never was."""
    if not file.exists():
        return []
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with file.open("r+b") as torn:
            torn.truncate(len(whole))
    return [msgspec.json.decode(line, type=_Line) for line in whole.splitlines()]


def _read_number(file: Path) -> int:
    return int(file.read_text()) if file.exists() else 0


def _write_whole(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
    new.replace(file)
