-- Purpose: an administrator lets another namespace read some memories of its own: which grant is in force,
--   and what it shows, is decided by the policies, statement by statement.
-- Lock cost: ACCESS EXCLUSIVE for an instant on memories, memory_keys, postings, mentions and both tables of
--   vectors (policies alone; no row is read or written), and on namespaces and namespace_keys.

set role mindglue_owner;
set local search_path = mindglue, public;

create table grants (
  -- Whose memories are shown, and to whom. A grantee that does not exist is a number that nobody has.
  namespace bigint not null references namespaces (namespace),
  id uuid not null,
  grantee bigint not null check (grantee <> namespace),
  -- As the administrator wrote them; each side knows its own name and is told the other.
  namespace_name text not null,
  grantee_name text not null,
  -- Words with spaces between them; null: every type.
  types text check (types ~ '^[a-z]+( [a-z]+)*$'),
  -- `public` memories alone, or `shared` ones as well; there is no way to write `private`.
  includes_shared boolean not null default false,
  -- Keyed hash of the one tag or entity that a memory must have; null: no such filter.
  mark bigint,
  -- That tag or entity in words, encrypted, for the administrator's list.
  mark_label bytea check ((mark is null) = (mark_label is null)),
  -- Subtracted from the score of what is found through it.
  penalty real not null default 0.15 check (penalty between 0 and 1),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  primary key (namespace, id)
);
create index grants_held on grants (grantee, namespace, created_at) where revoked_at is null;
alter table grants alter column mark_label set statistics 0;
alter table grants enable row level security;
alter table grants force row level security;

-- A context is one of two: of an agent in its own namespace, as before (four parts), or of a reader under a
-- grant: home|agent|g|expires|reader|grant. The second has no namespace and no agent of its own, so every
-- policy that asks for those shows and writes nothing.
create or replace function verified_context() returns text[]
language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  context text := nullif(current_setting('mindglue.context', true), '');
  body text;
  pads mindglue.context_keys;
  parts text[];
begin
  if context is null then
    return null; -- no context: every policy compares with null, so there are no rows
  end if;
  body := left(context, -65);
  select * into pads from mindglue.context_keys;
  if encode(sha256(pads.outer_pad || sha256(pads.inner_pad || convert_to(body, 'UTF8'))), 'hex')
     is distinct from right(context, 64) then
    raise exception 'namespace context is not valid' using errcode = 'MG001';
  end if;
  parts := string_to_array(body, '|');
  if parts[4]::bigint < extract(epoch from clock_timestamp()) then
    raise exception 'namespace context has expired' using errcode = 'MG001';
  end if;
  if cardinality(parts) = 4 then
    return array[parts[1], convert_from(decode(parts[2], 'hex'), 'UTF8'), parts[3]];
  elsif cardinality(parts) = 6 and parts[3] = 'g' then
    return array[null, null, 'g', parts[1], parts[5], parts[6]];
  end if;
  raise exception 'namespace context is not valid' using errcode = 'MG001';
end
$$;

-- True in a context of an agent in its own namespace.
create function context_is_own() returns boolean
language plpgsql stable security definer set search_path = pg_catalog
as $$ begin return (mindglue.verified_context())[1] is not null; end $$;

-- Who is asking, in either kind of context.
create function context_reader() returns bigint
language plpgsql stable security definer set search_path = pg_catalog
as $$
declare context constant text[] := mindglue.verified_context();
begin return coalesce(context[1], context[5])::bigint; end
$$;

-- The grant that the context names, while it is in force; asked again by every statement.
create function live_grant() returns grants
language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  context constant text[] := mindglue.verified_context();
  found_grant mindglue.grants;
begin
  if context[3] = 'g' then
    select g.* into found_grant from mindglue.grants g
    where g.namespace = context[4]::bigint and g.id = context[6]::uuid
      and g.grantee = context[5]::bigint and g.revoked_at is null
      and (g.expires_at is null or g.expires_at > clock_timestamp());
  end if;
  return found_grant;
end
$$;

-- The namespace whose grant the context is under; null in a context of an agent's own.
create function context_granted_home() returns bigint
language plpgsql stable security definer set search_path = pg_catalog
as $$ begin return (mindglue.live_grant()).namespace; end $$;

-- The namespace whose memories may be read: the agent's own, or the home of a grant in force.
create function context_reads() returns bigint
language plpgsql stable security definer set search_path = pg_catalog
as $$
declare context constant text[] := mindglue.verified_context();
begin
  if context[3] = 'g' then
    return (mindglue.live_grant()).namespace;
  end if;
  return context[1]::bigint;
end
$$;

-- What the grant shows, as `access type`; null without a grant in force. A type that is new since this
-- was written is shown by no grant.
create function context_granted_kinds() returns text[]
language plpgsql stable security definer set search_path = pg_catalog
as $$
declare held constant mindglue.grants := mindglue.live_grant();
begin
  if held.id is null then
    return null;
  end if;
  return array(
    select a.access || ' ' || t.type
    from unnest(case when held.includes_shared then array['public', 'shared'] else array['public'] end)
      as a (access)
    cross join unnest(string_to_array(coalesce(held.types,
      'fact preference event procedure decision task reference note'), ' ')) as t (type));
end
$$;

-- The tag or entity that a memory must have, as its lists hold it; empty: any; null without a grant in force,
-- so that one which ends between two looks of a statement shows nothing rather than everything.
create function context_granted_mark() returns bytea
language plpgsql stable security definer set search_path = pg_catalog
as $$
declare held constant mindglue.grants := mindglue.live_grant();
begin
  return case when held.id is not null then coalesce(int8send(held.mark), '') end;
end
$$;

-- Whether a packed list of eight bytes each holds an item; true for the empty item.
create function holds_mark(list bytea, mark bytea) returns boolean
language sql immutable set search_path = pg_catalog
as $$
  select mark = '' or exists (
    select from generate_series(0, length(list) / 8 - 1) as i (item)
    where substr(list, i.item * 8 + 1, 8) = mark)
$$;

revoke all on function live_grant(), context_is_own(), context_reader(), context_granted_home(),
  context_reads(), context_granted_kinds(), context_granted_mark(), holds_mark(bytea, bytea) from public;
grant execute on function context_is_own(), context_reader(), context_granted_home(), context_reads(),
  context_granted_kinds(), context_granted_mark(), holds_mark(bytea, bytea) to mindglue_app, mindglue_job;

-- The administrator of the home sees the grants it gave; a namespace sees those it holds.
create policy seen on grants for select using (
  (namespace = (select context_namespace()) and (select context_sees_all()))
  or grantee = (select context_reader()));
create policy given on grants for insert with check (
  namespace = (select context_namespace()) and (select context_sees_all())
  and created_by = (select context_agent()) and revoked_at is null);
-- Either side ends it, for good: what has ended is changed by nobody.
create policy ended on grants for update
  using (revoked_at is null and (select context_sees_all())
    and (namespace = (select context_namespace()) or grantee = (select context_namespace())))
  with check (revoked_at is not null and (select context_sees_all())
    and (namespace = (select context_namespace()) or grantee = (select context_namespace())));
create policy erased on grants for delete using (
  (select context_sees_all())
  and (namespace = (select context_namespace()) or grantee = (select context_namespace())));
grant select, insert, update (revoked_at) on grants to mindglue_app;
grant select, delete on grants to mindglue_job;

-- How the home's memories are read: its settings and salt. Changing them is as before.
create policy granted on namespaces for select
  using (namespace = (select context_granted_home()));
create policy granted on namespace_keys for select
  using (namespace = (select context_granted_home()));

-- Memories. In a context of an agent's own the second policy is one flag a statement.
alter policy visible on memories using (
  namespace = (select context_reads())
  and (
    access <> 'private'
    or owner_agent = (select context_agent())
    or (select context_agent()) = any (readers)
    or (select context_sees_all())
  )
);
create policy granted on memories as restrictive for select using (
  (select context_is_own())
  or (
    is_current and valid_to is null and quarantine = 0
    and (expires_at is null or expires_at > statement_timestamp())
    and access || ' ' || type = any ((select context_granted_kinds())::text[])
    and holds_mark(tag_terms || entities, (select context_granted_mark()))
  )
);

-- What is derived from a memory is seen under a grant where the memory is: nothing counts what it hides.
alter policy own_namespace on memory_keys using (
  namespace = (select context_reads())
  and (
    (select context_is_own())
    or exists (
      select from memories m
      where m.namespace = (select context_reads()) and m.id = memory_keys.id
        and m.version = memory_keys.version)
  )
);
alter policy own_namespace on mentions using (
  namespace = (select context_reads())
  and (
    (select context_is_own())
    or exists (
      select from memories m
      where m.namespace = (select context_reads()) and m.document = mentions.document)
  )
);
alter policy own_namespace on postings using (
  namespace = (select context_reads())
  and (
    (document >= 0 and (select context_is_own()))
    or (select context_sees_all())
    or exists (
      select from memories m
      where m.namespace = (select context_reads()) and m.document = postings.document)
  )
);
alter policy own_namespace on embeddings using (
  namespace = (select context_reads())
  and (
    (document >= 0 and (select context_is_own()))
    or (select context_sees_all())
    or exists (
      select from memories m
      where m.namespace = (select context_reads()) and m.document = embeddings.document)
  )
);
alter policy own_namespace on sealed_embeddings using (
  namespace = (select context_reads())
  and (
    (document >= 0 and (select context_is_own()))
    or (select context_sees_all())
    or exists (
      select from memories m
      where m.namespace = (select context_reads()) and m.document = sealed_embeddings.document)
  )
);

-- A grant reads: rows that a policy above shows are neither changed nor deleted under it.
do $$
declare target text;
begin
  foreach target in array array['memories', 'memory_keys', 'mentions', 'postings', 'embeddings',
    'sealed_embeddings']
  loop
    execute format('create policy own_update on mindglue.%I as restrictive for update '
      'using ((select mindglue.context_is_own()))', target);
    execute format('create policy own_delete on mindglue.%I as restrictive for delete '
      'using ((select mindglue.context_is_own()))', target);
  end loop;
end
$$;

reset role;
