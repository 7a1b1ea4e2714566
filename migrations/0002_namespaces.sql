-- Purpose: namespaces with their settings, the name directory, and the directory of due work.
-- Lock cost: none (new objects).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Directory: names lead to surrogates before any context exists. No content, no policy; the app role
-- has no privilege on it and goes through namespace_find and namespace_register.
create table namespace_names (
  name text primary key check (length(name) between 1 and 128),
  namespace bigint not null unique
);

create table namespaces (
  namespace bigint primary key,
  name text not null,
  created_at timestamptz not null default clock_timestamp(),
  revision integer not null default 1,
  profile text not null default 'off' check (profile in ('off', 'field', 'sealed')),
  plan text not null default 'free',
  embedder_model text not null,
  embedder_dimension integer not null check (embedder_dimension between 0 and 4096),
  analyzer_version integer not null,
  -- 32 random bytes; wrapped like a content key when the profile encrypts.
  index_key bytea not null,
  -- Next small document integer; processes take blocks of it (see documents.ts), so gaps are normal.
  next_document integer not null default 1 check (next_document > 0),
  -- Estimates for BM25, refreshed by a job; never updated by a store.
  document_count integer not null default 0,
  mean_length real not null default 12,
  instructions bytea
);
alter table namespaces enable row level security;
alter table namespaces force row level security;
create policy own_namespace on namespaces
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
grant select, insert, update, delete on namespaces to mindglue_app;

create function namespace_find(wanted text) returns bigint
language sql stable security definer set search_path = pg_catalog
as $$ select n.namespace from mindglue.namespace_names n where n.name = wanted $$;

-- Registers a name or returns the surrogate it already has.
create function namespace_register(wanted text, surrogate bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare found_surrogate bigint;
begin
  insert into mindglue.namespace_names (name, namespace) values (wanted, surrogate)
  on conflict (name) do nothing;
  select n.namespace into found_surrogate from mindglue.namespace_names n where n.name = wanted;
  return found_surrogate;
end
$$;

-- Removes the name of the context's own namespace, after its rows are gone.
create function namespace_unregister() returns void
language sql volatile security definer set search_path = pg_catalog
as $$ delete from mindglue.namespace_names n where n.namespace = mindglue.context_namespace() $$;

-- Directory: which namespace has work of a kind, and from when. Rows fall into buckets of time so that
-- concurrent stores meet only in the first insert of a bucket, never in an update.
create table due (
  kind text not null check (kind in ('expiry', 'embed', 'statistics')),
  bucket timestamptz not null,
  namespace bigint not null,
  primary key (kind, bucket, namespace)
);

create function due_add(work text, at timestamptz) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  insert into mindglue.due (kind, bucket, namespace)
  select work, date_bin('10 seconds', at, timestamptz '2000-01-01'), mindglue.context_namespace()
  where mindglue.context_namespace() is not null
  on conflict do nothing
$$;

-- A bounded page of namespaces with work that is due, the longest waiting first.
create function due_page(work text, until timestamptz, most integer)
returns table (namespace bigint, bucket timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select d.namespace, min(d.bucket) from mindglue.due d
  where d.kind = work and d.bucket <= until
  group by d.namespace order by min(d.bucket) limit least(most, 1000)
$$;

-- Forgets the buckets of the context's own namespace up to a time, once the work in them is done.
create function due_done(work text, until timestamptz) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  delete from mindglue.due d
  where d.kind = work and d.bucket <= until and d.namespace = mindglue.context_namespace()
$$;

revoke all on function namespace_find(text), namespace_register(text, bigint), namespace_unregister(),
  due_add(text, timestamptz), due_page(text, timestamptz, integer), due_done(text, timestamptz)
  from public;
grant execute on function namespace_find(text), namespace_register(text, bigint),
  namespace_unregister(), due_add(text, timestamptz), due_page(text, timestamptz, integer),
  due_done(text, timestamptz) to mindglue_app;

reset role;
