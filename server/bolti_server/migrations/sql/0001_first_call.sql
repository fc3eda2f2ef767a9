-- Conventions: ids are TypeIDs, text collate "C"; money is bigint micro-units; instants are timestamptz by bolti_now().
-- Every non-terminal status has deadline_at; due work is a partial index on the column that says when.

-- One clock for leases and deadlines, shared by all processes; only tests set the offset.
create table bolti_clock (only_row boolean primary key default true check (only_row), clock_offset interval not null default '0');
insert into bolti_clock default values;
create function bolti_now() returns timestamptz language sql stable as
    $$ select clock_timestamp() + clock_offset from bolti_clock $$;

-- workspaces ---------------------------------------------------------------------------------------------------------
create table organizations (
    id text collate "C" primary key, name text not null, country text not null default 'IN', created_at timestamptz not null default bolti_now());
create table workspaces (
    id text collate "C" primary key, organization_id text collate "C" not null references organizations,
    name text not null, max_concurrent_calls integer not null default 50 check (max_concurrent_calls > 0),
    created_at timestamptz not null default bolti_now());
create table api_keys (
    id text collate "C" primary key, workspace_id text collate "C" not null references workspaces,
    name text not null, token_hash bytea not null unique, token_hint text not null, scopes text[] not null,
    created_at timestamptz not null default bolti_now(), expires_at timestamptz, revoked_at timestamptz, last_used_at timestamptz);
create index api_keys_of_workspace on api_keys (workspace_id, id);

-- web: idempotency ---------------------------------------------------------------------------------------------------
create table idempotency_records (
    workspace_id text collate "C" not null, operation_id text not null, idempotency_key text not null,
    fingerprint bytea not null, status integer, body bytea, headers jsonb not null default '{}',
    created_at timestamptz not null default bolti_now(), expires_at timestamptz not null,
    primary key (workspace_id, operation_id, idempotency_key));
create index idempotency_records_expiry on idempotency_records (expires_at);

-- events -------------------------------------------------------------------------------------------------------------
create table event_counters (workspace_id text collate "C" primary key, last_position bigint not null);
create table event_subjects (subject_id text collate "C" primary key, last_sequence bigint not null);
create table events (
    id text collate "C" primary key, workspace_id text collate "C" not null, position bigint not null, type text not null,
    subject_id text collate "C" not null, sequence bigint not null, simulated boolean not null, data jsonb not null,
    created_at timestamptz not null, fanned_out_at timestamptz,
    unique (workspace_id, position), unique (subject_id, sequence));
create index events_to_fan_out on events (workspace_id, position) where fanned_out_at is null;

-- webhooks -----------------------------------------------------------------------------------------------------------
create table webhook_endpoints (
    id text collate "C" primary key, workspace_id text collate "C" not null references workspaces, url text not null,
    description text not null default '', status text not null default 'enabled' check (status in ('enabled', 'disabled')),
    disabled_reason text, secret_encrypted bytea not null, has_legacy_headers boolean not null default false,
    -- {event type: position of the log after which it is subscribed}
    subscriptions jsonb not null, failing_since timestamptz,
    created_at timestamptz not null default bolti_now(), deleted_at timestamptz);
create index webhook_endpoints_of_workspace on webhook_endpoints (workspace_id, id) where deleted_at is null;
create table webhook_deliveries (
    id text collate "C" primary key, workspace_id text collate "C" not null, webhook_endpoint_id text collate "C" not null references webhook_endpoints,
    event_id text collate "C" not null, event_type text not null, subject_id text collate "C" not null, sequence bigint not null,
    status text not null default 'pending' check (status in ('pending', 'delivered', 'dead')),
    -- tries that ended, and tries begun (one more while a try is out); a replay starts the waits anew after its base
    attempts jsonb not null default '[]', attempt_count integer not null default 0, replay_base integer not null default 0,
    next_at timestamptz, created_at timestamptz not null default bolti_now(), delivered_at timestamptz,
    unique (webhook_endpoint_id, event_id));
create index webhook_deliveries_due on webhook_deliveries (next_at) where next_at is not null;
create index webhook_deliveries_of_endpoint on webhook_deliveries (webhook_endpoint_id, id);
-- First tries go out in sequence order: who waits for whom.
create index webhook_deliveries_untried on webhook_deliveries (webhook_endpoint_id, subject_id, sequence)
    where status = 'pending' and attempts = '[]';

-- billing: double entry; a transaction's entries sum to zero -----------------------------------------------------------
-- The rules of billing/pricing.py, for the statements that must price and move money at once (a test holds them together).
create function price_micros(price_per_minute_micros bigint, increment_seconds integer, minimum_seconds integer, seconds integer)
    returns bigint language sql immutable as $$
    select case when seconds <= 0 then 0 else (price_per_minute_micros * greatest(
        minimum_seconds, (seconds::bigint + increment_seconds - 1) / increment_seconds * increment_seconds) + 59) / 60 end $$;
create function seconds_covered(price_per_minute_micros bigint, increment_seconds integer, minimum_seconds integer, amount_micros bigint)
    returns integer language sql immutable as $$
    select case when price_per_minute_micros = 0 then 2147483647
        when amount_micros * 60 / price_per_minute_micros < minimum_seconds then 0
        else least(amount_micros * 60 / price_per_minute_micros / increment_seconds * increment_seconds, 2147483647)::integer end $$;
create table ledger_accounts (
    id text collate "C" primary key, organization_id text collate "C" not null references organizations,
    ledger text not null check (ledger in ('live', 'test')), kind text not null check (kind in ('available', 'held', 'spent', 'funding')),
    currency text not null default 'INR', balance_micros bigint not null default 0,
    unique (organization_id, ledger, kind), check (kind not in ('available', 'held') or balance_micros >= 0));
create table ledger_transactions (
    id text collate "C" primary key, organization_id text collate "C" not null, workspace_id text collate "C",
    ledger text not null, kind text not null check (kind in ('hold', 'settle', 'release', 'top_up', 'correction')),
    reference text not null, description text not null default '', created_at timestamptz not null default bolti_now(),
    unique (reference, kind));
create index ledger_transactions_of_organization on ledger_transactions (organization_id, ledger, id);
create table ledger_entries (
    transaction_id text collate "C" not null references ledger_transactions, account_id text collate "C" not null references ledger_accounts,
    amount_micros bigint not null, primary key (transaction_id, account_id));
create index ledger_entries_of_account on ledger_entries (account_id);
create table rate_cards (
    organization_id text collate "C" primary key references organizations, currency text not null default 'INR',
    price_per_minute_micros bigint not null default 6000000 check (price_per_minute_micros >= 0),
    increment_seconds integer not null default 1 check (increment_seconds > 0), minimum_seconds integer not null default 0 check (minimum_seconds >= 0));
-- One row a hold: amount held, and how it was resolved.
create table ledger_holds (
    reference text collate "C" primary key, organization_id text collate "C" not null, workspace_id text collate "C" not null,
    ledger text not null, amount_micros bigint not null check (amount_micros >= 0), price_per_minute_micros bigint not null,
    increment_seconds integer not null, minimum_seconds integer not null, currency text not null,
    wanted_seconds integer not null, covered_seconds integer not null, billed_seconds integer,
    resolution text check (resolution in ('settled', 'released')), settled_micros bigint,
    created_at timestamptz not null default bolti_now(), resolved_at timestamptz,
    check ((resolution is null) = (resolved_at is null)),
    check (coalesce(resolution = 'settled', false) = (billed_seconds is not null and settled_micros is not null)),
    check (settled_micros between 0 and amount_micros));
create index ledger_holds_open on ledger_holds (organization_id, ledger) where resolution is null;

-- agents -------------------------------------------------------------------------------------------------------------
create table agents (
    id text collate "C" primary key, workspace_id text collate "C" not null references workspaces, name text not null,
    is_active boolean not null default true, version integer not null default 1,
    created_at timestamptz not null default bolti_now(), updated_at timestamptz not null default bolti_now(), deleted_at timestamptz);
create index agents_of_workspace on agents (workspace_id, id) where deleted_at is null;
-- The frozen configuration (every save makes one); `configuration` is contract.structs.AgentConfiguration.
create table agent_versions (
    agent_id text collate "C" not null references agents, version integer not null, workspace_id text collate "C" not null,
    configuration jsonb not null, required_variables text[] not null default '{}', created_at timestamptz not null default bolti_now(),
    primary key (agent_id, version));
create table tools (
    id text collate "C" primary key, workspace_id text collate "C" not null references workspaces, name text not null,
    configuration jsonb not null, secret_encrypted bytea, version integer not null default 1,
    created_at timestamptz not null default bolti_now(), updated_at timestamptz not null default bolti_now(), deleted_at timestamptz);
create unique index tools_name on tools (workspace_id, name) where deleted_at is null;

-- numbers ------------------------------------------------------------------------------------------------------------
create table trunks (
    id text collate "C" primary key, workspace_id text collate "C" not null references workspaces, name text not null,
    kind text not null check (kind in ('simulated', 'byot')), can_inbound boolean not null, can_outbound boolean not null,
    created_at timestamptz not null default bolti_now());
create table numbers (
    id text collate "C" primary key, workspace_id text collate "C" not null references workspaces, trunk_id text collate "C" not null references trunks,
    phone_number text collate "C" not null, country text not null, created_at timestamptz not null default bolti_now(), released_at timestamptz);
create unique index numbers_phone_number on numbers (workspace_id, phone_number) where released_at is null;
create table agent_phone_numbers (
    id text collate "C" primary key, workspace_id text collate "C" not null references workspaces, agent_id text collate "C" not null references agents,
    number_id text collate "C" not null references numbers, direction text not null check (direction in ('inbound', 'outbound', 'both')),
    created_at timestamptz not null default bolti_now(), unassigned_at timestamptz);
-- A number answers as exactly one agent at a time.
create unique index agent_phone_numbers_one_agent on agent_phone_numbers (number_id) where unassigned_at is null;
create index agent_phone_numbers_of_agent on agent_phone_numbers (agent_id) where unassigned_at is null;

-- calls --------------------------------------------------------------------------------------------------------------
create table conversations (
    id text collate "C" primary key, workspace_id text collate "C" not null references workspaces, organization_id text collate "C" not null,
    agent_id text collate "C" not null, agent_version integer not null, agent_phone_number_id text collate "C",
    direction text not null check (direction in ('outbound', 'inbound', 'web')),
    status text not null, simulated boolean not null, from_number text, to_number text,
    variable_values jsonb not null default '{}', scenario text, idempotency_key text,
    allows_concurrent_to_callee boolean not null default false, queues_when_limited boolean not null default false, queue_timeout_seconds integer,
    max_duration_seconds integer not null, is_cap_shortened boolean not null default false, ring_timeout_seconds integer not null,
    -- dispatch: lease and fence
    epoch integer not null default 0, worker_id text, dispatched_at timestamptz, dispatch_count integer not null default 0,
    ready_at timestamptz, dial_nonce text, heartbeat_at timestamptz, line_lost_at timestamptz,
    last_report integer not null default 0, last_command integer not null default 0,
    -- life
    scheduled_call_id text, scheduled_at timestamptz, created_at timestamptz not null default bolti_now(), queued_at timestamptz,
    dialed_at timestamptz, ringing_at timestamptz, answered_at timestamptz, ended_at timestamptz,
    deadline_at timestamptz, next_at timestamptz,
    duration_seconds integer, hangup_code text, hangup_by text, hangup_fault text, hangup_retryable boolean, hangup_detail text,
    sip_status integer, provider_code text,
    recording_status text not null default 'none' check (recording_status in ('none', 'pending', 'available', 'failed')),
    recording_detail text, recording_path text, recording_bytes bigint,
    analysis_status text not null default 'none' check (analysis_status in ('none', 'pending', 'available', 'failed')),
    usage jsonb not null default '[]', cost_micros bigint, cost_currency text,
    check ((ended_at is null) = (hangup_code is null)),
    check (ended_at is not null or deadline_at is not null));
create index conversations_of_workspace on conversations (workspace_id, id);
create index conversations_due on conversations (deadline_at) where ended_at is null;
create index conversations_next on conversations (next_at) where next_at is not null;
create index conversations_claimable on conversations (id) where status = 'queued' and ready_at is null and next_at is null;
-- Two live calls to one callee never overlap in a workspace unless the request allowed it.
create unique index conversations_one_per_callee on conversations (workspace_id, to_number)
    where ended_at is null and status <> 'scheduled' and direction = 'outbound' and not allows_concurrent_to_callee;
create index conversations_live on conversations (workspace_id) where ended_at is null and status <> 'scheduled';
create table conversation_turns (
    conversation_id text collate "C" not null references conversations, turn_index integer not null, role text not null,
    body jsonb not null, created_at timestamptz not null default bolti_now(), primary key (conversation_id, turn_index));
-- Every report as it came, also the late and the repeated (recorded, then applied or called old news).
create table line_events (
    id bigint generated always as identity primary key, conversation_id text collate "C" not null references conversations,
    epoch integer not null, report_number integer not null, type text not null, body jsonb not null,
    verdict text not null, created_at timestamptz not null default bolti_now(),
    unique (conversation_id, epoch, report_number));
create table conversation_commands (
    conversation_id text collate "C" not null references conversations, number integer not null, type text not null, body jsonb not null default '{}',
    created_at timestamptz not null default bolti_now(), primary key (conversation_id, number));
create table tool_calls (
    id text collate "C" primary key, conversation_id text collate "C" not null references conversations, epoch integer not null, name text not null,
    arguments jsonb not null, result jsonb, status text not null, duration_ms integer, created_at timestamptz not null default bolti_now());
create table recording_parts (
    conversation_id text collate "C" not null references conversations, epoch integer not null, path text not null, bytes bigint not null,
    started_at timestamptz, created_at timestamptz not null default bolti_now(), primary key (conversation_id, epoch));
create table workers (
    id text collate "C" primary key, name text not null, capacity integer not null, seen_at timestamptz not null default bolti_now(), started_at timestamptz not null default bolti_now());
