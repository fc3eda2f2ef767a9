"""Two kinds of file locks (flock: the kernel drops them when their process ends, however it ends).

`exclusive`: one process at a time looks at and changes a cluster. Leases: one locked file per user of the
server; a file that nobody holds locked any more belonged to a process that died, and doesn't count.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from bolti_server.base.embedded.errors import EmbeddedPostgresError

POLL_SECONDS = 0.01


def pause() -> None:
    """Between two looks of a poll with a deadline: neither flock with a timeout nor another program's start
    can be awaited."""
    time.sleep(POLL_SECONDS)  # noqa: TID251


@contextmanager
def exclusive(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Hold `path` locked. Raises EmbeddedPostgresError if another process holds it for longer than
    `timeout_seconds`."""
    deadline = time.monotonic() + timeout_seconds
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"Another process has been starting or stopping this PostgreSQL for {timeout_seconds:.0f} s "
                    f"(it holds {path}). Wait for it, or end it, and try again."
                )
            pause()
        yield
    finally:
        os.close(descriptor)


@attrs.frozen
class Lease:
    """Our claim that the server is in use. Only the process that took it can drop it (a forked child can't)."""

    path: Path
    descriptor: int
    pid: int

    @classmethod
    def take(cls, folder: Path) -> Lease:
        """A new lease in `folder`. The caller holds the cluster's lock."""
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{os.getpid()}-{secrets.token_hex(4)}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return cls(path, descriptor, os.getpid())

    def drop(self) -> None:
        if self.pid != os.getpid():
            return
        fcntl.flock(
            self.descriptor, fcntl.LOCK_UN
        )  # said aloud: a forked child may still have this file open
        os.close(self.descriptor)
        self.path.unlink(missing_ok=True)


def living_leases(folder: Path) -> int:
    """How many leases are held; those of dead processes are removed. The caller holds the cluster's lock."""
    alive = 0
    for path in folder.glob("*-*"):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if _try_lock(descriptor):
                path.unlink()
            else:
                alive += 1
        finally:
            os.close(descriptor)
    return alive


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
