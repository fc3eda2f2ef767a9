"""The numbered event log: what happened, in the transaction in which it happened.

Rule: an event commits with the change that it reports, or not at all. `emit` only remembers; the rows are written as
the transaction's last step, because they take the workspace's counter row: whoever holds that counter commits before
the next one gets a number, so positions become visible in order and a reader that asks "after 17" never skips one that
commits late. `sequence` counts per subject (a conversation): 1..n without gaps. `position` counts per workspace.
"""

from __future__ import annotations

import attrs
import msgspec

from bolti_server.base.db import Tx, encode_json
from bolti_server.base.ids import new_id


@attrs.frozen
class Event:
    """A fact to be logged. `data` is the `data` member on the wire (a msgspec struct or plain data)."""

    workspace_id: str
    type: str
    subject_id: str
    data: object
    simulated: bool = False
    id: str = attrs.field(factory=lambda: new_id("evt"))


def emit(tx: Tx, event: Event) -> None:
    """Logs `event` when the transaction commits. Events of one transaction keep their order."""
    if not tx.pending_events:
        tx.before_commit(_write)
    tx.pending_events.append(event)


_INSERT = """
with counter as (
    insert into event_counters as c (workspace_id, last_position) values ($1, $7)
    on conflict (workspace_id) do update set last_position = c.last_position + $7
    returning last_position
), subjects as (
    insert into event_subjects as s (subject_id, last_sequence)
    select subject_id, count(*) from unnest($4::text[]) as subject_id group by subject_id
    on conflict (subject_id) do update set last_sequence = s.last_sequence + excluded.last_sequence
    returning subject_id, last_sequence
), drafts as (
    select id, type, subject_id, data, simulated, ordinal,
           row_number() over (partition by subject_id order by ordinal) as nth,
           count(*) over (partition by subject_id) as of_subject
    from unnest($2::text[], $3::text[], $4::text[], $5::jsonb[], $6::boolean[]) with ordinality
         as d (id, type, subject_id, data, simulated, ordinal)
)
insert into events (id, workspace_id, position, type, subject_id, sequence, simulated, data, created_at)
select d.id, $1, c.last_position - $7 + d.ordinal, d.type, d.subject_id,
       s.last_sequence - d.of_subject + d.nth, d.simulated, d.data, bolti_now()
from drafts d join subjects s using (subject_id) cross join counter c
"""


async def _write(tx: Tx) -> None:
    by_workspace: dict[str, list[Event]] = {}
    for event in tx.pending_events:
        by_workspace.setdefault(event.workspace_id, []).append(event)
    for workspace_id, drafts in sorted(
        by_workspace.items()
    ):  # sorted: two writers never wait for each other crosswise
        await tx.execute(
            _INSERT,
            workspace_id,
            [event.id for event in drafts],
            [event.type for event in drafts],
            [event.subject_id for event in drafts],
            [encode_json(event.data) for event in drafts],
            [event.simulated for event in drafts],
            len(drafts),
        )
        tx.wake(f"events:{workspace_id}")
        tx.wake("fan_out")


class LoggedEvent(msgspec.Struct, frozen=True):
    """A row of the log as its readers get it (`created_at` RFC 3339, UTC)."""

    id: str
    type: str
    created_at: str
    workspace_id: str
    sequence: int
    simulated: bool
    data: dict[str, object]
