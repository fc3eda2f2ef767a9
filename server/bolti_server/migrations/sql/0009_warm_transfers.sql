-- Transfer targets that were saved before a transfer could be warm: they are cold.
update agent_versions
set configuration = jsonb_set(configuration, '{transfer_targets}', (
    select coalesce(jsonb_agg('{"mode": "cold"}'::jsonb || target order by place), '[]'::jsonb)
    from jsonb_array_elements(configuration -> 'transfer_targets') with ordinality as t (target, place)))
where configuration -> 'transfer_targets' <> '[]'::jsonb;

-- Since when the callee talks with whom a warm transfer brought in, and no agent of ours has anything to say.
alter table conversations add column handed_over_at timestamptz;
