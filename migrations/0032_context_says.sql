-- Purpose: functions that took what the context says already, and a column nothing reads, go.
-- Lock cost: ACCESS EXCLUSIVE on api_keys for an instant (catalogue only).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Makes an account the administrator of the context's namespace, which was made for it alone, as its agent.
drop function account_own(uuid, bigint, text);
create function account_own(for_account uuid) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  insert into mindglue.account_members (namespace, account, agent, role, added_by)
  select mindglue.context_namespace(), for_account, mindglue.context_agent(), 'admin', mindglue.context_agent()
  where mindglue.context_sees_all()
  on conflict do nothing
$$;

drop function api_key_issue(uuid, text, text, text, text, boolean, integer, bytea, timestamptz);
create function api_key_issue(new_id uuid, for_agent text, new_label text, new_scopes text, new_tools text,
  new_requests_per_minute integer, new_hash bytea, until timestamptz)
returns timestamptz
language sql volatile security definer set search_path = pg_catalog
as $$
  insert into mindglue.api_keys (id, namespace, agent, label, scopes, tools, requests_per_minute,
    secret_hash, expires_at, created_by)
  select new_id, mindglue.context_namespace(), for_agent, new_label, new_scopes, new_tools,
    new_requests_per_minute, new_hash, until, mindglue.context_agent()
  where mindglue.context_sees_all()
  returning created_at
$$;

drop function api_key_find(uuid);
create function api_key_find(wanted uuid)
returns table (namespace bigint, namespace_name text, agent text, scopes text, tools text,
  requests_per_minute integer, secret_hash bytea, previous_hash bytea)
language sql stable security definer set search_path = pg_catalog
as $$
  select k.namespace, n.name, k.agent, k.scopes, k.tools, k.requests_per_minute,
    k.secret_hash, case when k.previous_until > clock_timestamp() then k.previous_hash end
  from mindglue.api_keys k join mindglue.namespace_names n on n.namespace = k.namespace
  where k.id = wanted and k.revoked_at is null
    and (k.expires_at is null or k.expires_at > clock_timestamp())
$$;

drop function api_key_list(uuid, integer);
create function api_key_list(before uuid, most integer)
returns table (id uuid, agent text, label text, scopes text, tools text, requests_per_minute integer,
  previous_until timestamptz, created_at timestamptz, created_by text, rotated_at timestamptz,
  expires_at timestamptz, last_used_at timestamptz, revoked_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select k.id, k.agent, k.label, k.scopes, k.tools, k.requests_per_minute,
    case when k.previous_until > clock_timestamp() then k.previous_until end, k.created_at,
    k.created_by, k.rotated_at, k.expires_at, k.last_used_at, k.revoked_at
  from mindglue.api_keys k
  where k.namespace = mindglue.context_namespace() and mindglue.context_sees_all()
    and (before is null or k.id < before)
  order by k.id desc limit least(most, 500)
$$;

alter table api_keys drop column admin_tools;

revoke all on function account_own(uuid), api_key_find(uuid), api_key_list(uuid, integer),
  api_key_issue(uuid, text, text, text, text, integer, bytea, timestamptz)
  from public;
grant execute on function account_own(uuid), api_key_find(uuid), api_key_list(uuid, integer),
  api_key_issue(uuid, text, text, text, text, integer, bytea, timestamptz)
  to mindglue_app;

reset role;
