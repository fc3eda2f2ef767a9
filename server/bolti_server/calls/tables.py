"""The slice's tables. The DDL, with every constraint, is migrations/sql (0001, 0008)."""

from __future__ import annotations

from piccolo.columns import JSONB, BigInt, Boolean, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table

from bolti_server.base.db import ENGINE


class ConversationRow(Table, tablename="conversations", db=ENGINE):
    """The record of one call. `status` moves by `lifecycle` only; a row without `ended_at` has a `deadline_at`.

    `next_at` is when somebody has to look at it: the instant of a scheduled call, or, in status `queued`, that it
    still waits for a free place and holds no money yet.
    """

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    organization_id = Text()
    agent_id = Text(null=True)
    agent_version = Integer(null=True)
    agent_phone_number_id = Text(null=True)
    direction = Text()
    status = Text()
    simulated = Boolean()
    from_number = Text(null=True)
    to_number = Text(null=True)
    variable_values = JSONB()
    scenario = Text(null=True)
    line = Text()
    script = Text(null=True)
    trunk_id = Text(null=True)
    room_name = Text(null=True)
    sip_call_id = Text(null=True)
    rescue_count = Integer()
    rescue_due_at = Timestamptz(null=True)
    rescue_epoch = Integer(null=True)
    handed_over_at = Timestamptz(null=True)
    blind_since = Timestamptz(null=True)
    dispatch_at = Timestamptz(null=True)
    unsent_detail = Text(null=True)
    room_look_at = Timestamptz(null=True)
    room_closed_at = Timestamptz(null=True)
    idempotency_key = Text(null=True)
    allows_concurrent_to_callee = Boolean()
    queues_when_limited = Boolean()
    queue_timeout_seconds = Integer(null=True)
    max_duration_seconds = Integer()
    is_cap_shortened = Boolean()
    ring_timeout_seconds = Integer()
    epoch = Integer()
    worker_id = Text(null=True)
    dispatched_at = Timestamptz(null=True)
    dispatch_count = Integer()
    ready_at = Timestamptz(null=True)
    dial_nonce = Text(null=True)
    heartbeat_at = Timestamptz(null=True)
    line_lost_at = Timestamptz(null=True)
    last_report = Integer()
    last_command = Integer()
    scheduled_call_id = Text(null=True)
    scheduled_at = Timestamptz(null=True)
    created_at = Timestamptz()
    queued_at = Timestamptz(null=True)
    dialed_at = Timestamptz(null=True)
    ringing_at = Timestamptz(null=True)
    answered_at = Timestamptz(null=True)
    ended_at = Timestamptz(null=True)
    deadline_at = Timestamptz(null=True)
    next_at = Timestamptz(null=True)
    duration_seconds = Integer(null=True)
    hangup_code = Text(null=True)
    hangup_by = Text(null=True)
    hangup_fault = Text(null=True)
    hangup_retryable = Boolean(null=True)
    hangup_detail = Text(null=True)
    sip_status = Integer(null=True)
    provider_code = Text(null=True)
    recording_status = Text()
    recording_detail = Text(null=True)
    recording_path = Text(null=True)
    recording_bytes = BigInt(null=True)
    analysis_status = Text()
    usage = JSONB()
    cost_micros = BigInt(null=True)
    cost_currency = Text(null=True)


class ConversationTurnRow(Table, tablename="conversation_turns", db=ENGINE):
    """One turn of a transcript; `body` is contract.structs.Turn. The key is (conversation_id, turn_index)."""

    conversation_id = Text(primary_key=True, default=None)
    turn_index = Integer()
    role = Text()
    body = JSONB()
    created_at = Timestamptz()


class LineEventRow(Table, tablename="line_events", db=ENGINE):
    """Every report of a worker as it came, and what was made of it (`verdict`)."""

    id = BigInt(primary_key=True, default=None)
    conversation_id = Text()
    epoch = Integer()
    report_number = Integer()
    type = Text()
    body = JSONB()
    verdict = Text()
    created_at = Timestamptz()


class ConversationCommandRow(Table, tablename="conversation_commands", db=ENGINE):
    """What a worker was told, numbered per conversation. The key is (conversation_id, number)."""

    conversation_id = Text(primary_key=True, default=None)
    number = Integer()
    type = Text()
    body = JSONB()
    created_at = Timestamptz()


class ToolCallRow(Table, tablename="tool_calls", db=ENGINE):
    """A request that the server sent for a worker; a repeated id gets the first result."""

    id = Text(primary_key=True, default=None)
    conversation_id = Text()
    epoch = Integer()
    name = Text()
    arguments = JSONB()
    result = JSONB(null=True)
    status = Text()
    duration_ms = Integer(null=True)
    created_at = Timestamptz()


class DoNotCallEntryRow(Table, tablename="do_not_call_entries", db=ENGINE):
    """A number that this workspace does not call."""

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    phone_number = Text()
    source = Text()
    conversation_id = Text(null=True)
    created_at = Timestamptz()


class RecordingPartRow(Table, tablename="recording_parts", db=ENGINE):
    """What one agent (epoch) recorded of a conversation. The key is (conversation_id, epoch)."""

    conversation_id = Text(primary_key=True, default=None)
    epoch = Integer()
    path = Text()
    bytes = BigInt()
    started_at = Timestamptz(null=True)
    created_at = Timestamptz()


class RecordingHearingRow(Table, tablename="recording_hearings", db=ENGINE):
    """A recording that was, or has to be, listened to; peaks are one byte an interval and side."""

    conversation_id = Text(primary_key=True, default=None)
    status = Text()
    detail = Text(null=True)
    next_at = Timestamptz(null=True)
    attempts = Integer()
    asked_at = Timestamptz()
    duration_ms = Integer(null=True)
    interval_ms = Integer(null=True)
    caller_peaks = Bytea(null=True)
    agent_peaks = Bytea(null=True)
    heard_at = Timestamptz(null=True)


class WorkerRow(Table, tablename="workers", db=ENGINE):
    """A worker process that asked for work."""

    id = Text(primary_key=True, default=None)
    name = Text()
    capacity = Integer()
    rooms = JSONB(null=True)
    seen_at = Timestamptz()
    started_at = Timestamptz()
