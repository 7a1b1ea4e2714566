-- Purpose: the role that jobs work under, a signed mark of theirs in the context, and fewer ways for an
--   injected statement: no temporary objects, a fixed search_path, no list of namespaces with due work.
-- Lock cost: none (catalogue rows; functions are replaced in place).

do $$
begin
  if not exists (select from pg_roles where rolname = 'mindglue_job') then
    create role mindglue_job nologin noinherit;
  end if;
  if not pg_has_role('mindglue_app', 'mindglue_job', 'member') then
    grant mindglue_job to mindglue_app;
  end if;
  -- A temporary table would stand before ours in a session that requests of others use later.
  execute format('revoke temporary on database %I from public', current_database());
end
$$;
alter role mindglue_job nosuperuser nobypassrls nocreatedb nocreaterole;
-- Every transaction sets it as well; this is for a session that somebody opens by hand.
alter role mindglue_app set search_path = mindglue, public, pg_temp;
grant usage on schema mindglue to mindglue_job;

set role mindglue_owner;
set local search_path = mindglue, public;

-- True in a context that the program signed for one of its jobs; no request carries the mark.
create function context_is_job() returns boolean
language sql stable security definer set search_path = pg_catalog
as $$ select coalesce((mindglue.verified_context())[3] like '%j%', false) $$;

-- Which namespaces have work: to jobs alone, whatever role a statement has put on.
create or replace function due_page(work text, until timestamptz, most integer)
returns table (namespace bigint, bucket timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select d.namespace, min(d.bucket) from mindglue.due d
  where d.kind = work and d.bucket <= until and (select mindglue.context_is_job())
  group by d.namespace order by min(d.bucket) limit least(most, 1000)
$$;

-- An injected statement could otherwise put off the expiry of its own namespace for ever.
create or replace function due_done(work text, until timestamptz) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  delete from mindglue.due d
  where d.kind = work and d.bucket <= until and d.namespace = mindglue.context_namespace()
    and mindglue.context_is_job()
$$;

revoke all on function context_is_job() from public;
revoke execute on function due_page(text, timestamptz, integer), due_done(text, timestamptz)
  from mindglue_app;
grant execute on function context_namespace(), context_agent(), context_sees_all(), context_sees_quarantined(),
  context_is_job(),
  due_page(text, timestamptz, integer), due_done(text, timestamptz) to mindglue_job;

-- A job erases, counts and makes vectors; it writes no memory and no word of one. Locking a row takes
-- the right to change one of its columns.
grant select, delete on memories, memory_keys, memory_agents, postings, entities, mentions to mindglue_job;
grant update (needs_embedding) on memories to mindglue_job;
grant update (kind) on entities to mindglue_job;
grant select, insert, update, delete on embeddings to mindglue_job;
grant select, delete on idempotency_keys, confirmations to mindglue_job;
grant select, update (document_count, mean_length) on namespaces to mindglue_job;

-- The audit role adds events and reads none.
revoke select on audit_events from mindglue_audit;

reset role;

grant execute on function
  mindglue.audit_append(uuid, text, text, text, uuid, uuid[], integer, text) to mindglue_job;
