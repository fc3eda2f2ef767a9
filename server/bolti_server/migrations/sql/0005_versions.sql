-- Which version a restored one was made from.
alter table agent_versions add column restored_from integer check (restored_from between 1 and version - 1);

-- What a month of a number costs, and what it costs for a number that was bought (null: it was not).
alter table rate_cards add column number_cost_per_month_micros bigint not null default 100000000
    check (number_cost_per_month_micros >= 0);
alter table numbers add column monthly_cost_micros bigint check (monthly_cost_micros >= 0), add column currency text,
    add check ((monthly_cost_micros is null) = (currency is null));

-- What is paid at once; one row a purchase, with its transaction of the kind 'purchase' (available to spent).
alter table ledger_transactions drop constraint ledger_transactions_kind_check,
    add constraint ledger_transactions_kind_check
        check (kind in ('hold', 'settle', 'release', 'top_up', 'purchase', 'correction'));
create table ledger_purchases (
    reference text collate "C" primary key, organization_id text collate "C" not null references organizations,
    workspace_id text collate "C" not null, ledger text not null check (ledger in ('live', 'test')),
    amount_micros bigint not null check (amount_micros >= 0), currency text not null,
    created_at timestamptz not null default bolti_now());
create index ledger_purchases_of_organization on ledger_purchases (organization_id, ledger);
