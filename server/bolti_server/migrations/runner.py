"""Brings a database's tables up to this version: the numbered .sql files beside this module, in order.

Rules: all that is missing is applied in one transaction under an advisory lock, so several starting processes and a crash
in the middle leave a whole version or the one before. A shipped file is never edited: its hash is kept, and a database
that was made from another text is refused rather than guessed at.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import asyncpg

FOLDER = Path(__file__).resolve().parent / "sql"
CONNECT_TIMEOUT_SECONDS = 10.0
MIGRATE_TIMEOUT_SECONDS = 300.0
_LOCK = 0x626F_6C74_69  # "bolti"

_TABLE = """create table if not exists migrations (
    name text primary key, sha256 text not null, applied_at timestamptz not null default now())"""


class MigrationChanged(Exception):
    """The database was made by another text of a migration than the one that is here; says what to do."""


async def migrate(dsn: str) -> list[str]:
    """Applies what is missing and returns the names of it. Safe to repeat, and from several processes at once.

    Raises MigrationChanged, asyncpg.PostgresError, OSError (not reachable).
    """
    connection = await asyncpg.connect(
        dsn, timeout=CONNECT_TIMEOUT_SECONDS, command_timeout=MIGRATE_TIMEOUT_SECONDS
    )
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute(_TABLE)
            rows = await connection.fetch("select name, sha256 from migrations")
            return await _apply(connection, {row["name"]: row["sha256"] for row in rows})
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_SECONDS)


async def _apply(connection: asyncpg.Connection[asyncpg.Record], done: dict[str, str]) -> list[str]:
    applied: list[str] = []
    for file in sorted(FOLDER.glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        if file.stem not in done:
            await connection.execute(text)
            await connection.execute(
                "insert into migrations (name, sha256) values ($1, $2)", file.stem, sha256
            )
            applied.append(file.stem)
        elif done[file.stem] != sha256:
            raise MigrationChanged(
                f"The tables of this database were made by another text of {file.name}. Use the version of Bolti that "
                "made them, or a new database (with `bolti-server dev`: another --data-dir)."
            )
    return applied
