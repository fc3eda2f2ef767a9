-- How a simulated call is carried: real sound at real time, or words alone in virtual time (docs/decisions/0009).
alter table conversations add column line text not null default 'audio' check (line in ('audio', 'text'));
alter table conversations add constraint conversations_only_simulated_by_text check (line = 'audio' or simulated);
