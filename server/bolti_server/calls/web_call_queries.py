"""The one statement that makes a call in a browser."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bolti_server.base.db import Tx, encode_json


@attrs.frozen
class WebDraft:
    """A call that is to be made."""

    id: str
    organization_id: str
    agent_id: str
    agent_version: int
    variable_values: Mapping[str, object]
    idempotency_key: str | None
    max_duration_seconds: int
    join_seconds: int


async def insert_web_call(
    tx: Tx,
    workspace_id: str,
    draft: WebDraft,
    *,
    deadline_seconds: int,
) -> None:
    """Makes it `queued`, claimable at once, its room named by its id."""
    await tx.execute(
        """with clock as materialized (select bolti_now() as now)
           insert into conversations (
               workspace_id, id, organization_id, agent_id, agent_version, direction, line, room_name, simulated,
               status, variable_values, idempotency_key, max_duration_seconds, ring_timeout_seconds,
               created_at, queued_at, deadline_at)
           select $1, $2, $3, $4, $5::integer, 'web', 'browser', $2, false,
               'queued', $6::jsonb, $7, $8::integer, $9::integer,
               now, now, now + $10::integer * interval '1 second'
           from clock""",
        workspace_id,
        draft.id,
        draft.organization_id,
        draft.agent_id,
        draft.agent_version,
        encode_json(draft.variable_values),
        draft.idempotency_key,
        draft.max_duration_seconds,
        draft.join_seconds,
        deadline_seconds,
    )
