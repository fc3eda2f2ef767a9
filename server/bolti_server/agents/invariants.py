"""What must hold for agents and tools: statements that must return no row."""

from __future__ import annotations

INVARIANTS: dict[str, str] = {
    "the current version of every agent exists": """
        select a.id from agents a
        left join agent_versions v on v.agent_id = a.id and v.version = a.version
        where v.agent_id is null""",
    "an agent's versions are 1 to its current version without a gap": """
        select a.id from agents a join agent_versions v on v.agent_id = a.id
        group by a.id, a.version
        having min(v.version) <> 1 or max(v.version) <> a.version or count(*) <> a.version""",
    "a version is in its agent's workspace": """
        select v.agent_id, v.version from agent_versions v join agents a on a.id = v.agent_id
        where v.workspace_id <> a.workspace_id""",
    "name and active flag of an agent are those of its current version": """
        select a.id from agents a
        join agent_versions v on v.agent_id = a.id and v.version = a.version
        where v.configuration ->> 'name' <> a.name
           or (v.configuration ->> 'is_active')::boolean <> a.is_active""",
    "a current version of a living agent uses tools of its own workspace": """
        select a.id, tool_id from agents a
        join agent_versions v on v.agent_id = a.id and v.version = a.version
        cross join jsonb_array_elements_text(v.configuration -> 'tool_ids') as tool_id
        left join tools t on t.id = tool_id and t.workspace_id = a.workspace_id
        where a.deleted_at is null and t.id is null""",
    "no tool shadows a built-in tool": """
        select id from tools
        where name in ('cut_call', 'transfer_call', 'schedule_callback', 'send_dtmf')""",
    "a tool keeps a secret exactly if its authorization needs one": """
        select id from tools
        where (secret_encrypted is null) <> (configuration ->> 'authorization_kind' = 'none')""",
}
