-- Purpose: API keys: which namespace and agent a key stands for, and what it may do.
-- Lock cost: none (new objects).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Directory: a key leads to its namespace before any context exists. No content, no policy; the app role
-- has no privilege on it and goes through the functions below. A namespace takes its keys with it.
create table api_keys (
  id uuid primary key,
  namespace bigint not null references namespace_names (namespace) on delete cascade,
  agent text not null check (length(agent) between 1 and 128),
  label text not null check (length(label) <= 128),
  -- Words with spaces between them, as in RFC 6749 section 3.3; null tools: every tool.
  scopes text not null,
  tools text,
  admin_tools boolean not null default false,
  requests_per_minute integer check (requests_per_minute > 0),
  -- SHA-256 or HMAC-SHA256 of the whole key; gone once it is revoked, so that nothing brings it back.
  secret_hash bytea check (length(secret_hash) = 32),
  -- The secret before the last rotation: two are valid at most, for seven days at most.
  previous_hash bytea check (length(previous_hash) = 32),
  previous_until timestamptz check (previous_until <= rotated_at + interval '7 days'),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  rotated_at timestamptz,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  check ((secret_hash is null) = (revoked_at is not null)),
  check ((previous_hash is null) = (previous_until is null))
);
create index api_keys_namespace on api_keys (namespace, id);
revoke all on api_keys from public;

-- What a key stands for: one exact id in, one row out, none when it is revoked or has expired. The clock
-- is the database's, so processes need not agree on the time.
create function api_key_find(wanted uuid)
returns table (namespace bigint, namespace_name text, agent text, scopes text, tools text,
  admin_tools boolean, requests_per_minute integer, secret_hash bytea, previous_hash bytea)
language sql stable security definer set search_path = pg_catalog
as $$
  select k.namespace, n.name, k.agent, k.scopes, k.tools, k.admin_tools, k.requests_per_minute,
    k.secret_hash, case when k.previous_until > clock_timestamp() then k.previous_hash end
  from mindglue.api_keys k join mindglue.namespace_names n on n.namespace = k.namespace
  where k.id = wanted and k.revoked_at is null
    and (k.expires_at is null or k.expires_at > clock_timestamp())
$$;

-- The four below act in the namespace of an administrator's context and nowhere else.

-- How many keys of the namespace are in force; asked before one is added.
create function api_key_count() returns integer
language sql stable security definer set search_path = pg_catalog
as $$
  select count(*)::integer from mindglue.api_keys k
  where k.namespace = mindglue.context_namespace() and mindglue.context_sees_all()
    and k.revoked_at is null and (k.expires_at is null or k.expires_at > clock_timestamp())
$$;

create function api_key_issue(new_id uuid, for_agent text, new_label text, new_scopes text,
  new_tools text, with_admin_tools boolean, new_requests_per_minute integer, new_hash bytea,
  until timestamptz)
returns timestamptz
language sql volatile security definer set search_path = pg_catalog
as $$
  insert into mindglue.api_keys (id, namespace, agent, label, scopes, tools, admin_tools,
    requests_per_minute, secret_hash, expires_at, created_by)
  select new_id, mindglue.context_namespace(), for_agent, new_label, new_scopes, new_tools,
    with_admin_tools, new_requests_per_minute, new_hash, until, mindglue.context_agent()
  where mindglue.context_namespace() is not null and mindglue.context_sees_all()
  returning created_at
$$;

-- A bounded page, newest first, without what is secret.
create function api_key_list(before uuid, most integer)
returns table (id uuid, agent text, label text, scopes text, tools text, admin_tools boolean,
  requests_per_minute integer, previous_until timestamptz, created_at timestamptz, created_by text,
  rotated_at timestamptz, expires_at timestamptz, last_used_at timestamptz, revoked_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select k.id, k.agent, k.label, k.scopes, k.tools, k.admin_tools, k.requests_per_minute,
    case when k.previous_until > clock_timestamp() then k.previous_until end, k.created_at,
    k.created_by, k.rotated_at, k.expires_at, k.last_used_at, k.revoked_at
  from mindglue.api_keys k
  where k.namespace = mindglue.context_namespace() and mindglue.context_sees_all()
    and (before is null or k.id < before)
  order by k.id desc limit least(most, 500)
$$;

-- The newest secret becomes the previous one, an older one dies at once. No row when there is no such
-- key in force in the namespace.
create function api_key_rotate(wanted uuid, new_hash bytea, grace_seconds integer)
returns table (rotated_at timestamptz, previous_until timestamptz, expires_at timestamptz)
language sql volatile security definer set search_path = pg_catalog
as $$
  update mindglue.api_keys k set secret_hash = new_hash, rotated_at = statement_timestamp(),
    previous_hash = case when grace_seconds > 0 then k.secret_hash end,
    previous_until = case when grace_seconds > 0
      then statement_timestamp() + make_interval(secs => grace_seconds) end
  where k.id = wanted and k.namespace = mindglue.context_namespace() and mindglue.context_sees_all()
    and k.revoked_at is null and (k.expires_at is null or k.expires_at > clock_timestamp())
  returning k.rotated_at, k.previous_until, k.expires_at
$$;

-- Null when the namespace has no such key; revoking twice changes nothing.
create function api_key_revoke(wanted uuid) returns timestamptz
language sql volatile security definer set search_path = pg_catalog
as $$
  update mindglue.api_keys k set secret_hash = null, previous_hash = null, previous_until = null,
    revoked_at = coalesce(k.revoked_at, statement_timestamp())
  where k.id = wanted and k.namespace = mindglue.context_namespace() and mindglue.context_sees_all()
  returning k.revoked_at
$$;

-- Notes when keys were last used, a page of exact ids at a time; in order, so that two processes never
-- wait for each other in a circle. Never back, and never later than now.
create function api_key_used(ids uuid[], seconds_ago double precision[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare used record;
begin
  if cardinality(ids) > 1000 then
    raise exception 'at most 1000 keys at a time' using errcode = '22023';
  end if;
  for used in
    select u.id, clock_timestamp() - make_interval(secs => greatest(u.ago, 0)) as at
    from unnest(ids, seconds_ago) as u (id, ago) order by u.id
  loop
    update mindglue.api_keys k set last_used_at = used.at
    where k.id = used.id and (k.last_used_at is null or k.last_used_at < used.at);
  end loop;
end
$$;

revoke all on function api_key_find(uuid), api_key_count(),
  api_key_issue(uuid, text, text, text, text, boolean, integer, bytea, timestamptz),
  api_key_list(uuid, integer), api_key_rotate(uuid, bytea, integer), api_key_revoke(uuid),
  api_key_used(uuid[], double precision[])
  from public;
grant execute on function api_key_find(uuid), api_key_count(),
  api_key_issue(uuid, text, text, text, text, boolean, integer, bytea, timestamptz),
  api_key_list(uuid, integer), api_key_rotate(uuid, bytea, integer), api_key_revoke(uuid),
  api_key_used(uuid[], double precision[])
  to mindglue_app;

reset role;
