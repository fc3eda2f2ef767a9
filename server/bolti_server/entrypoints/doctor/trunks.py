"""Trunks of the workspaces' own that calls shall come in by: whether the SIP service was told of them."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from bolti_server.entrypoints.doctor.findings import Finding, not_checked, ok, problem

MOST_NAMED = 3


async def look_at_trunks(connection: asyncpg.Connection[asyncpg.Record]) -> Sequence[Finding]:
    try:
        rows = await connection.fetch(
            """select id, inbound_status, sync_detail from trunks
               where can_inbound and kind = 'byot' and deleted_at is null order by id"""
        )
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        return [not_checked("trunks", "the database lacks tables.")]
    failed = [row for row in rows if row["inbound_status"] == "failed"]
    if failed:
        named = "; ".join(
            f"{row['id']}: {(row['sync_detail'] or 'no reason is known').rstrip('.')}"
            for row in failed[:MOST_NAMED]
        )
        more = f" (and {len(failed) - MOST_NAMED} more)" if len(failed) > MOST_NAMED else ""
        detail = f"{len(failed)} of {len(rows)} take no calls. {named}{more}."
        return [problem("trunks", detail, "The record of the trunk says it too: inbound_detail.")]
    pending = sum(row["inbound_status"] == "pending" for row in rows)
    if pending:
        detail = f"{pending} of {len(rows)} are about to be told to the SIP service."
        return [not_checked("trunks", detail)]
    return [ok("trunks", f"{len(rows)} take calls that come in.")]
