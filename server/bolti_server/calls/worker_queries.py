"""What the worker's side of a call reads and writes, one function per question.

Rule: whoever changes a conversation holds its row (`lock_call`), so that reports, commands, deadlines and users come one
after the other. All instants are the database's: `LiveCall.now` is the moment of the lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import attrs

from bolti_server.base.db import Tx, encode_json
from bolti_server.calls.hangups import Direction, Status
from bolti_server.contract import structs

ROOM_LINES = ("room", "browser")

_COLUMNS = """
    id, workspace_id, organization_id, agent_id, agent_version, direction, status, simulated,
    from_number, to_number, variable_values::text as variable_values, scenario, script, line, max_duration_seconds,
    is_cap_shortened, ring_timeout_seconds, epoch, worker_id, dispatch_count, dispatched_at, ready_at,
    dial_nonce, last_report, last_command, scheduled_call_id, created_at, queued_at, dialed_at,
    ringing_at, answered_at, ended_at, deadline_at, next_at, recording_status, trunk_id, room_name, sip_call_id,
    heartbeat_at, line_lost_at, rescue_count, rescue_due_at, rescue_epoch, blind_since, room_look_at, unsent_detail,
    handed_over_at,
    bolti_now() as now"""
_CALL = "select" + _COLUMNS + " from conversations"


@attrs.frozen
class LiveCall:
    """A conversation, locked until the transaction ends (or, where a function says so, as it was).

    `variable_values` is encoded JSON; `now` is the database's.
    """

    id: str
    workspace_id: str
    organization_id: str
    agent_id: str
    agent_version: int
    direction: Direction
    status: Status
    simulated: bool
    from_number: str | None
    to_number: str | None
    variable_values: str
    scenario: str | None
    script: str | None
    line: str  # audio, text, room, browser
    max_duration_seconds: int
    is_cap_shortened: bool
    ring_timeout_seconds: int
    epoch: int
    worker_id: str | None
    dispatch_count: int
    dispatched_at: datetime | None
    ready_at: datetime | None
    dial_nonce: str | None
    last_report: int
    last_command: int
    scheduled_call_id: str | None
    created_at: datetime
    queued_at: datetime | None
    dialed_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    deadline_at: datetime | None
    next_at: datetime | None
    recording_status: str
    trunk_id: str | None
    room_name: str | None
    sip_call_id: str | None
    heartbeat_at: datetime | None
    line_lost_at: datetime | None
    rescue_count: int
    rescue_due_at: datetime | None
    rescue_epoch: int | None
    blind_since: datetime | None
    room_look_at: datetime | None
    unsent_detail: str | None
    handed_over_at: datetime | None
    now: datetime

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None

    @property
    def our_number(self) -> str | None:
        """The agent's side; a browser's call has none."""
        return self.to_number if self.direction == "inbound" else self.from_number

    @property
    def is_in_room(self) -> bool:
        """Its line is a participant of a LiveKit room: it outlives its agent."""
        return self.line in ROOM_LINES


@attrs.frozen
class Lease:
    conversation_id: str
    epoch: int
    line: str


@attrs.frozen
class StoredCommand:
    number: int
    type: str
    body: str  # encoded JSON: text, code


@attrs.frozen
class LineEvent:
    """A report as it came (`body` is encoded) and what was made of it."""

    number: int
    kind: str
    body: str
    verdict: str


async def lock_call(tx: Tx, workspace_id: str, conversation_id: str) -> LiveCall | None:
    # No key update: rows that refer to the conversation can be inserted by others meanwhile.
    row = await tx.fetchrow(
        f"{_CALL} where workspace_id = $1 and id = $2 for no key update",
        workspace_id,
        conversation_id,
    )
    return None if row is None else _live(row)


async def lock_call_of_any_workspace(tx: Tx, conversation_id: str) -> LiveCall | None:
    """For a worker, whose token is good for this one conversation."""
    row = await tx.fetchrow(f"{_CALL} where id = $1 for no key update", conversation_id)
    return None if row is None else _live(row)


async def find_call_of_any_workspace(tx: Tx, conversation_id: str) -> LiveCall | None:
    """As it is now, without a lock. For a worker, whose token is good for this one conversation."""
    row = await tx.fetchrow(f"{_CALL} where id = $1", conversation_id)
    return None if row is None else _live(row)


async def list_calls_of_any_workspace(tx: Tx, conversation_ids: Sequence[str]) -> list[LiveCall]:
    """As they are now, without a lock. For a worker that has just leased them."""
    rows = await tx.fetch(f"{_CALL} where id = any($1::text[])", list(conversation_ids))
    return [_live(row) for row in rows]


async def change_call(
    tx: Tx, workspace_id: str, conversation_id: str, changes: Mapping[str, object]
) -> LiveCall:
    """Sets columns of a locked conversation, and returns it as it is then. The names are ours, never a caller's."""
    assert all(name.isidentifier() for name in changes), changes
    assignments = ", ".join(f"{name} = ${n}" for n, name in enumerate(changes, 3))
    row = await tx.fetchrow(
        "update conversations set "  # noqa: S608  the names are checked above
        + assignments
        + " where workspace_id = $1 and id = $2 returning"
        + _COLUMNS,
        workspace_id,
        conversation_id,
        *changes.values(),
    )
    assert row is not None, f"no conversation {conversation_id} in {workspace_id}"
    return _live(row)


# ---- claiming ----


async def register_worker_of_any_workspace(
    tx: Tx, worker_id: str, *, name: str, capacity: int, rooms: str | None
) -> None:
    """`rooms`: what it says of itself as an agent worker of the media server, in JSON."""
    await tx.execute(
        """insert into workers (id, name, capacity, rooms) values ($1, $2, $3, $4::jsonb)
           on conflict (id) do update set name = $2, capacity = $3, rooms = $4::jsonb, seen_at = bolti_now()""",
        worker_id,
        name,
        capacity,
        rooms,
    )


async def claim_of_any_workspace(
    tx: Tx,
    worker_id: str,
    *,
    lines: Sequence[str],
    limit: int,
    most_dispatches: int,
    second_dispatch_seconds: int,
    ready_seconds: int,
) -> list[Lease]:
    """Leases up to `limit` queued conversations of `lines`, the oldest first.

    Free is what nobody has, and what had its first agent `second_dispatch_seconds` ago without being ready. The first
    dispatch starts the time in which an agent has to be ready; no later one prolongs it.
    """
    rows = await tx.fetch(
        """with free as (
               select id from conversations
               where status = 'queued' and ready_at is null and next_at is null and ended_at is null
                 and deadline_at > bolti_now() and line = any($6::text[])
                 and (dispatch_at is null or dispatch_at <= bolti_now())
                 and (worker_id is null and dispatch_count < $3
                      or dispatch_count = 1 and dispatched_at <= bolti_now() - $4::integer * interval '1 second')
               order by id limit $2 for no key update skip locked)
           update conversations c
           set worker_id = $1, epoch = c.epoch + 1, dispatched_at = bolti_now(),
               dispatch_count = c.dispatch_count + 1, heartbeat_at = bolti_now(), line_lost_at = null,
               last_report = 0, deadline_at = least(c.deadline_at, bolti_now() + $5::integer * interval '1 second')
           from free where c.id = free.id
           returning c.id as conversation_id, c.epoch, c.line""",
        worker_id,
        limit,
        most_dispatches,
        second_dispatch_seconds,
        ready_seconds,
        list(lines),
    )
    return sorted((Lease(**dict(row)) for row in rows), key=attrgetter("conversation_id"))


# ---- reports ----


async def insert_line_events(
    tx: Tx, workspace_id: str, conversation_id: str, epoch: int, recorded: Sequence[LineEvent]
) -> None:
    """Reports as they came and what was made of them. The conversation is locked and in `workspace_id`."""
    if not recorded:
        return
    await tx.execute(
        """insert into line_events (conversation_id, epoch, report_number, type, body, verdict)
           select c.id, $3::integer, r.number, r.type, r.body, r.verdict
           from conversations c
           cross join unnest($4::integer[], $5::text[], $6::jsonb[], $7::text[]) as r (number, type, body, verdict)
           where c.workspace_id = $1 and c.id = $2""",
        workspace_id,
        conversation_id,
        epoch,
        [each.number for each in recorded],
        [each.kind for each in recorded],
        [each.body for each in recorded],
        [each.verdict for each in recorded],
    )


async def save_turn(
    tx: Tx, workspace_id: str, conversation_id: str, *, turn_index: int, role: str, body: str
) -> bool:
    """Whether that changed anything. `body` is encoded contract.structs.Turn."""
    changed = await tx.fetchval(
        """insert into conversation_turns as t (conversation_id, turn_index, role, body)
           select id, $3::integer, $4::text, $5::jsonb from conversations where workspace_id = $1 and id = $2
           on conflict (conversation_id, turn_index) do update set role = excluded.role, body = excluded.body
           where (t.role, t.body) is distinct from (excluded.role, excluded.body)
           returning turn_index""",
        workspace_id,
        conversation_id,
        turn_index,
        role,
        body,
    )
    return changed is not None


async def save_turns(
    tx: Tx,
    workspace_id: str,
    conversation_id: str,
    turns: Sequence[structs.Turn],
    bodies: Sequence[str],
) -> set[int]:
    """The indices of those that changed anything. `bodies` are the `turns`, encoded; no index comes twice."""
    if not turns:
        return set()
    rows = await tx.fetch(
        """insert into conversation_turns as t (conversation_id, turn_index, role, body)
           select c.id, n.turn_index, n.role, n.body
           from conversations c
           cross join unnest($3::integer[], $4::text[], $5::jsonb[]) as n (turn_index, role, body)
           where c.workspace_id = $1 and c.id = $2
           on conflict (conversation_id, turn_index) do update set role = excluded.role, body = excluded.body
           where (t.role, t.body) is distinct from (excluded.role, excluded.body)
           returning turn_index""",
        workspace_id,
        conversation_id,
        [turn.index for turn in turns],
        [turn.role for turn in turns],
        list(bodies),
    )
    return {row["turn_index"] for row in rows}


async def list_turns(tx: Tx, workspace_id: str, conversation_id: str) -> list[str]:
    """Encoded contract.structs.Turn of each, in order."""
    rows = await tx.fetch(
        """select t.body::text as body from conversation_turns t join conversations c on c.id = t.conversation_id
           where c.workspace_id = $1 and c.id = $2 order by t.turn_index limit 10000""",
        workspace_id,
        conversation_id,
    )
    return [row["body"] for row in rows]


# ---- commands and heartbeats ----


async def insert_command(
    tx: Tx, workspace_id: str, conversation_id: str, *, number: int, kind: str, body: object
) -> None:
    await tx.execute(
        """insert into conversation_commands (conversation_id, number, type, body)
           select id, $3::integer, $4::text, $5::jsonb from conversations where workspace_id = $1 and id = $2""",
        workspace_id,
        conversation_id,
        number,
        kind,
        encode_json(body),
    )


async def list_commands(
    tx: Tx, workspace_id: str, conversation_id: str, *, after: int
) -> list[StoredCommand]:
    """Those with a number greater than `after`, in order."""
    rows = await tx.fetch(
        """select k.number, k.type, k.body::text as body
           from conversation_commands k join conversations c on c.id = k.conversation_id
           where c.workspace_id = $1 and c.id = $2 and k.number > $3 order by k.number limit 100""",
        workspace_id,
        conversation_id,
        after,
    )
    return [StoredCommand(**dict(row)) for row in rows]


async def is_end_wanted(tx: Tx, workspace_id: str, conversation_id: str) -> bool:
    """Whether the worker was told to end the call."""
    wanted = await tx.fetchval(
        """select true from conversation_commands k join conversations c on c.id = k.conversation_id
           where c.workspace_id = $1 and c.id = $2 and k.type in ('end', 'say_then_end') limit 1""",
        workspace_id,
        conversation_id,
    )
    return wanted is True


async def beat_of_any_workspace(tx: Tx, conversation_id: str, epoch: int) -> datetime | None:
    """The worker of that epoch is alive: the instant of this beat. None where the call is over or another epoch's."""
    beat_at: datetime | None = await tx.fetchval(
        """update conversations
           set heartbeat_at = bolti_now(), line_lost_at = null, rescue_due_at = null, blind_since = null
           where id = $1 and epoch = $2 and ended_at is null returning heartbeat_at""",
        conversation_id,
        epoch,
    )
    return beat_at


async def suspect_of_any_workspace(
    tx: Tx, conversation_id: str, epoch: int, beat_at: datetime
) -> None:
    """The connection whose beat that was is cut. A newer beat proves it wrong."""
    await tx.execute(
        """update conversations set line_lost_at = bolti_now()
           where id = $1 and epoch = $2 and heartbeat_at = $3 and ended_at is null""",
        conversation_id,
        epoch,
        beat_at,
    )


def _live(row: Mapping[str, Any]) -> LiveCall:
    values = dict(row)
    values["status"] = Status(values["status"])
    return LiveCall(**values)
