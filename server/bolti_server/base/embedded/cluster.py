"""Making a cluster: whole or not at all.

Rule: initdb and `create database bolti` work in a folder beside, which a rename makes the cluster. So a
cluster that is there is complete, whatever crashed before, and starting needs no look into it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence

from bolti_server.base.embedded.account import Account
from bolti_server.base.embedded.binaries import Binaries
from bolti_server.base.embedded.errors import explain
from bolti_server.base.embedded.places import Places

DATABASE = "bolti"
SUPERUSER = "postgres"
INITDB_TIMEOUT_SECONDS = 120

RunProgram = Callable[
    [Sequence[str], Account, str], None
]  # command, who runs it, its standard input


def clean_environment() -> Mapping[str, str]:
    """Ours without PG…: a PGDATA or PGPORT of the user's shell must not reach our server."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_", "LANG"))
    }
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def cluster_major(places: Places) -> int | None:
    """The major version that wrote the cluster; None if there is no cluster yet."""
    try:
        return int((places.data / "PG_VERSION").read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def make_cluster(
    places: Places,
    binaries: Binaries,
    account: Account,
    *,
    is_durable: bool,
    run: RunProgram,
) -> None:
    """initdb with the database `bolti` in it. Connections over the socket need no password (its folder is
    private), those over TCP the one in the file `password`. Raises EmbeddedPostgresError; leaves nothing
    half done."""
    new = places.unfinished
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    account.give(new)
    places.password.unlink(missing_ok=True)
    places.password.touch(mode=0o600)
    places.password.write_text(secrets.token_urlsafe(24), encoding="ascii")
    account.give(places.password)
    initdb = [
        binaries.program("initdb"),
        "-D",
        str(new),
        "-U",
        SUPERUSER,
        "--pwfile",
        str(places.password),
    ]
    # The builtin locale sorts the same on every machine; --locale=C because C.UTF-8 doesn't exist everywhere.
    initdb += ["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    single = [binaries.program("postgres"), "--single", "-D", str(new), "postgres"]
    try:
        run([*initdb, *([] if is_durable else ["--no-sync"])], account, "")
        run(single, account, f"create database {DATABASE}\n")
        new.rename(places.data)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def run_program(command: Sequence[str], account: Account, text: str) -> None:
    """Runs it to its end. Raises EmbeddedPostgresError with its last words where it fails or takes too long."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=INITDB_TIMEOUT_SECONDS,
            check=False,
            cwd="/",
            env=clean_environment(),
            user=account.child_user,
            group=account.child_group,
            extra_groups=account.child_groups,
        )
    except subprocess.TimeoutExpired as error:
        raise explain(
            f"{command[0]} took longer than {INITDB_TIMEOUT_SECONDS} s.", str(error.stderr or "")
        ) from error
    # --single ends with 0 even when its statement failed; then it says so.
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise explain(
            f"A new database could not be made ({command[0]} ended with {done.returncode}).",
            done.stderr,
        )
