"""`bolti-server dev`: takes the data folder and the port, and starts PostgreSQL while the server's code is still loading.

Rule: what the user can mend (port taken, already running, no PostgreSQL) is said at once, in words. The rest is in
`dev_server.py`, which costs a second and a half to import: the time in which initdb makes a database.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from bolti_server.base.embedded import EmbeddedPostgres, EmbeddedPostgresError
from bolti_server.base.settings import Settings, default_data_dir
from bolti_server.bootstrap.local import DataDirectory, DataDirectoryTaken, DataDirectoryUnusable
from bolti_server.entrypoints.complaints import (
    CannotStart,
    complaints_about_database_url,
    console,
    read_settings,
)


class PortTaken(Exception):
    """Somebody listens there already, or this user may not."""


def run(*, data_dir: Path | None, port: int, worker_capacity: int, no_profile: bool) -> int:
    """Runs until Ctrl-C or SIGTERM. Exit code 2 for what the user can mend (port taken, already running), 1 where
    BOLTI_DATABASE_URL leads to no database that can be used.
    """
    folder = (data_dir or default_data_dir()).expanduser().resolve()
    try:
        with DataDirectory(folder) as directory, _listen(port) as listener:
            _run(directory, listener, worker_capacity, writes_profile=not no_profile)
    except (DataDirectoryTaken, DataDirectoryUnusable, PortTaken, EmbeddedPostgresError) as problem:
        console.print(str(problem), style="red", markup=False)
        return 2
    except CannotStart as problem:
        return problem.tell("dev")
    return 0


def _run(
    directory: DataDirectory, listener: socket.socket, worker_capacity: int, *, writes_profile: bool
) -> None:
    url = os.environ.get("BOLTI_DATABASE_URL")
    if url and (complaints := complaints_about_database_url(url)):
        raise CannotStart(complaints)
    read_settings(Settings)  # what is wrong is said before anything is started
    postgres = None if url else EmbeddedPostgres(directory.path)
    with ThreadPoolExecutor(1, "postgres") as thread:
        starting: Future[str] | None = None if postgres is None else thread.submit(postgres.start)
        try:
            gc.disable()  # what an import makes stays: looking for garbage in it costs a tenth of the time
            server = importlib.import_module("bolti_server.entrypoints.dev_server")
            gc.enable()
            server.run_server(
                directory,
                listener,
                postgres,
                starting,
                worker_capacity=worker_capacity,
                writes_profile=writes_profile,
            )
        finally:
            if postgres is not None:
                thread.submit(postgres.release).result()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as problem:
        listener.close()
        why = (
            "is taken"
            if problem.errno == errno.EADDRINUSE
            else f"can't be used: {problem.strerror}"
        )
        raise PortTaken(
            f"Port {port} {why}. Give another one with --port (0 picks a free one)."
        ) from None
    return listener
