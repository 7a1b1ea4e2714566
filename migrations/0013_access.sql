-- Purpose: who changes a memory, its access and its readers is held by the database; private memories stay
--   out of the words, vectors and counts that other agents search by; agents see their own events alone.
-- Lock cost: ACCESS EXCLUSIVE on memories, memory_agents, postings, mentions and both tables of vectors until
--   the end; only private memories and what was derived from them are rewritten (a scan of each finds them).

set role mindglue_owner;
set local search_path = mindglue, public;

-- FORCE binds the owner too: without a context it would find no row to move.
alter table memories no force row level security;
alter table memory_agents no force row level security;
alter table postings no force row level security;
alter table embeddings no force row level security;
alter table sealed_embeddings no force row level security;
alter table mentions no force row level security;

-- A private memory's document number lies below zero and comes from a counter of its own: derived rows tell
-- by their key whether they are everybody's, and no gap in the numbers tells of a memory out of sight.
alter table namespaces no force row level security;
alter table namespaces add column next_private_document integer not null default 1
  check (next_private_document > 0);
update namespaces set next_private_document = next_document;
alter table namespaces force row level security;
update postings p set document = p.document # (-2147483648)::int4 from memories m
  where m.access = 'private' and p.namespace = m.namespace and p.document = m.document;
update embeddings e set document = e.document # (-2147483648)::int4 from memories m
  where m.access = 'private' and e.namespace = m.namespace and e.document = m.document;
update sealed_embeddings e set document = e.document # (-2147483648)::int4 from memories m
  where m.access = 'private' and e.namespace = m.namespace and e.document = m.document;
update mentions x set document = x.document # (-2147483648)::int4 from memories m
  where m.access = 'private' and x.namespace = m.namespace and x.document = m.document;
update memories set document = document # (-2147483648)::int4 where access = 'private';
alter table memories add constraint memories_private_document
  check ((access = 'private') = (document < 0));

-- Agents that read a private memory besides its owner, in its own row: the policy looks at one row and at
-- no other table, the list goes with the memory, and whoever does not see the memory sees no list.
alter table memories add column readers text[]
  constraint memories_readers check (readers is null
    or (access = 'private' and cardinality(readers) between 1 and 64 and array_position(readers, null) is null));
alter table memories alter column readers set statistics 0;
update memories m set readers = (
    select array_agg(a.agent order by a.agent) from memory_agents a
    where a.namespace = m.namespace and a.id = m.id)
  where m.access = 'private';

alter policy visible on memories using (
  namespace = (select context_namespace())
  and (
    access <> 'private'
    or owner_agent = (select context_agent())
    or (select context_agent()) = any (readers)
    or (select context_sees_all())
  )
);
drop table memory_agents;

alter table memories force row level security;
alter table postings force row level security;
alter table embeddings force row level security;
alter table sealed_embeddings force row level security;
alter table mentions force row level security;

-- Nobody stores in another's name. A later version keeps its owner, which the trigger below checks.
create policy own_name on memories as restrictive for insert with check (
  owner_agent = (select context_agent()) or version > 1 or (select context_sees_all()));

-- A policy sees the old row or the new one; who may go from one to the other is a trigger's to say. It runs
-- with the caller's rights, so its own read is under the caller's policies.
create function keep_access() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if mindglue.context_sees_all() then
    return new;
  end if;
  if tg_op = 'INSERT' then
    if not exists (
      select from mindglue.memories m
      where m.namespace = new.namespace and m.id = new.id and m.owner_agent = new.owner_agent
        and m.access = new.access and m.readers is not distinct from new.readers
    ) then
      raise exception 'a version keeps the owner and the access of its memory' using errcode = '42501';
    end if;
  elsif new.id <> old.id or new.owner_agent <> old.owner_agent then
    raise exception 'a memory keeps its id and its owner' using errcode = '42501';
  elsif old.owner_agent is distinct from mindglue.context_agent() then
    raise exception 'access is the owner''s to change' using errcode = '42501';
  end if;
  return new;
end
$$;
revoke all on function keep_access() from public;
create trigger keep_access_of_version before insert on memories
  for each row when (new.version > 1) execute function keep_access();
create trigger keep_access before update on memories
  for each row when (new.access <> old.access or new.readers is distinct from old.readers
    or new.owner_agent <> old.owner_agent or new.id <> old.id)
  execute function keep_access();

-- Words and vectors of a private memory are its readers' alone: others neither count nor rank by them.
alter policy own_namespace on postings
  using (
    namespace = (select context_namespace())
    and (
      document >= 0
      or (select context_sees_all())
      or exists (
        select from memories m
        where m.namespace = (select context_namespace()) and m.document = postings.document
          and m.document < 0)
    )
  )
  with check (
    namespace = (select context_namespace())
    and (
      document >= 0
      or (select context_sees_all())
      or exists (
        select from memories m
        where m.namespace = (select context_namespace()) and m.document = postings.document
          and m.document < 0)
    )
  );
alter policy own_namespace on embeddings
  using (
    namespace = (select context_namespace())
    and (
      document >= 0
      or (select context_sees_all())
      or exists (
        select from memories m
        where m.namespace = (select context_namespace()) and m.document = embeddings.document
          and m.document < 0)
    )
  )
  with check (
    namespace = (select context_namespace())
    and (
      document >= 0
      or (select context_sees_all())
      or exists (
        select from memories m
        where m.namespace = (select context_namespace()) and m.document = embeddings.document
          and m.document < 0)
    )
  );
alter policy own_namespace on sealed_embeddings
  using (
    namespace = (select context_namespace())
    and (
      document >= 0
      or (select context_sees_all())
      or exists (
        select from memories m
        where m.namespace = (select context_namespace()) and m.document = sealed_embeddings.document
          and m.document < 0)
    )
  )
  with check (
    namespace = (select context_namespace())
    and (
      document >= 0
      or (select context_sees_all())
      or exists (
        select from memories m
        where m.namespace = (select context_namespace()) and m.document = sealed_embeddings.document
          and m.document < 0)
    )
  );

-- Ids and times of what other agents did would tell of their private memories.
alter policy own_namespace on idempotency_keys
  using (namespace = (select context_namespace())
    and (agent = (select context_agent()) or (select context_sees_all())))
  with check (namespace = (select context_namespace())
    and (agent = (select context_agent()) or (select context_sees_all())));
alter policy own_namespace on confirmations
  using (namespace = (select context_namespace())
    and (agent = (select context_agent()) or (select context_sees_all())))
  with check (namespace = (select context_namespace())
    and (agent = (select context_agent()) or (select context_sees_all())));
alter policy own_namespace on audit_events
  using (namespace = (select context_namespace())
    and (agent = (select context_agent()) or (select context_sees_all())))
  with check (namespace = (select context_namespace()));

reset role;
