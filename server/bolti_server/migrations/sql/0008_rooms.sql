-- Calls through LiveKit rooms: trunks of the workspace's own, calls that come in, agents that replace each other.

-- A trunk of the workspace's own (kind 'byot'): where it dials, how it proves itself, from where it may be called.
-- Passwords are sealed (base/crypto.py) and never read back by the API.
alter table trunks
    add column host text, -- of outbound calls: a name or address, with :port where it is not the transport's own
    add column transport text check (transport in ('udp', 'tcp', 'tls')),
    add column outbound_username text, add column outbound_password_sealed bytea,
    add column inbound_username text, add column inbound_password_sealed bytea,
    add column allowed_addresses text[] not null default '{}', -- that may call in: addresses or networks in CIDR form
    add column codecs text[] not null default '{}',
    add column deleted_at timestamptz,
    -- What the media server has of it, and when it has to be told (again).
    add column media_trunk_id text, add column media_rule_id text,
    add column sync_due_at timestamptz, add column sync_attempts integer not null default 0, add column sync_detail text,
    add column inbound_status text not null default 'none' check (inbound_status in ('none', 'pending', 'ready', 'failed')),
    -- Its ETag: what somebody saved, and how often the answer has changed since without that (inbound_status).
    add column version integer not null default 1, add column answer_changes integer not null default 0,
    add column updated_at timestamptz not null default bolti_now(),
    add constraint trunks_byot_dials_somewhere check (kind <> 'byot' or not can_outbound or (host is not null and transport is not null)),
    -- An inbound trunk that asks for nothing would accept anyone.
    add constraint trunks_inbound_is_guarded check (kind <> 'byot' or not can_inbound or deleted_at is not null
        or cardinality(allowed_addresses) > 0 or (inbound_username is not null and inbound_password_sealed is not null));
create index trunks_sync_due on trunks (sync_due_at) where sync_due_at is not null;
create index trunks_of_workspace on trunks (workspace_id, id);
create index numbers_of_trunk on numbers (trunk_id, id) where released_at is null;

-- How a call is carried: 'audio' and 'text' in a worker (simulated network alone), 'room' in a LiveKit room with a SIP
-- participant, 'browser' in a LiveKit room with a browser.
alter table conversations drop constraint conversations_line_check,
    add constraint conversations_line_check check (line in ('audio', 'text', 'room', 'browser'));
alter table conversations drop constraint conversations_only_simulated_by_text;
alter table conversations add constraint conversations_real_ones_need_a_room check (line in ('room', 'browser') or simulated);
alter table conversations
    add column trunk_id text collate "C", -- of a call in a room: the trunk that carries it
    add column room_name text collate "C", -- the conversation's id, or what the SIP service called it
    add column sip_call_id text collate "C", -- the SIP service's name of the leg
    -- The agent-watcher (calls/rescuing.py): how many agents replaced a lost one, and until when the next has to be there.
    -- For which epoch one was sent: each look in between would send another.
    add column rescue_count integer not null default 0, add column rescue_due_at timestamptz, add column rescue_epoch integer,
    -- Since when no agent of ours hears the call (until the first heartbeat of the next).
    add column blind_since timestamptz,
    -- A queued call is not handed out before; why its dial could not be sent (then nothing was, and it was queued again).
    add column dispatch_at timestamptz, add column unsent_detail text,
    -- When somebody has to look into the room (a hint, a doubt), and that the room of an ended call is gone.
    add column room_look_at timestamptz, add column room_closed_at timestamptz,
    -- A call that comes in to a number that nobody answers is recorded too.
    alter column agent_id drop not null, alter column agent_version drop not null,
    add constraint conversations_have_an_agent check (agent_id is not null or (direction = 'inbound' and ended_at is not null));
create unique index conversations_one_per_sip_call on conversations (sip_call_id) where direction = 'inbound';
create index conversations_of_room on conversations (room_name) where room_name is not null;
create index conversations_rescue_due on conversations (rescue_due_at) where rescue_due_at is not null;
create index conversations_room_look on conversations (room_look_at) where room_look_at is not null;
create index conversations_room_open on conversations (ended_at) where room_name is not null and room_closed_at is null and ended_at is not null;

-- Public keys of browser calls are bound to the origins of the pages that use them.
alter table api_keys add column kind text not null default 'secret' check (kind in ('secret', 'public')),
    add column origins text[] not null default '{}',
    add constraint api_keys_public_ones_have_origins check ((kind = 'public') = (cardinality(origins) > 0));
create index api_keys_of_origin on api_keys using gin (origins) where kind = 'public' and revoked_at is null;
-- Whoever could place calls may start browser calls.
update api_keys set scopes = scopes || 'web_calls:write'::text where 'calls:write' = any (scopes);

-- Agents that were saved before a key could mean "no more calls": none does.
update agent_versions set configuration = '{"opt_out_key": null}'::jsonb || configuration;
alter table do_not_call_entries drop constraint do_not_call_entries_source_check,
    add constraint do_not_call_entries_source_check check (source in ('voice', 'key', 'api'));

-- What a worker that takes calls in rooms says of itself (worker_api.messages.RoomWorker): bolti-server doctor reads it.
alter table workers add column rooms jsonb;
