"""What must hold for numbers: statements that must return no row."""

from __future__ import annotations

INVARIANTS: dict[str, str] = {
    "a number is with one agent at a time": """
        select number_id from agent_phone_numbers where unassigned_at is null
        group by number_id having count(*) > 1""",
    "agent, number and binding are in one workspace": """
        select b.id from agent_phone_numbers b
        join agents a on a.id = b.agent_id join numbers n on n.id = b.number_id
        where b.workspace_id <> a.workspace_id or b.workspace_id <> n.workspace_id""",
    "a number and its trunk are in one workspace": """
        select n.id from numbers n join trunks t on t.id = n.trunk_id
        where n.workspace_id <> t.workspace_id""",
    "a released number is with no agent": """
        select b.id from agent_phone_numbers b join numbers n on n.id = b.number_id
        where b.unassigned_at is null and n.released_at is not null""",
    "what was bought is paid, once and by its own workspace, from the ledger of its kind": """
        select n.id from numbers n join trunks t on t.id = n.trunk_id
        left join ledger_purchases p on p.reference = n.id and p.workspace_id = n.workspace_id
            and p.amount_micros = n.monthly_cost_micros and p.currency = n.currency
            and (p.ledger = 'test') = (t.kind = 'simulated')
        where n.monthly_cost_micros is not null and p.reference is null""",
    "what was paid for a number is a number that was bought": """
        select p.reference from ledger_purchases p left join numbers n on n.id = p.reference
        where p.reference like 'num\\_%' and n.monthly_cost_micros is null""",
    "a deleted agent has no numbers": """
        select b.id from agent_phone_numbers b join agents a on a.id = b.agent_id
        where b.unassigned_at is null and a.deleted_at is not null""",
    "a simulated trunk carries simulated numbers and no other trunk does": """
        select n.id from numbers n join trunks t on t.id = n.trunk_id
        where (t.kind = 'simulated') <> (n.phone_number ~ '^\\+120255501[0-9]{2}$')""",
    "a deleted trunk carries no number and keeps no password": """
        select t.id from trunks t where t.deleted_at is not null
          and (t.outbound_password_sealed is not null or t.inbound_password_sealed is not null
               or exists (select from numbers n where n.trunk_id = t.id and n.released_at is null))""",
    "what the media server is told of, or failed to be, is told again": """
        select id, inbound_status from trunks
        where inbound_status in ('pending', 'ready', 'failed') and sync_due_at is null""",
    "a phone number is E.164": """
        select id from numbers where phone_number !~ '^\\+[1-9][0-9]{6,14}$'""",
}
