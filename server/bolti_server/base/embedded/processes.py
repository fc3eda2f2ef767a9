"""Which processes belong to a cluster.

Rule: a pid file is only a claim. It counts when the process it names lives, is a `postgres`, and was started
on this very data folder; pids are reused, and a machine that lost power leaves the file behind.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import attrs

PROC = Path("/proc")

# Servers that this process started, by pid: whoever asks first reaps them, else a dead one would stay a zombie of ours.
_children: dict[int, subprocess.Popen[bytes]] = {}


@attrs.frozen
class Postmaster:
    """A server that runs on a data folder, as its pid file tells."""

    pid: int
    port: int
    socket_folder: Path


def adopt(child: subprocess.Popen[bytes]) -> None:
    """Remember a server started here, to reap it when it ends."""
    _children[child.pid] = child


def running_postmaster(data: Path) -> Postmaster | None:
    """The live server of `data`, else None. Its pid file's lines: pid, data folder, start time, port, socket
    folder, …"""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        found = Postmaster(int(lines[0]), int(lines[3]), Path(lines[4]))
    except (FileNotFoundError, ValueError, IndexError):  # IndexError: it is being written
        return None
    return found if is_postgres_of(found.pid, data) else None


def is_postgres_of(pid: int, data: Path) -> bool:
    """Whether `pid` is alive and a `postgres -D data`."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
        return False
    command = _command_of(pid)
    return bool(command) and command[0].endswith("postgres") and str(data) in command


def leftovers(data: Path) -> list[int]:
    """Processes that still work inside `data`: what a killed server leaves behind for a moment. Needs /proc
    (else none)."""
    found: list[int] = []
    for entry in PROC.glob("[0-9]*"):
        try:
            if os.readlink(entry / "cwd") == str(data):
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile, or it is another user's
            continue
    return found


def _command_of(pid: int) -> list[str]:
    """The arguments of a living process; empty for none and for a zombie."""
    if not PROC.joinpath("self").exists():  # macOS
        listing = subprocess.run(
            ["ps", "-ww", "-o", "stat=,command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        state, *command = listing.stdout.split() or ["Z"]
        return [] if state.startswith("Z") else command
    try:
        state = (PROC / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        arguments = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return [] if state == "Z" else os.fsdecode(arguments).split("\0")
