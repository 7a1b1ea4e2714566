-- Purpose: how much a namespace holds, as its plan bounds it: estimates that a job refreshes.
-- Lock cost: a moment's exclusive lock on namespaces; constant defaults, so no row is rewritten.

set role mindglue_owner;
set local search_path = mindglue, public;

-- Never updated by a store, or stores of a namespace would wait for each other on its row.
alter table namespaces
  add column memory_count bigint not null default 0,
  add column byte_count bigint not null default 0,
  add column counted_at timestamptz not null default '1970-01-01 00:00:00Z';
grant update (memory_count, byte_count, counted_at) on namespaces to mindglue_job;

reset role;
