"""Reading conversations, one function per question. What places and lets in calls has placing_queries.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
from piccolo.columns.combination import Where

from bolti_server.base.db import Tx
from bolti_server.calls.tables import ConversationRow


@attrs.frozen
class StoredConversation:
    """A conversation with the name of the agent version that it used and the latency over its agent turns.

    `variable_values` is encoded JSON. Milliseconds are None where nothing was measured.
    """

    id: str
    workspace_id: str
    direction: str
    status: str
    simulated: bool
    line: str
    agent_id: str | None
    agent_name: str
    agent_version: int | None
    agent_phone_number_id: str | None
    from_number: str | None
    to_number: str | None
    variable_values: str
    scheduled_call_id: str | None
    scheduled_at: datetime | None
    created_at: datetime
    queued_at: datetime | None
    dialed_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    duration_seconds: int | None
    max_duration_seconds: int
    hangup_code: str | None
    hangup_by: str | None
    hangup_fault: str | None
    hangup_retryable: bool | None
    hangup_detail: str | None
    sip_status: int | None
    provider_code: str | None
    recording_status: str
    recording_detail: str | None
    analysis_status: str
    cost_micros: int | None
    cost_currency: str | None
    agent_turns: int
    measured_turns: int
    end_to_end_p50_ms: int | None
    end_to_end_p95_ms: int | None
    first_audio_ms: int | None
    heard_p50_ms: int | None
    heard_p95_ms: int | None


@attrs.frozen
class StoredTranscript:
    """`turns` is an encoded list of contract.structs.Turn, `usage` one of UsageItem; `script` is the scenario in YAML that
    the call was placed with, if any."""

    status: str
    turns: str
    usage: str
    script: str | None


@attrs.frozen
class StoredRecording:
    """Where the recording of a conversation lies. `path` is set exactly if it is available."""

    conversation_id: str
    status: str
    detail: str | None
    path: str | None
    size_bytes: int | None
    is_over: bool


@attrs.frozen
class ConversationFilter:
    """What a list of conversations is narrowed to (None or empty: everything), and its order."""

    statuses: Sequence[str] = ()
    direction: str | None = None
    agent_id: str | None = None
    to_number: str | None = None
    from_number: str | None = None
    simulated: bool | None = None
    hangup_code: str | None = None
    created_at_or_after: datetime | None = None
    created_before: datetime | None = None
    is_oldest_first: bool = False


# The percentiles are values that were measured (percentile_disc), over the turns that answered somebody.
_CONVERSATION = """
    select c.id, c.workspace_id, c.direction, c.status, c.simulated, c.line, c.agent_id,
           coalesce(v.configuration ->> 'name', '') as agent_name, c.agent_version, c.agent_phone_number_id,
           c.from_number, c.to_number, c.variable_values::text as variable_values,
           c.scheduled_call_id, c.scheduled_at, c.created_at, c.queued_at, c.dialed_at, c.ringing_at,
           c.answered_at, c.ended_at, c.duration_seconds, c.max_duration_seconds,
           c.hangup_code, c.hangup_by, c.hangup_fault, c.hangup_retryable, c.hangup_detail, c.sip_status,
           c.provider_code, c.recording_status, c.recording_detail, c.analysis_status,
           c.cost_micros, c.cost_currency,
           t.agent_turns, t.measured_turns, t.percentiles[1] as end_to_end_p50_ms,
           t.percentiles[2] as end_to_end_p95_ms, t.first_audio_ms,
           t.heard_percentiles[1] as heard_p50_ms, t.heard_percentiles[2] as heard_p95_ms
    from conversations c
    left join agent_versions v on v.agent_id = c.agent_id and v.version = c.agent_version
    cross join lateral (
        select count(*) as agent_turns, count(ms) as measured_turns, min(start_ms) as first_audio_ms,
               percentile_disc(array[0.5, 0.95]) within group (order by ms) as percentiles,
               percentile_disc(array[0.5, 0.95]) within group (order by heard_ms) as heard_percentiles
        from (select (body #>> '{latency,end_to_end_ms}')::integer as ms, (body ->> 'start_ms')::integer as start_ms,
                     (body #>> '{latency,heard_ms}')::integer as heard_ms
              from conversation_turns where conversation_id = c.id and role = 'agent') as spoken
    ) as t
    where c.workspace_id = $1"""


async def find_conversation(
    tx: Tx, workspace_id: str, conversation_id: str
) -> StoredConversation | None:
    row = await tx.fetchrow(f"{_CONVERSATION} and c.id = $2", workspace_id, conversation_id)
    return None if row is None else _stored(row)


async def find_transcript(
    tx: Tx, workspace_id: str, conversation_id: str
) -> StoredTranscript | None:
    """Status, turns in order, usage and script, all as of one instant."""
    row = await tx.fetchrow(
        """select c.status, c.usage::text as usage, c.script,
                  coalesce((select json_agg(body order by turn_index) from conversation_turns
                            where conversation_id = c.id), '[]')::text as turns
           from conversations c where c.workspace_id = $1 and c.id = $2""",
        workspace_id,
        conversation_id,
    )
    return None if row is None else StoredTranscript(**dict(row))


async def find_recording(tx: Tx, workspace_id: str, conversation_id: str) -> StoredRecording | None:
    row = await tx.fetchrow(
        """select id, recording_status, recording_detail, recording_path, recording_bytes,
                  ended_at is not null as is_over
           from conversations where workspace_id = $1 and id = $2""",
        workspace_id,
        conversation_id,
    )
    if row is None:
        return None
    return StoredRecording(
        conversation_id=row["id"],
        status=row["recording_status"],
        detail=row["recording_detail"],
        path=row["recording_path"],
        size_bytes=row["recording_bytes"],
        is_over=row["is_over"],
    )


async def is_conversation(tx: Tx, workspace_id: str, conversation_id: str) -> bool:
    """Whether the workspace has it."""
    found = await tx.fetchval(
        "select true from conversations where workspace_id = $1 and id = $2",
        workspace_id,
        conversation_id,
    )
    return found is True


async def list_conversations(
    tx: Tx, workspace_id: str, wanted: ConversationFilter, *, limit: int, before_id: str | None
) -> list[StoredConversation]:
    """`before_id` is the last id of the page before."""
    row_id, is_oldest_first = ConversationRow.id, wanted.is_oldest_first
    page = ConversationRow.select(ConversationRow.id).where(
        ConversationRow.workspace_id == workspace_id, *_conditions(wanted)
    )
    if before_id is not None:
        page = page.where(row_id > before_id if is_oldest_first else row_id < before_id)
    page = page.order_by(row_id, ascending=is_oldest_first).limit(limit)
    ids = [row["id"] for row in await page]
    if not ids:
        return []
    way = "asc" if is_oldest_first else "desc"
    rows = await tx.fetch(
        f"{_CONVERSATION} and c.id = any($2::text[]) order by c.id {way}", workspace_id, ids
    )
    return [_stored(row) for row in rows]


def _conditions(wanted: ConversationFilter) -> list[Where]:
    table = ConversationRow
    found: list[Where] = []
    if wanted.statuses:
        found.append(table.status.is_in(list(wanted.statuses)))
    exact: tuple[tuple[Any, object], ...] = (
        (table.direction, wanted.direction),
        (table.agent_id, wanted.agent_id),
        (table.to_number, wanted.to_number),
        (table.from_number, wanted.from_number),
        (table.simulated, wanted.simulated),
        (table.hangup_code, wanted.hangup_code),
    )
    found.extend(column == value for column, value in exact if value is not None)
    if wanted.created_at_or_after is not None:
        found.append(table.created_at >= wanted.created_at_or_after)
    if wanted.created_before is not None:
        found.append(table.created_at < wanted.created_before)
    return found


def _stored(row: Mapping[str, Any]) -> StoredConversation:
    return StoredConversation(**dict(row))
