"""What must hold for money: statements that must return no row."""

from __future__ import annotations

INVARIANTS: dict[str, str] = {
    "every transaction sums to zero": """
        select transaction_id, sum(amount_micros) from ledger_entries
        group by transaction_id having sum(amount_micros) <> 0""",
    "an account's balance is the sum of its entries": """
        select a.id, a.kind, a.balance_micros, coalesce(sum(e.amount_micros), 0) as entries
        from ledger_accounts a left join ledger_entries e on e.account_id = a.id
        group by a.id having a.balance_micros <> coalesce(sum(e.amount_micros), 0)""",
    "what is available or held is never under zero": """
        select id, kind, balance_micros from ledger_accounts
        where kind in ('available', 'held') and balance_micros < 0""",
    "what is held is the sum of the open holds": """
        select a.id, a.balance_micros, coalesce(sum(h.amount_micros), 0) as open_holds
        from ledger_accounts a left join ledger_holds h
            on h.organization_id = a.organization_id and h.ledger = a.ledger and h.resolution is null
        where a.kind = 'held'
        group by a.id having a.balance_micros <> coalesce(sum(h.amount_micros), 0)""",
    "what is spent is the sum of what was settled and purchased": """
        select a.id, a.balance_micros, s.settled, p.purchased
        from ledger_accounts a
        cross join lateral (
            select coalesce(sum(settled_micros), 0) as settled from ledger_holds h
            where h.organization_id = a.organization_id and h.ledger = a.ledger) s
        cross join lateral (
            select coalesce(sum(amount_micros), 0) as purchased from ledger_purchases p
            where p.organization_id = a.organization_id and p.ledger = a.ledger) p
        where a.kind = 'spent' and a.balance_micros <> s.settled + p.purchased""",
    "a purchase has its transaction of its amount, and a purchasing transaction its purchase": """
        select coalesce(p.reference, t.reference) as reference
        from ledger_purchases p
        full join (select * from ledger_transactions where kind = 'purchase') t
            on t.reference = p.reference and t.organization_id = p.organization_id and t.ledger = p.ledger
        left join lateral (
            select sum(e.amount_micros) as amount_micros from ledger_entries e
            join ledger_accounts a on a.id = e.account_id and a.kind = 'spent'
            where e.transaction_id = t.id) e on true
        where p.reference is null or t.id is null or coalesce(e.amount_micros, 0) <> p.amount_micros""",
    "what is settled is the price of the billed seconds, capped by the hold": """
        select reference, settled_micros from ledger_holds
        where resolution = 'settled' and settled_micros <> least(amount_micros, price_micros(
            price_per_minute_micros, increment_seconds, minimum_seconds, billed_seconds))""",
    "what is held is the price of the covered seconds": """
        select reference, amount_micros from ledger_holds
        where covered_seconds > wanted_seconds or amount_micros <> price_micros(
            price_per_minute_micros, increment_seconds, minimum_seconds, covered_seconds)""",
    "a hold has its transaction, and a resolution its own": """
        select h.reference, h.resolution, array_agg(t.kind) as kinds
        from ledger_holds h left join ledger_transactions t
            on t.reference = h.reference and t.kind in ('hold', 'settle', 'release')
        group by h.reference
        having array_agg(t.kind order by t.kind collate "C") is distinct from case h.resolution
            when 'settled' then array['hold', 'settle'] when 'released' then array['hold', 'release']
            else array['hold'] end""",
    "no hold is open on an ended conversation": """
        select h.reference, c.status from ledger_holds h join conversations c on c.id = h.reference
        where h.resolution is null and c.ended_at is not null""",
    "a dialed or answered phone conversation has one hold and, once it is over, one resolution": """
        select c.id, c.status, h.resolution
        from conversations c left join ledger_holds h on h.reference = c.id
        where c.direction <> 'web' and (c.dialed_at is not null or c.answered_at is not null)
          and (h.reference is null or (c.ended_at is null) <> (h.resolution is null))""",
    "a conversation's hold is its organization's, on the ledger of its kind": """
        select c.id from conversations c join ledger_holds h on h.reference = c.id
        where h.organization_id <> c.organization_id or h.workspace_id <> c.workspace_id
           or (h.ledger = 'test') <> c.simulated""",
    "a conversation's cost is what was settled for it": """
        select c.id, c.cost_micros, h.settled_micros
        from conversations c join ledger_holds h on h.reference = c.id
        where c.ended_at is not null and c.cost_micros is not null
          and c.cost_micros <> coalesce(h.settled_micros, 0)""",
}
