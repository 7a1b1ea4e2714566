-- Purpose: roles, schema, the vector extension, and the signed context that every policy reads.
-- Lock cost: none (new objects). Runs as an administrator; roles belong to the cluster and are made once.

do $$
begin
  if not exists (select from pg_roles where rolname = 'mindglue_owner') then
    create role mindglue_owner nologin noinherit;
  end if;
  if not exists (select from pg_roles where rolname = 'mindglue_app') then
    create role mindglue_app nologin noinherit;
  end if;
  if not exists (select from pg_roles where rolname = 'mindglue_audit') then
    create role mindglue_audit nologin noinherit;
  end if;
  if not pg_has_role(current_user, 'mindglue_owner', 'member') then
    execute format('grant mindglue_owner to %I', current_user);
  end if;
  if not pg_has_role(current_user, 'mindglue_audit', 'member') then
    execute format('grant mindglue_audit to %I', current_user);
  end if;
end
$$;
alter role mindglue_app nosuperuser nobypassrls nocreatedb nocreaterole;
{{#postgres}}
alter role mindglue_app login;
{{/postgres}}

create extension if not exists vector;

create schema if not exists mindglue;
alter schema mindglue owner to mindglue_owner;
grant usage on schema mindglue to mindglue_app, mindglue_audit;

set role mindglue_owner;
set local search_path = mindglue, public;

-- One row, written by `mindglue migrate` (Postgres) or at start (embedded) from the installation's
-- secret: never by a migration, or every installation would share it. HMAC-SHA256 pads (RFC 2104),
-- precomputed because core Postgres has sha256() and no hmac().
create table context_keys (
  singleton boolean primary key default true check (singleton),
  inner_pad bytea not null check (length(inner_pad) = 64),
  outer_pad bytea not null check (length(outer_pad) = 64)
);
revoke all on context_keys from public;

-- The verified context: {namespace, agent, flags} or null when none is set.
-- The setting reads namespace|agent as hex|flags|expiry in epoch seconds|HMAC as hex.
create function verified_context() returns text[]
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
  return array[parts[1], convert_from(decode(parts[2], 'hex'), 'UTF8'), parts[3]];
end
$$;

create function context_namespace() returns bigint
language sql stable security definer set search_path = pg_catalog
as $$ select (mindglue.verified_context())[1]::bigint $$;

create function context_agent() returns text
language sql stable security definer set search_path = pg_catalog
as $$ select (mindglue.verified_context())[2] $$;

-- An administrator, or a job acting for the namespace, sees private memories as well.
create function context_sees_all() returns boolean
language sql stable security definer set search_path = pg_catalog
as $$ select coalesce((mindglue.verified_context())[3] like '%a%', false) $$;

revoke all on function verified_context() from public;
revoke all on function context_namespace(), context_agent(), context_sees_all() from public;
grant execute on function context_namespace(), context_agent(), context_sees_all()
  to mindglue_app, mindglue_audit;

reset role;
