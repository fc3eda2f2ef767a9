"""The data folder of one machine: who uses it, its secrets, and what `dev` tells other programs about itself.

Rule: one `dev` at a time uses a folder (a lock that the kernel drops when its process dies); secrets are made once, kept
with mode 0600, and never printed.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs


class DataDirectoryUnusable(Exception):
    """The folder can't be made or written; the text says why and what to do."""


class DataDirectoryTaken(Exception):
    """Another `dev` uses this folder; the text says where it answers and what to do."""


@attrs.frozen
class LocalSecrets:
    secret_key: str
    worker_token: str


class DataDirectory:
    """Use as a context manager: takes the folder's lock, or raises DataDirectoryTaken or DataDirectoryUnusable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: TextIOWrapper | None = None

    def __enter__(self) -> DataDirectory:
        lock = _lock_file(self.path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            state = read_state(self.path)
            where = f" at {state['base_url']}" if state else ""
            raise DataDirectoryTaken(
                f"bolti-server dev is running{where} with the data folder {self.path} already. "
                "Use that one, stop it, or give this one a folder of its own with --data-dir."
            ) from None
        self._lock = lock
        forget_state(self.path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        forget_state(self.path)
        if self._lock is not None:
            self._lock.close()

    def secrets(self) -> LocalSecrets:
        """This machine's secrets, made at the first call."""
        file = self.path / "secrets.json"
        if file.exists():
            return LocalSecrets(**json.loads(file.read_text()))
        made = LocalSecrets(
            secret_key=secrets.token_urlsafe(48), worker_token=secrets.token_urlsafe(32)
        )
        write_private(file, attrs.asdict(made))
        return made

    def write_state(self, state: dict[str, Any]) -> None:
        """Where this `dev` answers, for `demo` and the benchmarks; gone when it stops."""
        write_private(self.path / "dev.json", state)


def is_taken(path: Path) -> bool:
    """Whether a living `dev` holds the folder. Makes it where it is missing; raises DataDirectoryUnusable."""
    with _lock_file(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock_file(path: Path) -> TextIOWrapper:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return (path / "dev.lock").open("a")
    except OSError as error:
        raise DataDirectoryUnusable(
            f"The data folder {path} can't be used: {error.strerror}. Give another one with --data-dir."
        ) from None


def read_state(path: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((path / "dev.json").read_text())
    except FileNotFoundError:
        return None
    return state


def forget_state(path: Path) -> None:
    (path / "dev.json").unlink(missing_ok=True)


def write_private(file: Path, content: dict[str, Any]) -> None:
    """Whole or not at all, readable by this user alone."""
    new = file.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(content, out, indent=1)
    new.replace(file)
