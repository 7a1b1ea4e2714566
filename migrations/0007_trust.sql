-- Purpose: who stored a memory (agent, client, request), and quarantine: what an untrusted channel brought,
--   or what reads like an instruction to a model, is invisible until an administrator approves it.
-- Lock cost: ACCESS EXCLUSIVE on memories for an instant (columns with a constant default, a policy, a
--   trigger); then SHARE while the partial index is built by one scan: writes wait, reads go on.

set role mindglue_owner;
set local search_path = mindglue, public;

-- Name and version that the client gave of itself (text of its own making: encrypted like content), and a
-- blind index of the name, to find what one client stored. Null: it gave none, or it came before this.
alter table memories add column source_client bytea;
alter table memories alter column source_client set statistics 0;
alter table memories add column source_client_key bytea;
-- The agent and the request (UUIDv7: it holds the time) that stored this version here. Owner and
-- recorded_at of an imported memory are what its line says; these are what happened.
alter table memories add column source_agent text;
alter table memories add column source_request uuid;

-- Reasons as bits (src/memory/trust.ts): 1 channel, 2 instruction, 4 tool, 8 memory, 16 hidden,
-- 32 encoded, 64 delimiter. 0: not quarantined.
alter table memories add column quarantine integer not null default 0 check (quarantine >= 0);
create index memories_quarantined on memories (namespace, id, version) where quarantine <> 0;

-- Only a transaction that declares it reaches quarantined memories; the flag is part of the signature.
create function context_sees_quarantined() returns boolean
language sql stable security definer set search_path = pg_catalog
as $$ select coalesce((mindglue.verified_context())[3] like '%q%', false) $$;
revoke all on function context_sees_quarantined() from public;
grant execute on function context_sees_quarantined() to mindglue_app;

-- Restrictive, so it narrows whatever the permissive policies let through. The subselect is evaluated
-- only when a quarantined row is met.
create policy not_quarantined on memories as restrictive for select
  using (quarantine = 0 or (select context_sees_quarantined()));

-- Trust is raised and quarantine lifted by an administrator alone, whatever statement tries.
create function keep_trust() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if (new.trust > old.trust or (old.quarantine & ~new.quarantine) <> 0)
     and not mindglue.context_sees_all() then
    raise exception 'raising trust needs an administrator' using errcode = '42501';
  end if;
  return new;
end
$$;
revoke all on function keep_trust() from public;
create trigger keep_trust before update of trust, quarantine on memories
  for each row execute function keep_trust();

-- Without statistics of the new column the planner takes nearly every memory for quarantined.
{{#postgres}}
analyze memories (quarantine);
{{/postgres}}
{{#embedded}}
select pg_restore_attribute_stats('schemaname', 'mindglue'::text, 'relname', 'memories'::text,
  'attname', 'quarantine'::text, 'inherited', false, 'null_frac', 0::real, 'avg_width', 4::integer,
  'n_distinct', 3::real, 'most_common_vals', '{0}'::text, 'most_common_freqs', '{0.99}'::real[]);
{{/embedded}}

reset role;
