-- Purpose: a namespace of many vectors gets a partition of its own with an approximate index (HNSW).
--   `embeddings` stays the whole truth. A partition is a copy of one namespace's vectors that triggers keep
--   in step in the writing transaction, as an index would be, so it may be dropped at any time and nothing
--   is ever moved (docs/decisions). No index spans namespaces, and private memories, whose documents are
--   negative, stay out of it: they would leave a trace in what other agents are answered.
-- Lock cost: SHARE ROW EXCLUSIVE on embeddings for three triggers: waits for open writers, reads nothing and
--   moves no row. Embedded engine: statistics alone; it has no approximate index.

set role mindglue_owner;
-- A vector can be turned back into words: none of them may stay in pg_statistic.
alter table mindglue.embeddings alter column embedding set statistics 0;
-- The housekeeping job notes what another job has to look at.
grant execute on function mindglue.due_add(text, timestamptz) to mindglue_job;

{{#postgres}}
set local search_path = mindglue, public;

-- Which namespaces have a partition, and since when it may be searched. Written by vector_partition_build;
-- `filling`: writers keep the copy in step, it may lack older rows; `ready`: it holds every vector.
create table vector_partitions (
  namespace bigint primary key,
  dimension integer not null check (dimension between 1 and 4000),
  state text not null default 'filling' check (state in ('filling', 'ready'))
);
alter table vector_partitions enable row level security;
alter table vector_partitions force row level security;
create policy own_namespace on vector_partitions
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
grant select, update (state), delete on vector_partitions to mindglue_job;
-- A change of the embedder gives the partition up.
grant select, delete on vector_partitions to mindglue_app;

-- No default partition: attaching one would have to read it under an exclusive lock.
create table partitioned_embeddings (
  namespace bigint not null,
  document integer not null check (document >= 0),
  embedding {{vector}} not null,
  primary key (namespace, document)
) partition by list (namespace);
alter table partitioned_embeddings alter column embedding set storage plain;
alter table partitioned_embeddings enable row level security;
alter table partitioned_embeddings force row level security;
create policy own_namespace on partitioned_embeddings
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
grant select, insert, update, delete on partitioned_embeddings to mindglue_app, mindglue_job;

-- Keeps the copy in step, with the rights and under the policies of whoever writes. Each statement names
-- one namespace and is planned for it, or it would lock the partitions of all. The insert asks again
-- whether there is a partition, after it locked the parent: a drop holds that lock until its commit.
create function mirror_embeddings() returns trigger
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
      insert into mindglue.partitioned_embeddings (namespace, document, embedding)
      select n.namespace, n.document, n.embedding from changed_rows n
      where n.namespace = own and n.document >= 0
        and exists (select from mindglue.vector_partitions v where v.namespace = own)
      on conflict (namespace, document) do update set embedding = excluded.embedding;
    end loop;
  end if;
  return null;
end
$$;
create trigger mirror_insert after insert on embeddings
  referencing new table as changed_rows for each statement execute function mirror_embeddings();
create trigger mirror_update after update on embeddings
  referencing new table as changed_rows for each statement execute function mirror_embeddings();
create trigger mirror_delete after delete on embeddings
  referencing old table as changed_rows for each statement execute function mirror_embeddings();

-- Makes the partition of the context's own namespace: a table filled and indexed apart, then attached, all
-- in the caller's transaction, so a failure leaves nothing behind. Returns the vectors copied, or null
-- when another process is building, when there is a partition (left over ones are dropped first), or when
-- the namespace or the database has no room for one. Locks nothing that others use until the attach: SHARE
-- UPDATE EXCLUSIVE on the parent, which stops no query, and the namespace's row FOR SHARE. m = 32, ef_construction = 128: docs/decisions.
create function vector_partition_build() returns integer
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
    'from mindglue.embeddings e where e.namespace = %s and e.document >= 0 order by e.document', part, own);
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

-- Drops the partition of the context's own namespace; true when there was one. Takes ACCESS EXCLUSIVE on the
-- parent, for which it waits at most half a second: searches of namespaces that have a partition wait
-- behind it. A drop that did not get it is tried again by the next run.
create function vector_partition_drop() returns boolean
language plpgsql volatile security definer set search_path = pg_catalog set lock_timeout = '500ms'
as $$
declare
  own constant bigint := mindglue.context_namespace();
  part constant text := 'partitioned_embeddings_' || own;
begin
  if not mindglue.context_is_job() then
    return false;
  end if;
  delete from mindglue.vector_partitions v where v.namespace = own;
  if to_regclass('mindglue.' || part) is null then
    return false;
  end if;
  execute format('drop table mindglue.%I', part);
  return true;
end
$$;

revoke all on function mirror_embeddings(), vector_partition_build(), vector_partition_drop() from public;
grant execute on function vector_partition_build(), vector_partition_drop() to mindglue_job;
{{/postgres}}

reset role;
