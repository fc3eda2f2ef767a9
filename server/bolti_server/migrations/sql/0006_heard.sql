-- What is heard on a recording: a row for each recording that has been, or has to be, listened to (calls/heard.py).
create table recording_hearings (
    conversation_id text collate "C" primary key references conversations,
    status text not null default 'pending' check (status in ('pending', 'done', 'failed')), detail text,
    -- when somebody has to listen (again), and how often it was begun since it was asked for
    next_at timestamptz, attempts integer not null default 0, asked_at timestamptz not null default bolti_now(),
    duration_ms integer, interval_ms integer, caller_peaks bytea, agent_peaks bytea, heard_at timestamptz,
    check ((status = 'pending') = (next_at is not null)),
    check (status <> 'failed' or detail is not null),
    check (status <> 'done' or (duration_ms is not null and interval_ms is not null
                                and caller_peaks is not null and agent_peaks is not null and heard_at is not null)));
create index recording_hearings_due on recording_hearings (next_at) where next_at is not null;
-- Recordings that were there before.
insert into recording_hearings (conversation_id, next_at)
select id, bolti_now() from conversations where recording_status = 'available';
