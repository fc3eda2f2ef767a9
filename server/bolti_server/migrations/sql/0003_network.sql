-- Agents that were saved before they could be told what to do with a mailbox, with silence, and where to transfer.
update agent_versions set configuration =
    '{"voicemail": {"behaviour": "hang_up", "message": null}, "is_answering_machine_detection_enabled": true,
      "silence_prompt": {"times": 2, "text": null}, "transfer_targets": []}'::jsonb || configuration;

-- Who does not want to be called by this workspace. `conversation_id`: the call in which they said so, if it was one.
create table do_not_call_entries (
    id text collate "C" primary key, workspace_id text collate "C" not null references workspaces,
    phone_number text not null, source text not null check (source in ('voice', 'api')),
    conversation_id text collate "C", created_at timestamptz not null default bolti_now(),
    unique (workspace_id, phone_number));
create index do_not_call_entries_of_workspace on do_not_call_entries (workspace_id, id);
