-- Purpose: the wrapped keys of encrypted namespaces, of each memory version and of each entity's name; the
--   checks by which a process knows that it holds the right root keys; the listing that key upkeep walks.
-- Lock cost: new tables; three columns without default on entities (catalogue only, no rewrite).

set role mindglue_owner;
set local search_path = mindglue, public;

-- One row a namespace whose profile encrypts. The salt is worthless without root key and epoch secret.
create table namespace_keys (
  namespace bigint primary key references namespaces (namespace),
  salt bytea not null check (length(salt) = 32),
  -- Root key and epoch that wrap namespaces.index_key.
  key_id integer not null,
  epoch integer not null,
  -- Set while what was stored before encryption is being encrypted: only documents below it may be plain.
  plain_below integer
);

-- The content key of one memory version, wrapped. Rotation and shredding change these rows, never content.
create table memory_keys (
  namespace bigint not null,
  id uuid not null,
  version integer not null,
  key_id integer not null,
  epoch integer not null,
  token bytea not null,
  primary key (namespace, id, version)
);
alter table memory_keys alter column token set statistics 0;

-- An entity's name outlives single memories, so it has a key of its own, which goes with the row.
alter table entities add column key_id integer;
alter table entities add column epoch integer;
alter table entities add column key_token bytea;
alter table entities alter column key_token set statistics 0;

alter table namespace_keys enable row level security;
alter table namespace_keys force row level security;
create policy own_namespace on namespace_keys
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
alter table memory_keys enable row level security;
alter table memory_keys force row level security;
create policy own_namespace on memory_keys
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
grant select, insert, update, delete on namespace_keys, memory_keys to mindglue_app;

-- Directory: root keys that something was written with, each with a token that only the key opens.
create table root_keys (
  key_id integer primary key,
  key_check bytea not null
);

create function root_keys_known() returns table (key_id integer, key_check bytea)
language sql stable security definer set search_path = pg_catalog
as $$ select k.key_id, k.key_check from mindglue.root_keys k order by k.key_id $$;

-- Never replaces a check: what a key has written stays bound to that key.
create function root_key_add(id integer, check_token bytea) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  insert into mindglue.root_keys (key_id, key_check) values (id, check_token)
  on conflict (key_id) do nothing
$$;

create function root_key_remove(id integer) returns void
language sql volatile security definer set search_path = pg_catalog
as $$ delete from mindglue.root_keys k where k.key_id = id $$;

-- A bounded page of surrogates, ascending: for upkeep that goes through every namespace, each with a
-- context of its own. No names.
create function namespace_page(after bigint, most integer) returns table (namespace bigint)
language sql stable security definer set search_path = pg_catalog
as $$
  select n.namespace from mindglue.namespace_names n
  where n.namespace > after order by n.namespace limit least(most, 1000)
$$;

revoke all on function root_keys_known(), root_key_add(integer, bytea), root_key_remove(integer),
  namespace_page(bigint, integer) from public;
grant execute on function root_keys_known(), root_key_add(integer, bytea), root_key_remove(integer),
  namespace_page(bigint, integer) to mindglue_app;

{{#embedded}}
-- What 0005 tells the planner of the other tables.
select pg_restore_relation_stats('schemaname', 'mindglue'::text, 'relname', t.name, 'relpages', 2000::integer,
  'reltuples', 20000::real)
from unnest(array['memory_keys', 'memory_keys_pkey']::text[]) as t (name);
select pg_restore_attribute_stats('schemaname', 'mindglue'::text, 'relname', 'memory_keys'::text,
  'attname', a.name, 'inherited', false, 'null_frac', 0::real, 'avg_width', 8::integer,
  'n_distinct', a.n)
from (values ('namespace'::text, 20::real), ('id'::text, (-0.5)::real)) as a (name, n);
{{/embedded}}

reset role;
