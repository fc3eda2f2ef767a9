"""What must hold for conversations: statements that must return no row."""

from __future__ import annotations

INVARIANTS: dict[str, str] = {
    "a status is one of the lifecycle's": """
        select id, status from conversations where status not in (
            'scheduled', 'queued', 'dialing', 'ringing', 'in_progress',
            'completed', 'no_answer', 'busy', 'rejected', 'failed', 'cancelled')""",
    "an ended conversation has a terminal status, and no other has one": """
        select id, status, ended_at from conversations
        where (ended_at is not null)
           <> (status in ('completed', 'no_answer', 'busy', 'rejected', 'failed', 'cancelled'))""",
    "an end says why, by whom, by whose fault, and how long the call was": """
        select id from conversations
        where (ended_at is null) <> (hangup_code is null) or (ended_at is null) <> (hangup_by is null)
           or (ended_at is null) <> (hangup_fault is null) or (ended_at is null) <> (hangup_retryable is null)
           or (ended_at is null) <> (duration_seconds is null)""",
    "a duration is the time from the answer to the end, but on a text line": """
        select id, duration_seconds from conversations
        where ended_at is not null and line <> 'text'
          and duration_seconds <> coalesce(ceil(extract(epoch from ended_at - answered_at)), 0)""",
    "only simulated calls are carried by text, and a text call has no sound": """
        select id from conversations
        where line = 'text' and (not simulated or recording_status <> 'none' or recording_path is not null)""",
    "what is not over has a deadline, and what is over has none": """
        select id, status, deadline_at from conversations where (ended_at is null) <> (deadline_at is not null)""",
    "instants are in the order of the lifecycle": """
        select id from conversations
        where queued_at < created_at or dialed_at < greatest(created_at, queued_at) or ringing_at < dialed_at
           or answered_at < greatest(created_at, dialed_at, ringing_at)
           or ended_at < greatest(created_at, queued_at, dialed_at, ringing_at, answered_at)""",
    "a status has been reached by its instants": """
        select id, status from conversations
        where status = 'scheduled' and (queued_at is not null or dialed_at is not null or scheduled_at is null)
           or status = 'queued' and (queued_at is null or dialed_at is not null)
           or status = 'dialing' and (dialed_at is null or ringing_at is not null or answered_at is not null)
           or status = 'ringing' and (ringing_at is null or answered_at is not null)
           or status in ('in_progress', 'completed') and answered_at is null
           or status in ('no_answer', 'busy', 'cancelled') and answered_at is not null""",
    "nobody rings or answers whom no intent dialed": """
        select id from conversations
        where direction = 'outbound' and (dialed_at is null) <> (dial_nonce is null)
           or direction = 'outbound' and dialed_at is null and (ringing_at is not null or answered_at is not null)""",
    "at most one intent was committed": """
        select subject_id, count(*) from events where type = 'conversation.started'
        group by subject_id having count(*) > 1""",
    "a dialed conversation has said so, and no other has but where its dial could not be sent": """
        select c.id, c.dialed_at, e.id from conversations c
        left join events e on e.subject_id = c.id and e.type = 'conversation.started'
        where c.dialed_at is not null and e.id is null
           or c.dialed_at is null and e.id is not null and c.unsent_detail is null""",
    "an ended conversation has said so once, and no other has": """
        select c.id, c.status, count(e.id) from conversations c
        left join events e on e.subject_id = c.id and e.type = 'conversation.ended'
        group by c.id having count(e.id) <> (c.ended_at is not null)::integer""",
    "a completed conversation has said so once, and no other has": """
        select c.id, c.status, count(e.id) from conversations c
        left join events e on e.subject_id = c.id and e.type = 'conversation.completed'
        group by c.id having count(e.id) <> (c.status = 'completed')::integer""",
    "the status of an ended conversation is the one that its event told": """
        select c.id, c.status, e.data from conversations c
        join events e on e.subject_id = c.id and e.type = 'conversation.ended'
        where e.data #>> '{object,status}' <> c.status or e.data #>> '{object,hangup,code}' <> c.hangup_code""",
    "the sequence of a subject is 1 to n": """
        select subject_id from events group by subject_id
        having min(sequence) <> 1 or max(sequence) <> count(*)""",
    "reports of an epoch are 1 to n": """
        select conversation_id, epoch from line_events group by conversation_id, epoch
        having min(report_number) <> 1 or max(report_number) <> count(*)""",
    "what is counted as reported was recorded": """
        select c.id, c.epoch, c.last_report from conversations c
        where c.last_report <> (select count(*) from line_events l
                                where l.conversation_id = c.id and l.epoch = c.epoch)""",
    "commands of a conversation are 1 to its last": """
        select c.id from conversations c left join conversation_commands k on k.conversation_id = c.id
        group by c.id having count(k.number) <> c.last_command or coalesce(max(k.number), 0) <> c.last_command""",
    "nobody speaks before the answer": """
        select c.id from conversation_turns t join conversations c on c.id = t.conversation_id
        where c.answered_at is null""",
    "a recording that is available lies somewhere, and no other does": """
        select id, recording_status, recording_path from conversations
        where (recording_status = 'available') <> (recording_path is not null and recording_bytes is not null)""",
    "a recording that failed says why": """
        select id from conversations where recording_status = 'failed' and recording_detail is null""",
    "a recording that is awaited has a deadline": """
        select id from conversations
        where recording_status = 'pending' and (ended_at is null or next_at is null)""",
    "a recording that is available has said so once, and no other has": """
        select c.id, c.recording_status, count(e.id) from conversations c
        left join events e on e.subject_id = c.id and e.type = 'conversation.recording_ready'
        group by c.id having count(e.id) <> (c.recording_status = 'available')::integer""",
    "a recording that is there was listened to, or will be": """
        select c.id from conversations c left join recording_hearings h on h.conversation_id = c.id
        where c.recording_status = 'available' and h.conversation_id is null""",
    "parts that have to be joined will be": """
        select c.id from conversations c left join recording_hearings h on h.conversation_id = c.id
        where c.recording_status = 'pending' and h.status is distinct from 'pending'
          and exists (select from recording_parts p where p.conversation_id = c.id)""",
    "a call that fails by our fault costs nothing": """
        select id, hangup_code, cost_micros from conversations
        where hangup_fault in ('platform', 'model_provider') and cost_micros > 0""",
    "two live calls to one callee overlap only where the request allowed it": """
        select workspace_id, to_number from conversations
        where ended_at is null and status <> 'scheduled' and direction = 'outbound'
          and not allows_concurrent_to_callee
        group by workspace_id, to_number having count(*) > 1""",
    "agent, version and conversation are in one workspace": """
        select c.id from conversations c
        left join agent_versions v on v.agent_id = c.agent_id and v.version = c.agent_version
        where c.agent_id is not null and v.workspace_id is distinct from c.workspace_id""",
    "who called in and was let in has money for it, and who was refused never had": """
        select c.id, c.status, c.epoch from conversations c
        left join ledger_holds h on h.reference = c.id
        where c.direction = 'inbound' and (c.epoch > 0) <> (h.reference is not null)""",
    "a call that came in has a trunk and the name of its leg": """
        select id from conversations where direction = 'inbound' and (trunk_id is null or sip_call_id is null)""",
    "a call that is carried by a room has one, and no other has": """
        select id, line, room_name from conversations where (line in ('room', 'browser')) <> (room_name is not null)""",
    "no two living calls are in one room": """
        select room_name from conversations where room_name is not null and ended_at is null
        group by room_name having count(*) > 1""",
    "only a living call in a room waits for an agent that takes it over": """
        select id, status from conversations
        where rescue_due_at is not null
          and (ended_at is not null or line not in ('room', 'browser') or rescue_count = 0
               or status not in ('dialing', 'ringing', 'in_progress'))""",
    "an agent is replaced twice at most, and each has an epoch of its own": """
        select id, rescue_count, epoch from conversations
        where rescue_count > 2 or rescue_count >= epoch and rescue_count > 0""",
    "the room of a living call is not closed by us": """
        select id from conversations where room_closed_at is not null and ended_at is null""",
    "a browser's call is free: nothing was ever held for it": """
        select c.id from conversations c join ledger_holds h on h.reference = c.id where c.direction = 'web'""",
}
