"""Where a cluster lies.

Rule: in `<data_dir>/postgres`, beside everything else of that installation. Only where root's account for
PostgreSQL can't enter that folder, in `/var/lib/bolti/clusters/<hash>-<random>`, with the file
`<data_dir>/postgres-is-at` pointing there. The pointer decides, never the hash: who deletes the data folder
and makes a new one gets an empty database, not the old one.

The folder of a cluster: `data` (PostgreSQL's own), `run` (socket), `leases`, `password` (for TCP),
`postgres.log`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import signal
import stat
import tempfile
from pathlib import Path

import attrs

from bolti_server.base.embedded.account import Account
from bolti_server.base.embedded.errors import EmbeddedPostgresError
from bolti_server.base.embedded.locks import living_leases
from bolti_server.base.embedded.processes import running_postmaster

SYSTEM = Path("/var/lib/bolti")
POINTER = "postgres-is-at"
BACK_POINTER = "belongs-to"

# A socket's path has at most 103 bytes (macOS; Linux: 107), and PostgreSQL adds "/.s.PGSQL.65535.lock".
_LONGEST_SOCKET_FOLDER = 80


@attrs.frozen
class Places:
    """The folders and files of one cluster."""

    home: Path
    socket_folder: Path

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def unfinished(self) -> Path:
        """Where initdb works, until a rename makes it `data`."""
        return self.home / "data.new"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def leases(self) -> Path:
        return self.home / "leases"

    @property
    def password(self) -> Path:
        return self.home / "password"


def find_places(data_dir: Path, account: Account) -> Places:
    """The places of the cluster of `data_dir` (resolved and existing), made if missing. The caller holds the
    locks."""
    inside, pointer = data_dir / "postgres", data_dir / POINTER
    if pointer.exists():
        home = Path(pointer.read_text(encoding="utf-8").strip())
    elif inside.exists() or account.can_enter(data_dir):
        home = inside
    else:
        _make_folder(SYSTEM / "clusters")
        _remove_deserted_clusters()
        home = SYSTEM / "clusters" / f"{_hash(data_dir)}-{secrets.token_hex(3)}"
        _make_folder(home)
        (home / BACK_POINTER).write_text(f"{data_dir}\n", encoding="utf-8")
        pointer.write_text(f"{home}\n", encoding="utf-8")
    _make_folder(home)
    if not account.can_enter(home):
        raise EmbeddedPostgresError(
            f"PostgreSQL can't run as root, and its account can't enter {home}. Make that folder and those above it "
            "passable (chmod o+x), or choose another BOLTI_DATA_DIR, or set BOLTI_DATABASE_URL."
        )
    return Places(home, _socket_folder(home, account))


def make_system_folder() -> Path:
    """/var/lib/bolti for root, which PostgreSQL's account may pass through (not list)."""
    _make_folder(SYSTEM)
    return SYSTEM


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:  # root's umask may be strict, and the account has to pass
            folder.chmod(folder.stat().st_mode | 0o011)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"PostgreSQL's folder {folder} can't be made ({error.strerror}). Choose another BOLTI_DATA_DIR."
        ) from error


def _socket_folder(home: Path, account: Account) -> Path:
    """A folder that only the account may enter: who can enter it is the database's superuser."""
    folder = home / "run"
    if len(os.fsencode(folder)) > _LONGEST_SOCKET_FOLDER:
        # Not tempfile.gettempdir(): TMPDIR can be long too. Who owns it is checked below.
        folder = Path("/tmp") / f"bolti-{account.uid}-{_hash(home)}"  # noqa: S108
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), account.uid):
        raise EmbeddedPostgresError(
            f"{folder} belongs to someone else; PostgreSQL's socket can't lie there. Remove it."
        )
    account.give(folder)
    folder.chmod(0o700)
    return folder


def _remove_deserted_clusters() -> None:
    """Remove clusters whose data folder lay among temporary files and is gone (mostly killed tests'). Others
    are kept: a disk that is not mounted today must not cost anyone's data. A server that runs on one is told
    to stop, and goes next time."""
    temporary = Path(tempfile.gettempdir()).resolve()
    for note in (SYSTEM / "clusters").glob(f"*/{BACK_POINTER}"):
        owner = Path(note.read_text(encoding="utf-8").strip())
        is_deserted = owner.is_relative_to(temporary) and not (owner / POINTER).exists()
        if not is_deserted or living_leases(note.parent / "leases"):
            continue
        server = running_postmaster(note.parent / "data")
        if server is None:
            shutil.rmtree(note.parent, ignore_errors=True)
        else:
            os.kill(server.pid, signal.SIGINT)


def _hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
