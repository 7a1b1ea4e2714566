-- Purpose: a memory may have versions: what is superseded or retired leaves the vectors that every question
--   searches, stays for questions about the past, and keeps the trust of its memory.
-- Lock cost: ACCESS EXCLUSIVE on embeddings and sealed_embeddings for an instant (columns with a constant
--   default); SHARE on memories while the partial index is built by one scan: writes wait, reads go on.

set role mindglue_owner;
set local search_path = mindglue, public;

-- False for the vector of a version that is superseded or retired. Its words lie in lists of their own for
-- the same reason (memory/postings.sql.ts): history takes no candidate's place and counts for no score.
alter table embeddings add column is_current boolean not null default true;
alter table sealed_embeddings add column is_current boolean not null default true;
{{#postgres}}
analyze embeddings (is_current), sealed_embeddings (is_current);
{{/postgres}}
{{#embedded}}
select pg_restore_attribute_stats('schemaname', 'mindglue'::text, 'relname', t.name, 'attname', 'is_current'::text,
  'inherited', false, 'null_frac', 0::real, 'avg_width', 1::integer, 'n_distinct', 2::real,
  'most_common_vals', '{t}'::text, 'most_common_freqs', '{0.98}'::real[])
from unnest(array['embeddings', 'sealed_embeddings']::text[]) as t (name);
{{/embedded}}

-- Browsing as of a time reads these beside memories_recent.
create index memories_superseded on memories (namespace, recorded_at desc, id desc) where not is_current;

-- A version has the trust of the one before it: whoever changes a memory makes it no more believable, and
-- what is believed less does not take its place. Else as in 0013.
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
  elsif new.id <> old.id or new.owner_agent <> old.owner_agent then
    raise exception 'a memory keeps its id and its owner' using errcode = '42501';
  elsif old.owner_agent is distinct from mindglue.context_agent() then
    raise exception 'access is the owner''s to change' using errcode = '42501';
  end if;
  return new;
end
$$;

{{#postgres}}
-- As in 0014, and what is not current has no place in the copy.
create or replace function mirror_embeddings() returns trigger
language plpgsql volatile set search_path = pg_catalog set plan_cache_mode = force_custom_plan
as $$
declare
  own bigint;
begin
  -- A build waits for those who wrote before it was there; an older snapshot would not see it afterwards.
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'vectors are written in read committed transactions alone';
  end if;
  if tg_op = 'DELETE' then
    for own in select distinct o.namespace from changed_rows o loop
      continue when not exists (select from mindglue.vector_partitions v where v.namespace = own);
      delete from mindglue.partitioned_embeddings p
      where p.namespace = own
        and p.document in (select o.document from changed_rows o where o.namespace = own);
    end loop;
  else
    for own in select distinct n.namespace from changed_rows n loop
      continue when not exists (select from mindglue.vector_partitions v where v.namespace = own);
      if exists (select from changed_rows n where n.namespace = own and not n.is_current) then
        delete from mindglue.partitioned_embeddings p
        where p.namespace = own and p.document in (
          select n.document from changed_rows n where n.namespace = own and not n.is_current);
      end if;
      insert into mindglue.partitioned_embeddings (namespace, document, embedding)
      select n.namespace, n.document, n.embedding from changed_rows n
      where n.namespace = own and n.document >= 0 and n.is_current
        and exists (select from mindglue.vector_partitions v where v.namespace = own)
      on conflict (namespace, document) do update set embedding = excluded.embedding;
    end loop;
  end if;
  return null;
end
$$;

-- As in 0014, of current vectors alone.
create or replace function vector_partition_build() returns integer
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
  own constant bigint := mindglue.context_namespace();
  part constant text := 'partitioned_embeddings_' || own;
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
    execute format('create index on mindglue.%I using hnsw ((embedding::%s.halfvec(%s)) '
      '%s.halfvec_ip_ops) with (m = 32, ef_construction = 128)', part, vectors, dimensions, vectors);
  exception when disk_full or out_of_memory then
    -- Workers share memory in /dev/shm, which containers keep small: build alone, in memory of our own.
    perform set_config('max_parallel_maintenance_workers', '0', true);
    execute format('create index on mindglue.%I using hnsw ((embedding::%s.halfvec(%s)) '
      '%s.halfvec_ip_ops) with (m = 32, ef_construction = 128)', part, vectors, dimensions, vectors);
  end;
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
