"""Which recordings have to be listened to, and what was heard. One function per question."""

from __future__ import annotations

from datetime import datetime

import attrs

from bolti_server.base.db import Tx


@attrs.frozen
class Hearing:
    """A recording that was claimed. `attempts` counts this one; with `asked_at` it tells whether the claim still holds."""

    workspace_id: str
    conversation_id: str
    asked_at: datetime
    attempts: int


@attrs.frozen
class StoredPeaks:
    """Of a conversation: `status` of its recording, and of the listening (None: nobody was asked to). One byte of peaks
    an interval and side."""

    recording_status: str
    recording_detail: str | None
    is_over: bool
    status: str | None
    detail: str | None
    duration_ms: int | None
    interval_ms: int | None
    caller: bytes | None
    agent: bytes | None


async def ask(tx: Tx, workspace_id: str, conversation_id: str) -> None:
    """There is a recording, or another part of it: it has to be listened to, whatever was heard before."""
    await tx.execute(
        """insert into recording_hearings (conversation_id, next_at)
           select id, bolti_now() from conversations where workspace_id = $1 and id = $2
           on conflict (conversation_id) do update
               set status = 'pending', detail = null, next_at = bolti_now(), attempts = 0, asked_at = clock_timestamp()""",
        workspace_id,
        conversation_id,
    )
    tx.wake("recordings_heard")


async def claim_of_any_workspace(tx: Tx, *, lease_seconds: int) -> Hearing | None:
    """The one that has waited longest. It is free again after `lease_seconds`, unless something is made of it."""
    row = await tx.fetchrow(
        """with due as (
               select conversation_id from recording_hearings where next_at <= bolti_now()
               order by next_at limit 1 for update skip locked)
           update recording_hearings h
           set next_at = bolti_now() + $1::integer * interval '1 second', attempts = h.attempts + 1
           from due, conversations c
           where h.conversation_id = due.conversation_id and c.id = h.conversation_id
           returning c.workspace_id, h.conversation_id, h.asked_at, h.attempts""",
        lease_seconds,
    )
    return None if row is None else Hearing(**dict(row))


async def is_still_ours(tx: Tx, workspace_id: str, hearing: Hearing) -> bool:
    """Whether nobody has asked or claimed anew since; locks the row."""
    held = await tx.fetchval(
        """select true from recording_hearings h join conversations c on c.id = h.conversation_id
           where c.workspace_id = $1 and c.id = $2 and h.asked_at = $3 and h.attempts = $4
             and h.next_at is not null for update of h""",
        workspace_id,
        hearing.conversation_id,
        hearing.asked_at,
        hearing.attempts,
    )
    return held is True


async def postpone(tx: Tx, workspace_id: str, hearing: Hearing, *, seconds: int) -> None:
    """Somebody may try again then. Nothing where it is not ours any more."""
    await tx.execute(
        """update recording_hearings h set next_at = bolti_now() + $5::integer * interval '1 second'
           from conversations c
           where c.workspace_id = $1 and c.id = $2 and h.conversation_id = c.id
             and h.asked_at = $3 and h.attempts = $4 and h.next_at is not null""",
        workspace_id,
        hearing.conversation_id,
        hearing.asked_at,
        hearing.attempts,
        seconds,
    )


async def give_up(tx: Tx, workspace_id: str, conversation_id: str, detail: str) -> None:
    """Nobody will try again, unless another part comes. The row is locked."""
    await tx.execute(
        """update recording_hearings h set status = 'failed', detail = $3, next_at = null
           from conversations c
           where c.workspace_id = $1 and c.id = $2 and h.conversation_id = c.id""",
        workspace_id,
        conversation_id,
        detail,
    )


async def keep(
    tx: Tx,
    workspace_id: str,
    conversation_id: str,
    *,
    duration_ms: int,
    interval_ms: int,
    caller: bytes,
    agent: bytes,
) -> None:
    """What was heard. The row is locked."""
    await tx.execute(
        """update recording_hearings h
           set status = 'done', detail = null, next_at = null, heard_at = bolti_now(),
               duration_ms = $3, interval_ms = $4, caller_peaks = $5, agent_peaks = $6
           from conversations c
           where c.workspace_id = $1 and c.id = $2 and h.conversation_id = c.id""",
        workspace_id,
        conversation_id,
        duration_ms,
        interval_ms,
        caller,
        agent,
    )


async def find_peaks(tx: Tx, workspace_id: str, conversation_id: str) -> StoredPeaks | None:
    """None where the workspace has no such conversation."""
    row = await tx.fetchrow(
        """select c.recording_status, c.recording_detail, c.ended_at is not null as is_over,
                  h.status, h.detail, h.duration_ms, h.interval_ms,
                  h.caller_peaks as caller, h.agent_peaks as agent
           from conversations c left join recording_hearings h on h.conversation_id = c.id
           where c.workspace_id = $1 and c.id = $2""",
        workspace_id,
        conversation_id,
    )
    return None if row is None else StoredPeaks(**dict(row))
