-- Purpose: vectors of namespaces whose profile is `sealed`: ciphertext under the key of their memory, which
--   no index and no operator of the database can compare. Nothing of theirs goes into `embeddings`.
-- Lock cost: none (new object).

set role mindglue_owner;
set local search_path = mindglue, public;

create table sealed_embeddings (
  namespace bigint not null,
  document integer not null,
  -- Format 0xC0, column `embedding`: docs/encryption-format.md.
  token bytea not null,
  primary key (namespace, document)
);
-- Ciphertext has no statistics worth keeping and does not compress.
alter table sealed_embeddings alter column token set statistics 0;
alter table sealed_embeddings alter column token set storage external;
alter table sealed_embeddings enable row level security;
alter table sealed_embeddings force row level security;
create policy own_namespace on sealed_embeddings
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
grant select, insert, update, delete on sealed_embeddings to mindglue_app, mindglue_job;

{{#embedded}}
-- What 0005 tells the planner of the other tables.
select pg_restore_relation_stats('schemaname', 'mindglue'::text, 'relname', t.name, 'relpages', 2000::integer,
  'reltuples', 20000::real)
from unnest(array['sealed_embeddings', 'sealed_embeddings_pkey']::text[]) as t (name);
select pg_restore_attribute_stats('schemaname', 'mindglue'::text, 'relname', 'sealed_embeddings'::text,
  'attname', a.name, 'inherited', false, 'null_frac', 0::real, 'avg_width', 8::integer,
  'n_distinct', a.n)
from (values ('namespace'::text, 20::real), ('document'::text, (-0.5)::real)) as a (name, n);
{{/embedded}}

reset role;
