"""Who runs PostgreSQL. Rule: it refuses to run as root, so root starts it as the account `bolti-pg`, and
anyone else as himself. What that account can't enter (a folder under root's home, pytest's folders) can't
hold its data either: then the cluster lies under /var/lib/bolti/clusters (see places.py)."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

import attrs

from bolti_server.base.embedded.errors import EmbeddedPostgresError

NAME = "bolti-pg"


@attrs.frozen
class Account:
    """The user that owns and runs the cluster. `is_switched` = we are root and become this user for
    PostgreSQL."""

    uid: int
    gid: int
    is_switched: bool

    # What subprocess takes as user, group and extra_groups to make a child run as the account (None: stay who we are).

    @property
    def child_user(self) -> int | None:
        return self.uid if self.is_switched else None

    @property
    def child_group(self) -> int | None:
        return self.gid if self.is_switched else None

    @property
    def child_groups(self) -> list[int] | None:
        return [] if self.is_switched else None

    def give(self, path: Path) -> None:
        """Make the account the owner of `path` (nothing to do when it is ourselves)."""
        if self.is_switched:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether the account may pass through every folder down to `folder` (it owns none of them)."""
        if not self.is_switched:
            return True
        return all(each.stat().st_mode & stat.S_IXOTH for each in [folder, *folder.parents])


def account_to_run_as() -> Account:
    """Ourselves, or as root `bolti-pg`, created if missing. The caller holds the machine-wide lock when
    root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), is_switched=False)
    try:
        found = pwd.getpwnam(NAME)
    except KeyError:
        _create()
        found = pwd.getpwnam(NAME)
    return Account(found.pw_uid, found.pw_gid, is_switched=True)


def _create() -> None:
    if shutil.which("useradd"):
        command = [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
        ]
        command += ["--shell", "/bin/false", NAME]
    elif shutil.which("adduser"):  # busybox
        command = ["adduser", "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/bin/false", NAME]
    else:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and there is no useradd to make the account "
            f"{NAME!r} for it. Make that account, or run Bolti as an ordinary user, or set BOLTI_DATABASE_URL."
        )
    made = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )
    if made.returncode != 0:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and the account {NAME!r} could not be made for it "
            f"({made.stderr.strip()}). Make it, or run Bolti as an ordinary user, or set BOLTI_DATABASE_URL."
        )
