"""The reports of one call on the worker's disk, until the server has acknowledged them.

Rules: a report is on disk before it is sent. Numbers are 1, 2, 3 … without a gap. The folder of a call belongs to the
process that holds its lock, which the kernel drops when that process dies; the next worker on this machine finds the
folder free and carries it on. Nothing is fsynced: it survives the death of a process, not of the machine (after that
the server's deadline ends the call).

    <root>/<conversation_id>.<epoch>/   call.json · reports.jsonl · acknowledged · recording.ogg · recording.started · lock
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from io import BufferedWriter
from pathlib import Path

import msgspec

from bolti_server.worker_api.report_log import MAX_BATCH, Line, ReportLog, SpooledCall

__all__ = ["MAX_BATCH", "Spool", "SpoolTaken", "SpooledCall", "left_behind"]

_UNBORN = "."  # begins the name of a folder that is being made
_STILLBORN_SECONDS = 60.0


class Spool(ReportLog):
    """Make one with `Spool.create` or `Spool.adopt`."""

    def __init__(self, folder: Path, call: SpooledCall, lock: int) -> None:
        super().__init__(call)
        self.folder = folder
        self._lock = lock
        self._lines = _read_lines(folder / "reports.jsonl")
        self._out: BufferedWriter = (folder / "reports.jsonl").open("ab")
        self.acknowledged = _read_number(folder / "acknowledged")

    @classmethod
    def create(cls, root: Path, call: SpooledCall) -> Spool:
        """A new folder, or the one that an earlier claim of the same epoch began. Raises SpoolTaken."""
        folder = root / f"{call.conversation_id}.{call.epoch}"
        lock = _lock_new(folder) if not folder.exists() else _lock(folder)
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

    def recording_age_ms(self) -> int | None:
        """How long ago the first sound of the recording was; None where nobody noted it (`note_recording_start`)."""
        try:
            started_at = float(started_file(self.recording_file).read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return max(0, round((time.time() - started_at) * 1000))

    def _keep(self, line: Line) -> None:
        self._out.write(msgspec.json.encode(line) + b"\n")
        self._out.flush()

    def _set_acknowledged(self, number: int) -> None:
        super()._set_acknowledged(number)
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


def note_recording_start(recording: Path) -> None:
    """The recording begins now. By the wall clock: whoever delivers it may be another process."""
    recording.parent.mkdir(parents=True, exist_ok=True)
    _write_whole(started_file(recording), str(time.time()).encode())


def started_file(recording: Path) -> Path:
    """Beside the recording."""
    return recording.with_suffix(".started")


class SpoolTaken(Exception):
    """Two processes must not send for the same call."""


def left_behind(root: Path) -> list[Spool]:
    """Adopts every folder under `root` whose process is dead."""
    if not root.is_dir():
        return []
    found: list[Spool] = []
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(_UNBORN):
            _remove_stillborn(folder)
        elif folder.is_dir() and (spool := Spool.adopt(folder)) is not None:
            found.append(spool)
    return found


def _remove_stillborn(folder: Path) -> None:
    try:
        age_seconds = time.time() - folder.stat().st_mtime
    except FileNotFoundError:  # it is born
        return
    if age_seconds > _STILLBORN_SECONDS:
        shutil.rmtree(folder, ignore_errors=True)


def _lock_new(folder: Path) -> int | None:
    """Made elsewhere and moved here when it is locked: who adopts what dead processes left must not see it before."""
    unborn = folder.with_name(f"{_UNBORN}{folder.name}.{os.getpid()}")
    unborn.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _lock(unborn)
    try:
        unborn.rename(folder)
    except OSError:  # another was quicker
        shutil.rmtree(unborn, ignore_errors=True)
        if lock is not None:
            os.close(lock)
        return None
    return lock


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


def _read_lines(file: Path) -> list[Line]:
    """Whole lines in order. A process that was killed while writing leaves half a line: that report never was."""
    if not file.exists():
        return []
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with file.open("r+b") as torn:
            torn.truncate(len(whole))
    return [msgspec.json.decode(line, type=Line) for line in whole.splitlines()]


def _read_number(file: Path) -> int:
    return int(file.read_text()) if file.exists() else 0


def _write_whole(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
    new.replace(file)
