-- A scenario that came with the request, in YAML (simulated/scenarios). Only simulated calls have one, and then no other
-- callee. The verdict on it is not stored: it follows from the record (docs/decisions/0007).

alter table conversations
    add column script text
        constraint conversations_script_only_simulated check (script is null or (simulated and scenario is null)),
    add constraint conversations_script_is_small check (char_length(script) between 1 and 16384);
