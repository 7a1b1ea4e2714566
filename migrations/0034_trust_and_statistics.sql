-- Purpose: an agent's statement stores nothing as the person's word and changes no words in place; no vector and
--   no name stays in the planner's statistics.
-- Lock cost: ACCESS EXCLUSIVE until the end on memories (a policy, a trigger: nothing is read) and on the tables
--   of names (no rewrite). Postgres: on partitioned_embeddings as well, whose partitions are dropped; the job
--   builds them anew within minutes, and until then those namespaces are searched exactly.

set role mindglue_owner;
set local search_path = mindglue, public;

-- The command line alone is believed as the person is, and brings imports; it is always an administrator's.
-- A later version keeps the trust and the owner of its memory, which triggers check. Who stored it is how a
-- rollback finds it: nobody stores under another's name, an administrator included.
create policy own_word on memories as restrictive for insert with check (
  source_agent = (select context_agent())
  and (trust <= 2 and source_kind <> 'user' and source_kind <> 'import'
    or version > 1 or (select context_sees_all())));

-- Trust as in 0007. Words and where they come from are changed by a new version, which keeps the old one: in
-- place by an administrator alone, who encrypts them or takes out what the door would not let in.
create or replace function keep_trust() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if mindglue.context_sees_all() then
    return new;
  end if;
  if new.trust > old.trust or (old.quarantine & ~new.quarantine) <> 0 then
    raise exception 'raising trust needs an administrator' using errcode = '42501';
  end if;
  -- Without a context no policy shows a row: whoever gets here mends the database by hand.
  if mindglue.context_namespace() is not null and (
    new.content is distinct from old.content or new.raw_content is distinct from old.raw_content
    or new.source_kind is distinct from old.source_kind
    or new.source_agent is distinct from old.source_agent
    or new.source_request is distinct from old.source_request) then
    raise exception 'a version keeps its words and its source' using errcode = '42501';
  end if;
  return new;
end
$$;
drop trigger keep_trust on memories;
create trigger keep_trust
  before update of trust, quarantine, content, raw_content, source_kind, source_agent, source_request on memories
  for each row execute function keep_trust();

-- As in 0024, and a version is the person's word, or an import's, only where one before it is.
create or replace function keep_access() returns trigger
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
    if new.trust is distinct from (
      select m.trust from mindglue.memories m
      where m.namespace = new.namespace and m.id = new.id and m.version < new.version
      order by m.version desc limit 1
    ) then
      raise exception 'a version keeps the trust of its memory' using errcode = '42501';
    end if;
    if new.source_kind = any (array['user', 'import']) and not exists (
      select from mindglue.memories m
      where m.namespace = new.namespace and m.id = new.id and m.source_kind = new.source_kind
    ) then
      raise exception 'an agent does not speak for a person' using errcode = '42501';
    end if;
  elsif new.id <> old.id or new.owner_agent <> old.owner_agent then
    raise exception 'a memory keeps its id and its owner' using errcode = '42501';
  elsif old.owner_agent is distinct from mindglue.context_agent() then
    raise exception 'access is the owner''s to change' using errcode = '42501';
  end if;
  return new;
end
$$;

-- What is forgotten must not stay in pg_statistic, which no policy guards and only the next ANALYZE replaces.
-- Without a target a column gets no statistics; a change of type, here to the same one, drops what is there.
alter table context_keys alter column inner_pad type bytea, alter column inner_pad set statistics 0,
  alter column outer_pad type bytea, alter column outer_pad set statistics 0;
alter table namespaces alter column name type text, alter column name set statistics 0;
alter table namespace_names alter column name type text, alter column name set statistics 0;
alter table grants alter column namespace_name type text, alter column namespace_name set statistics 0,
  alter column grantee_name type text, alter column grantee_name set statistics 0;
alter table accounts alter column email type text, alter column email set statistics 0,
  alter column password_hash type text, alter column password_hash set statistics 0;
alter table account_mails alter column email type text, alter column email set statistics 0;
alter table account_invitations alter column email type text, alter column email set statistics 0;
alter table api_keys alter column label type text, alter column label set statistics 0;
alter table oauth_clients alter column metadata type text, alter column metadata set statistics 0;
alter table oauth_artifacts alter column payload type bytea, alter column payload set statistics 0;

{{#postgres}}
-- ANALYZE of a partitioned table gathers what its partitions hold, and an index on an expression has statistics
-- of its own: both held vectors. Those of an index go with it alone, so the partitions are built anew.
alter table vector_partitions no force row level security;
insert into due (kind, bucket, namespace)
  select 'statistics', date_bin('10 seconds', clock_timestamp(), timestamptz '2000-01-01'), namespace
  from vector_partitions on conflict do nothing;
delete from vector_partitions;
alter table vector_partitions force row level security;
do $$
declare
  part text;
begin
  for part in select i.inhrelid::regclass::text from pg_inherits i
    where i.inhparent = 'mindglue.partitioned_embeddings'::regclass loop
    execute 'drop table ' || part;
  end loop;
end
$$;
alter table partitioned_embeddings alter column embedding type {{vector}},
  alter column embedding set statistics 0;

-- As in 0024, and its index keeps no statistics.
create or replace function vector_partition_build() returns integer
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
  own constant bigint := mindglue.context_namespace();
  part constant text := 'partitioned_embeddings_' || own;
  graph constant text := part || '_graph';
  partitions_max constant integer := 4096;
  vectors constant text := (select quote_ident(n.nspname) from pg_extension e
    join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector');
  dimensions integer;
  copied integer;
  needed bigint;
begin
  -- One at a time in this database: a build may take all of the server's maintenance memory.
  if not mindglue.context_is_job()
    or not pg_try_advisory_xact_lock(hashtextextended('mindglue vector partition', 0)) then
    return null;
  end if;
  select n.embedder_dimension into dimensions from mindglue.namespaces n where n.namespace = own;
  if dimensions is null or dimensions not between 1 and 4000
    or to_regclass('mindglue.' || part) is not null
    or (select count(*) from pg_inherits i
      where i.inhparent = 'mindglue.partitioned_embeddings'::regclass) >= partitions_max then
    return null;
  end if;
  execute format(
    'create table mindglue.%I (like mindglue.partitioned_embeddings including storage including constraints, '
    'check (namespace = %s))', part, own);
  execute format('alter table mindglue.%I enable row level security, force row level security', part);
  execute format('create policy own_namespace on mindglue.%I '
    'using (namespace = (select mindglue.context_namespace())) '
    'with check (namespace = (select mindglue.context_namespace()))', part);
  execute format('alter table mindglue.%I alter column embedding set statistics 0', part);
  execute format('revoke all on mindglue.%I from public, mindglue_app, mindglue_job', part);
  execute format('insert into mindglue.%I select e.namespace, e.document, e.embedding '
    'from mindglue.embeddings e where e.namespace = %s and e.document >= 0 and e.is_current order by e.document', part, own);
  get diagnostics copied = row_count;
  execute format('alter table mindglue.%I add primary key (namespace, document)', part);
  -- Bytes of the graph in memory: a build that outgrows maintenance_work_mem goes on ten times slower.
  needed := least(copied::bigint * (dimensions * 2 + 32 * 2 * 16 + 512), 2147483648) / 1024;
  if needed > pg_size_bytes(current_setting('maintenance_work_mem')) / 1024 then
    perform set_config('maintenance_work_mem', needed || 'kB', true);
  end if;
  begin
    execute format('create index %I on mindglue.%I using hnsw ((embedding::%s.halfvec(%s)) '
      '%s.halfvec_ip_ops) with (m = 32, ef_construction = 128)', graph, part, vectors, dimensions, vectors);
  exception when disk_full or out_of_memory then
    -- Workers share memory in /dev/shm, which containers keep small: build alone, in memory of our own.
    perform set_config('max_parallel_maintenance_workers', '0', true);
    execute format('create index %I on mindglue.%I using hnsw ((embedding::%s.halfvec(%s)) '
      '%s.halfvec_ip_ops) with (m = 32, ef_construction = 128)', graph, part, vectors, dimensions, vectors);
  end;
  execute format('alter index mindglue.%I alter column 1 set statistics 0', graph);
  execute format('analyze mindglue.%I', part);
  -- Held for the few milliseconds until the commit: a change of the embedder comes before or after all this.
  if dimensions is distinct from (select n.embedder_dimension from (
    select i.embedder_dimension from mindglue.namespaces i where i.namespace = own for share) n) then
    raise exception 'the embedder was changed meanwhile' using errcode = 'serialization_failure';
  end if;
  execute format('alter table mindglue.partitioned_embeddings attach partition mindglue.%I '
    'for values in (%s)', part, own);
  insert into mindglue.vector_partitions (namespace, dimension) values (own, dimensions);
  return copied;
end
$$;
{{/postgres}}

reset role;
