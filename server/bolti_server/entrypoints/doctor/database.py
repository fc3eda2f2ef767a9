"""PostgreSQL: reached, new enough, with this version's tables, and with the same time as this machine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg

from bolti_server.entrypoints.doctor.findings import Finding, not_checked, ok, problem
from bolti_server.entrypoints.doctor.trunks import look_at_trunks
from bolti_server.entrypoints.doctor.workers import look_at_workers
from bolti_server.migrations import runner

CONNECT_SECONDS = 5.0
LEAST_VERSION = 17
FURTHEST_SECONDS = 2.0
DEPENDENT = ("migrations", "clock", "workers")


async def look_at_database(url: str, *, has_rooms: bool) -> Sequence[Finding]:
    """And at what only the database knows: which workers ask for work. `has_rooms`: there is a media server."""
    try:
        connection = await asyncpg.connect(
            url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        reason = str(error) or type(error).__name__  # a time-out has no words of its own
        advice = "Start PostgreSQL, or correct BOLTI_DATABASE_URL."
        return [
            problem("database", f"can't be used: {reason}.".replace("..", "."), advice),
            *(not_checked(name, "the database can't be used.") for name in DEPENDENT),
        ]
    try:
        found = [_version(connection.get_server_version().major), await _migrations(connection)]
        found.append(await _clock(connection))
        found += await look_at_workers(connection, has_rooms=has_rooms)
        return [*found, *(await look_at_trunks(connection) if has_rooms else ())]
    finally:
        await connection.close(timeout=CONNECT_SECONDS)


def _version(major: int) -> Finding:
    if major < LEAST_VERSION:
        advice = f"Use PostgreSQL {LEAST_VERSION} or newer."
        return problem("database", f"is PostgreSQL {major}, which is too old.", advice)
    return ok("database", f"PostgreSQL {major} answers.")


async def _migrations(connection: asyncpg.Connection[asyncpg.Record]) -> Finding:
    wanted = [file.stem for file in sorted(runner.FOLDER.glob("*.sql"))]
    try:
        rows = await connection.fetch("select name from migrations")
    except asyncpg.UndefinedTableError:
        return problem("migrations", "the database has no tables.", "Run `bolti-server migrate`.")
    done = {row["name"] for row in rows}
    missing = [name for name in wanted if name not in done]
    if missing:
        detail = f"the database lacks {', '.join(missing)}."
        return problem("migrations", detail, "Run `bolti-server migrate`.")
    newer = sorted(done - set(wanted))
    if newer:
        detail = f"the database has {', '.join(newer)}, which this version does not know."
        return problem("migrations", detail, "Run the newer version of Bolti here too.")
    return ok("migrations", f"all {len(wanted)} are there.")


async def _clock(connection: asyncpg.Connection[asyncpg.Record]) -> Finding:
    before = datetime.now(UTC)
    told: datetime = await connection.fetchval("select clock_timestamp()")
    took = datetime.now(UTC) - before
    return clock_finding("clock", "the database's clock", told, before + took / 2)


def clock_finding(
    check: str,
    whose: str,
    told: datetime,
    here: datetime,
    *,
    furthest_seconds: float = FURTHEST_SECONDS,
) -> Finding:
    """Whether two clocks that were read at one moment say the same."""
    apart: timedelta = told - here
    seconds = apart.total_seconds()
    if abs(seconds) > furthest_seconds:
        way = "ahead of" if seconds > 0 else "behind"
        detail = f"{whose} is {abs(seconds):.1f} s {way} this machine's."
        return problem(check, detail, "Set both by NTP (chrony, systemd-timesyncd).")
    return ok(check, f"{whose} and this machine's agree within {furthest_seconds:g} s.")
