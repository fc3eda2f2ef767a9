"""Making the conversations of calls that come in, and finding them again by the leg that the SIP service names."""

from __future__ import annotations

import attrs

from bolti_server.base.db import Tx

_COLUMNS = """
    workspace_id, id, organization_id, agent_id, agent_version, agent_phone_number_id, direction, line, simulated,
    from_number, to_number, trunk_id, room_name, sip_call_id, max_duration_seconds, ring_timeout_seconds, worker_id,
    created_at, ringing_at"""
_VALUES = """
    $1, $2, $3, $4, $5::integer, $6, 'inbound', 'room', $7::boolean,
    $8, $9, $10, $11, $12, $13::integer, $14::integer, $15,
    now, now"""
_ONCE = " on conflict (sip_call_id) where direction = 'inbound' do nothing returning id"


@attrs.frozen
class Arrival:
    """A call that comes in. The agent is None where none answers the number."""

    id: str
    organization_id: str
    agent_id: str | None
    agent_version: int | None
    agent_phone_number_id: str | None
    simulated: bool
    from_number: str | None
    to_number: str
    trunk_id: str
    room: str
    sip_call_id: str
    max_duration_seconds: int
    ring_timeout_seconds: int
    worker_id: str


@attrs.frozen
class Arrived:
    """What was made of a call that came in."""

    id: str
    trunk_id: str | None
    hangup_code: str | None
    hangup_detail: str | None


@attrs.frozen
class Refused:
    """Why a call is not answered, as on its record."""

    status: str
    code: str
    by: str
    fault: str
    is_retryable: bool
    detail: str


async def find_arrived_of_any_workspace(tx: Tx, sip_call_id: str) -> Arrived | None:
    """None where nobody has asked for this leg yet."""
    row = await tx.fetchrow(
        """select id, trunk_id, hangup_code, hangup_detail
           from conversations where direction = 'inbound' and sip_call_id = $1""",
        sip_call_id,
    )
    return None if row is None else Arrived(**dict(row))


async def insert_ringing(
    tx: Tx, workspace_id: str, arrival: Arrival, *, deadline_seconds: int
) -> bool:
    """Makes it `ringing`, leased to its worker in epoch 1. False where the leg has a conversation already."""
    made = await tx.fetchval(
        f"""with clock as materialized (select bolti_now() as now)
            insert into conversations ({_COLUMNS}, status, epoch, dispatched_at, dispatch_count, heartbeat_at, deadline_at)
            select {_VALUES}, 'ringing', 1, now, 1, now, now + $16::integer * interval '1 second'
            from clock {_ONCE}""",  # noqa: S608
        *_arguments(workspace_id, arrival),
        deadline_seconds,
    )
    return made is not None


async def insert_refused(tx: Tx, workspace_id: str, arrival: Arrival, refused: Refused) -> bool:
    """Makes it ended, never answered. False where the leg has a conversation already."""
    made = await tx.fetchval(
        f"""with clock as materialized (select bolti_now() as now)
            insert into conversations ({_COLUMNS}, status, ended_at, duration_seconds,
                hangup_code, hangup_by, hangup_fault, hangup_retryable, hangup_detail)
            select {_VALUES}, $16, now, 0, $17, $18, $19, $20::boolean, $21
            from clock {_ONCE}""",  # noqa: S608
        *_arguments(workspace_id, arrival),
        refused.status,
        refused.code,
        refused.by,
        refused.fault,
        refused.is_retryable,
        refused.detail,
    )
    return made is not None


def _arguments(workspace_id: str, arrival: Arrival) -> tuple[object, ...]:
    """$1 to $15."""
    return (
        workspace_id,
        arrival.id,
        arrival.organization_id,
        arrival.agent_id,
        arrival.agent_version,
        arrival.agent_phone_number_id,
        arrival.simulated,
        arrival.from_number,
        arrival.to_number,
        arrival.trunk_id,
        arrival.room,
        arrival.sip_call_id,
        arrival.max_duration_seconds,
        arrival.ring_timeout_seconds,
        arrival.worker_id,
    )
