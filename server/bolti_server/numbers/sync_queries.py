"""Which trunks the media server has to be told of, and what came of it. Written by syncing.py alone.

Rule: a row is due when `sync_due_at` has come. Who takes it moves that instant on by a lease, and writes what came of it
where it still stands there: what was changed meanwhile is due again at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs

from bolti_server.base.db import Tx
from bolti_server.numbers.trunk_queries import COLUMNS, StoredTrunk, stored_trunk

# A trunk whose calls are to reach us.
_WANTED = """can_inbound and deleted_at is null
    and exists (select from numbers where trunk_id = trunks.id and released_at is null)"""


@attrs.frozen
class DueTrunk:
    """A trunk to tell the media server of, or to take away from it (`is_wanted` false; it may be deleted).

    `media_trunk_id` and `media_rule_id` are what the media server is known to have.
    """

    trunk: StoredTrunk
    is_wanted: bool
    media_trunk_id: str | None
    media_rule_id: str | None
    attempts: int
    leased_until: datetime


async def request_sync(tx: Tx, workspace_id: str, trunk_id: str) -> None:
    """The trunk or its numbers have changed: the media server is to be told now. The trunk is locked."""
    await tx.execute(
        f"""update trunks set sync_due_at = bolti_now(), sync_attempts = 0, sync_detail = null,
                inbound_status = new.status,
                answer_changes = answer_changes
                    + (inbound_status <> new.status or sync_detail is not null)::integer
            from (select id, case when kind = 'simulated' then inbound_status
                              when {_WANTED} then 'pending' else 'none' end as status
                  from trunks where workspace_id = $1 and id = $2) as new
            where trunks.workspace_id = $1 and trunks.id = new.id""",  # noqa: S608
        workspace_id,
        trunk_id,
    )
    tx.wake("trunks_due")


async def tell_all_again_of_any_workspace(tx: Tx) -> None:
    """Everything that should be there is due: a media server may have forgotten it while nobody looked."""
    await tx.execute(
        f"""update trunks set sync_due_at = least(sync_due_at, bolti_now())
            where {_WANTED} and sync_due_at is distinct from least(sync_due_at, bolti_now())"""  # noqa: S608
    )


async def lease_due_of_any_workspace(tx: Tx, *, limit: int, lease_seconds: int) -> list[DueTrunk]:
    """Trunks whose time has come, the longest due first; nobody else gets them for `lease_seconds`."""
    rows = await tx.fetch(
        f"""with due as (
                select id from trunks where sync_due_at <= bolti_now()
                order by sync_due_at limit $1 for no key update skip locked)
            update trunks set sync_due_at = bolti_now() + $2::integer * interval '1 second',
                sync_attempts = sync_attempts + 1
            where id in (select id from due)
            returning {COLUMNS}, {_WANTED} as is_wanted, media_trunk_id, media_rule_id, sync_attempts,
                sync_due_at""",  # noqa: S608
        limit,
        lease_seconds,
    )
    return [
        DueTrunk(
            trunk=stored_trunk({name: row[name] for name in _TRUNK_FIELDS}),
            is_wanted=row["is_wanted"],
            media_trunk_id=row["media_trunk_id"],
            media_rule_id=row["media_rule_id"],
            attempts=row["sync_attempts"],
            leased_until=row["sync_due_at"],
        )
        for row in rows
    ]


async def remember_media(
    tx: Tx,
    workspace_id: str,
    trunk_id: str,
    *,
    media_trunk_id: str | None,
    media_rule_id: str | None,
) -> None:
    """What the media server has of it now."""
    await tx.execute(
        """update trunks set media_trunk_id = $3, media_rule_id = $4 where workspace_id = $1 and id = $2""",
        workspace_id,
        trunk_id,
        media_trunk_id,
        media_rule_id,
    )


async def finish_sync(
    tx: Tx,
    workspace_id: str,
    trunk_id: str,
    *,
    leased_until: datetime,
    status: str,
    detail: str | None,
    again_in_seconds: int | None,
    is_done: bool,
) -> None:
    """Notes what came of it, and when it is due again; nothing where it has become due meanwhile."""
    await tx.execute(
        """update trunks set inbound_status = $4, sync_detail = $5,
               answer_changes = answer_changes
                   + (inbound_status <> $4 or sync_detail is distinct from $5)::integer,
               sync_attempts = case when $7 then 0 else sync_attempts end,
               sync_due_at = bolti_now() + $6::integer * interval '1 second'
           where workspace_id = $1 and id = $2 and sync_due_at = $3""",
        workspace_id,
        trunk_id,
        leased_until,
        status,
        detail,
        again_in_seconds,
        is_done,
    )


_TRUNK_FIELDS: Sequence[str] = tuple(each.name for each in attrs.fields(StoredTrunk))
