"""Starts, finds, stops one PostgreSQL server for a data folder; several processes may share it.

Rules: whoever looks at or changes the server holds the folder's lock. Every `start()` takes a lease; the
server stops when the last lease is released (a lease whose process died doesn't count). A running server is
found by its verified pid file, never started twice. A dead one's pid file is removed only when none of its
processes is left.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from bolti_server.base.embedded.account import Account, account_to_run_as
from bolti_server.base.embedded.binaries import Binaries, copy_for_account, find_binaries
from bolti_server.base.embedded.cluster import (
    DATABASE,
    SUPERUSER,
    RunProgram,
    clean_environment,
    cluster_major,
    make_cluster,
    run_program,
)
from bolti_server.base.embedded.errors import EmbeddedPostgresError, explain
from bolti_server.base.embedded.locks import Lease, exclusive, living_leases, pause
from bolti_server.base.embedded.places import Places, find_places, make_system_folder
from bolti_server.base.embedded.processes import (
    Postmaster,
    adopt,
    is_postgres_of,
    leftovers,
    running_postmaster,
)

SOCKET_PORT = 5432  # only a part of the socket's file name when no TCP port is asked for
STOP_TIMEOUT_SECONDS = 30.0
LOG_LIMIT_BYTES = 10_000_000
_DEFAULTS = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# Enough for tests: commits survive the death of the server (they are with the kernel), not that of the machine.
_NOT_DURABLE = {"fsync": "off"}
_NOTHING: Mapping[str, str] = MappingProxyType({})


class EmbeddedPostgres:
    """The PostgreSQL of `data_dir`, shared by every process that starts it there. Blocking: use
    `asyncio.to_thread`.

    `port`: also listen on 127.0.0.1 there (password in the file `password` beside the log). `settings`: of
    postgresql.conf. `durable=False`: commits survive a killed server, not a lost machine (tests). `run`: what
    runs the programs that make a new cluster. All are of use to whoever starts the server first.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] = _NOTHING,
        durable: bool = True,
        run: RunProgram = run_program,
    ) -> None:
        self._data_dir = data_dir
        self._port = port
        self._is_durable = durable
        self._run = run
        self._settings = {**_DEFAULTS, **({} if durable else _NOT_DURABLE), **settings}
        self._places: Places | None = None
        self._lease: Lease | None = None

    def start(self, timeout_seconds: float = 60) -> str:
        """The DSN of the database `bolti` on a server that answers: found running, else started, else made
        first. Safe to repeat; also restarts a server that crashed. Raises EmbeddedPostgresError, which says
        what to do."""
        deadline = time.monotonic() + timeout_seconds
        with self._locked(timeout_seconds):
            account, places, binaries = self._prepare()
            has_lease = self._lease is not None
            lease = self._lease or Lease.take(places.leases)
            try:
                server = self._ensure_running(account, places, binaries, deadline)
            except BaseException:
                if not has_lease:
                    lease.drop()
                raise
            if not has_lease:
                self._lease = lease
                atexit.register(self.release)
        host = quote(str(server.socket_folder), safe="/")
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={host}&port={server.port}"

    def is_running(self) -> bool:
        """Whether the server lives (after a `start()` of this object)."""
        return self._places is not None and running_postmaster(self._places.data) is not None

    def release(self) -> None:
        """Drop our lease; stops the server if it was the last. Safe to repeat; also done when the
        interpreter exits."""
        lease, places = self._lease, self._places
        if lease is None or places is None or lease.pid != os.getpid():
            return
        with self._locked(STOP_TIMEOUT_SECONDS):
            self._drop_lease()
            if living_leases(places.leases) == 0:
                _stop(places)

    def stop(self) -> None:
        """Stop the server now, whoever else uses it (waits for it to end; open transactions are rolled
        back)."""
        if self._places is None:
            return
        with self._locked(STOP_TIMEOUT_SECONDS):
            self._drop_lease()
            _stop(self._places)

    def kill(self) -> None:
        """SIGKILL all of the server's processes, as a crash of the machine would. For tests."""
        server = running_postmaster(self._places.data) if self._places else None
        if server is None or self._places is None:
            return
        places = self._places
        os.killpg(server.pid, signal.SIGKILL)
        # Each backend made itself a group of its own.
        for pid in leftovers(places.data):
            with _ignoring_dead_processes():
                os.kill(pid, signal.SIGKILL)
        _wait_until(lambda: _is_gone(server.pid, places.data), STOP_TIMEOUT_SECONDS, "did not die")

    @contextmanager
    def _locked(self, timeout_seconds: float) -> Iterator[None]:
        try:
            self._data_dir.mkdir(mode=0o700 if os.geteuid() else 0o711, parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The data folder {self._data_dir} can't be made ({error.strerror}). Choose another (BOLTI_DATA_DIR)."
            ) from error
        with exclusive(self._data_dir / ".postgres.lock", timeout_seconds=timeout_seconds):
            yield

    def _prepare(self) -> tuple[Account, Places, Binaries]:
        data_dir = self._data_dir.resolve()
        if os.geteuid() != 0:
            account = account_to_run_as()
            self._places = find_places(data_dir, account)
            return account, self._places, find_binaries(major=cluster_major(self._places))
        system = make_system_folder()
        with exclusive(
            system / ".lock", timeout_seconds=60
        ):  # accounts and copies are the whole machine's
            account = account_to_run_as()
            self._places = find_places(data_dir, account)
            binaries = find_binaries(major=cluster_major(self._places))
            return account, self._places, copy_for_account(binaries, system)

    def _ensure_running(
        self, account: Account, places: Places, binaries: Binaries, deadline: float
    ) -> Postmaster:
        if cluster_major(places) is None:
            make_cluster(places, binaries, account, is_durable=self._is_durable, run=self._run)
        log_start = _log_size(places)
        while time.monotonic() < deadline:
            server = running_postmaster(places.data)
            if server is None:
                _remove_stale_files(places, deadline)
                log_start = _log_size(places)
                self._spawn(account, places, binaries, deadline)
            elif _answers(server, binaries):
                return server
            else:
                pause()
        raise explain("PostgreSQL did not answer in time.", _log_since(places, log_start))

    def _spawn(self, account: Account, places: Places, binaries: Binaries, deadline: float) -> None:
        """Start the server and wait until its pid file stands. Raises EmbeddedPostgresError with its log if
        it ends first."""
        if _log_size(places) > LOG_LIMIT_BYTES:
            places.log.replace(places.log.with_suffix(".log.1"))
        log_start = _log_size(places)
        command = [
            binaries.program("postgres"),
            "-D",
            str(places.data),
            "-k",
            str(places.socket_folder),
        ]
        command += [
            "-p",
            str(self._port or SOCKET_PORT),
            "-c",
            f"listen_addresses={'127.0.0.1' if self._port else ''}",
        ]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        with places.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=clean_environment(),
                # Ctrl-C in the terminal is for the program, which then stops the server in order.
                start_new_session=True,
                user=account.child_user,
                group=account.child_group,
                extra_groups=account.child_groups,
            )
        adopt(child)
        while running_postmaster(places.data) is None and time.monotonic() < deadline:
            if child.poll() is not None:
                raise explain(
                    f"PostgreSQL ended at once (exit code {child.returncode}).",
                    _log_since(places, log_start),
                )
            pause()

    def _drop_lease(self) -> None:
        if self._lease is not None:
            self._lease.drop()
            self._lease = None
            atexit.unregister(self.release)


def _answers(server: Postmaster, binaries: Binaries) -> bool:
    ask = [
        binaries.program("pg_isready"),
        "-q",
        "-h",
        str(server.socket_folder),
        "-p",
        str(server.port),
        "-t",
        "5",
    ]
    return subprocess.run(ask, check=False, env=clean_environment(), timeout=15).returncode == 0


def _stop(places: Places) -> None:
    """Fast shutdown (sessions are ended, everything written); after 30 s without effect the immediate one."""
    server = running_postmaster(places.data)
    if server is None:
        return
    for order in (signal.SIGINT, signal.SIGQUIT):
        with _ignoring_dead_processes():
            os.kill(server.pid, order)
        try:
            _wait_until(
                lambda: _is_gone(server.pid, places.data), STOP_TIMEOUT_SECONDS, "did not stop"
            )
            return
        except EmbeddedPostgresError:
            if order is signal.SIGQUIT:
                raise


def _remove_stale_files(places: Places, deadline: float) -> None:
    """PostgreSQL looks itself whether its pid file is stale, but believes one whose pid now belongs to
    something else."""
    left = deadline - time.monotonic()
    _wait_until(
        lambda: not leftovers(places.data),
        left,
        "is dead, but some of its processes are still there",
    )
    (places.data / "postmaster.pid").unlink(missing_ok=True)
    for path in places.socket_folder.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)


def _is_gone(pid: int, data: Path) -> bool:
    return not is_postgres_of(pid, data) and not leftovers(data)


def _wait_until(is_true: Callable[[], bool], timeout_seconds: float, what: str) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(f"PostgreSQL {what} (waited {timeout_seconds:.0f} s).")
        pause()


@contextmanager
def _ignoring_dead_processes() -> Iterator[None]:
    try:
        yield
    except ProcessLookupError:
        return


def _log_size(places: Places) -> int:
    return places.log.stat().st_size if places.log.exists() else 0


def _log_since(places: Places, start: int) -> str:
    return places.log.read_bytes()[start:].decode(errors="replace") if places.log.exists() else ""
