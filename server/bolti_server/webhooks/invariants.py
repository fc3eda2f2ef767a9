"""What must hold for the event log and what was sent of it: statements that must return no row."""

from __future__ import annotations

INVARIANTS: dict[str, str] = {
    "the events of a subject are numbered 1 to n without a gap": """
        select subject_id, count(*), min(sequence), max(sequence) from events
        group by subject_id having min(sequence) <> 1 or max(sequence) <> count(*)""",
    "positions of a workspace's log are 1 to its counter without a gap": """
        select e.workspace_id, count(*), max(e.position), c.last_position
        from events e left join event_counters c on c.workspace_id = e.workspace_id
        group by e.workspace_id, c.last_position
        having max(e.position) <> count(*) or max(e.position) is distinct from c.last_position""",
    "an event of the log stays in its workspace": """
        select d.id from webhook_deliveries d
        join webhook_endpoints e on e.id = d.webhook_endpoint_id
        join events v on v.id = d.event_id
        where d.workspace_id <> e.workspace_id or d.workspace_id <> v.workspace_id""",
    "an event that was fanned out is delivered to every endpoint that was subscribed when it was committed": """
        select e.id, v.id as event_id, v.type
        from events v join webhook_endpoints e on e.workspace_id = v.workspace_id
        left join webhook_deliveries d on d.event_id = v.id and d.webhook_endpoint_id = e.id
        where v.fanned_out_at is not null and v.type <> 'test.ping'
          and v.created_at > bolti_now() - interval '30 days'
          and e.deleted_at is null and e.status = 'enabled'
          and (e.subscriptions ->> v.type)::bigint < v.position and d.id is null""",
    "a delivery waits for a time exactly while it is pending, and has one exactly when it is delivered": """
        select id, status, next_at, delivered_at from webhook_deliveries
        where (status = 'pending') <> (next_at is not null)
           or (status = 'delivered') <> (delivered_at is not null)""",
    "at most one try of a delivery is out": """
        select id, attempt_count, jsonb_array_length(attempts) as ended from webhook_deliveries
        where attempt_count - jsonb_array_length(attempts) not in (0, 1)
           or replay_base > attempt_count""",
    "a delivered delivery's last try was answered 2xx": """
        select id, attempts -> -1 as last_try from webhook_deliveries
        where status = 'delivered' and attempt_count = jsonb_array_length(attempts)
          and coalesce((attempts -> -1 ->> 'status')::integer, 0) not between 200 and 299""",
    "a disabled endpoint says why, an enabled one has no reason to": """
        select id, status, disabled_reason from webhook_endpoints
        where (status = 'disabled') <> (disabled_reason is not null)""",
}
