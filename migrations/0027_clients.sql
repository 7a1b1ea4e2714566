-- Purpose: programs that people let in with OAuth: what they are, what they were allowed, and the short-lived
--   codes and tokens of each. A changed or recovered password takes back what was allowed.
-- Lock cost: none (new objects; two functions are replaced).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Directory, as accounts are: no memory content, no policy, the app role goes through the functions below.
create table oauth_clients (
  -- Made here, or the address of the document in which a client describes itself.
  id text primary key check (length(id) between 1 and 512),
  -- What it says of itself, as it is kept. Clients have no secret.
  metadata text not null check (length(metadata) <= 16384),
  read_at timestamptz not null default clock_timestamp(),
  -- When somebody let it in, or it was used, last. Null: nobody did yet.
  used_at timestamptz,
  expires_at timestamptz not null
);
create index oauth_clients_expires on oauth_clients (expires_at);
create index oauth_clients_unused on oauth_clients (read_at) where used_at is null;

create table oauth_grants (
  id uuid primary key,
  account uuid not null,
  client text not null references oauth_clients (id) on delete cascade,
  namespace bigint not null,
  scopes text not null check (length(scopes) <= 200),
  created_at timestamptz not null default clock_timestamp(),
  used_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  -- Who is no member any longer has no clients there.
  foreign key (namespace, account) references account_members (namespace, account) on delete cascade
);
create index oauth_grants_account on oauth_grants (account, client);
create index oauth_grants_namespace on oauth_grants (namespace, account);
create index oauth_grants_client on oauth_grants (client);
create index oauth_grants_expires on oauth_grants (expires_at);

-- Codes, refresh tokens and questions under way: found by the hash of their secret, the rest sealed.
create table oauth_artifacts (
  id_hash bytea primary key check (length(id_hash) = 32),
  grant_id uuid references oauth_grants (id) on delete cascade,
  payload bytea not null check (length(payload) <= 65536),
  consumed_at timestamptz,
  expires_at timestamptz not null
);
create index oauth_artifacts_grant on oauth_artifacts (grant_id);
create index oauth_artifacts_expires on oauth_artifacts (expires_at);

revoke all on oauth_clients, oauth_grants, oauth_artifacts from public;

-- A new client, or what a known one says of itself now. Of many that nobody let in the oldest leave: who
-- registers thousands takes the places of each other's, and of nobody who uses one.
create function oauth_client_put(new_id text, new_metadata text, seconds integer, unused integer)
returns void
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  insert into mindglue.oauth_clients as c (id, metadata, expires_at)
  values (new_id, new_metadata, clock_timestamp() + make_interval(secs => seconds))
  on conflict (id) do update set metadata = new_metadata, read_at = clock_timestamp(),
    expires_at = greatest(c.expires_at, excluded.expires_at);
  delete from mindglue.oauth_clients c where c.id in (
    select o.id from mindglue.oauth_clients o where o.used_at is null
    order by o.read_at desc offset unused limit 100);
end
$$;

create function oauth_client_find(wanted text)
returns table (metadata text, age double precision)
language sql stable security definer set search_path = pg_catalog
as $$
  select c.metadata, extract(epoch from clock_timestamp() - c.read_at)::double precision
  from mindglue.oauth_clients c where c.id = wanted and c.expires_at > clock_timestamp()
$$;

-- What a person allows a client in a namespace of theirs; false where they are no member. The oldest of
-- more than two hundred ends.
create function oauth_grant_add(new_id uuid, for_account uuid, for_client text, in_namespace text,
  new_scopes text, seconds integer, client_seconds integer)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  insert into mindglue.oauth_grants (id, account, client, namespace, scopes, expires_at)
  select new_id, m.account, for_client, m.namespace, new_scopes,
    clock_timestamp() + make_interval(secs => seconds)
  from mindglue.account_members m join mindglue.namespace_names n on n.namespace = m.namespace
  where m.account = for_account and n.name = in_namespace;
  if not found then
    return false;
  end if;
  update mindglue.oauth_clients c set used_at = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => client_seconds)
  where c.id = for_client;
  delete from mindglue.oauth_grants g where g.id in (
    select o.id from mindglue.oauth_grants o where o.account = for_account
    order by o.used_at desc offset 200);
  return true;
end
$$;

create function oauth_grant_find(wanted uuid)
returns table (account uuid, client text, scopes text, created_at timestamptz, expires_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select g.account, g.client, g.scopes, g.created_at, g.expires_at
  from mindglue.oauth_grants g where g.id = wanted and g.expires_at > clock_timestamp()
$$;

-- With every code and token of it.
create function oauth_grant_end(wanted uuid) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  delete from mindglue.oauth_grants g where g.id = wanted
$$;

-- As what a client acts that somebody let in: no row once that was taken back, or the membership ended.
create function oauth_enter(wanted uuid, for_account uuid, for_client text)
returns table (namespace bigint, namespace_name text, agent text, role text, scopes text)
language sql stable security definer set search_path = pg_catalog
as $$
  select m.namespace, n.name, m.agent, m.role, g.scopes
  from mindglue.oauth_grants g
  join mindglue.account_members m on m.namespace = g.namespace and m.account = g.account
  join mindglue.namespace_names n on n.namespace = g.namespace
  where g.id = wanted and g.account = for_account and g.client = for_client
    and g.expires_at > clock_timestamp()
$$;

-- False when the grant that it belongs to has ended. `keep_seconds`: the grant was used and lives on so
-- long, and its client `client_seconds`.
create function oauth_artifact_put(new_hash bytea, of_grant uuid, new_payload bytea, seconds integer,
  keep_seconds integer, client_seconds integer)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  if of_grant is not null then
    perform from mindglue.oauth_grants g where g.id = of_grant for key share;
    if not found then
      return false;
    end if;
  end if;
  insert into mindglue.oauth_artifacts (id_hash, grant_id, payload, expires_at)
  values (new_hash, of_grant, new_payload, clock_timestamp() + make_interval(secs => seconds))
  on conflict (id_hash) do update set payload = new_payload, expires_at = excluded.expires_at;
  if keep_seconds is not null then
    update mindglue.oauth_grants g set used_at = clock_timestamp(),
      expires_at = clock_timestamp() + make_interval(secs => keep_seconds)
    where g.id = of_grant;
    update mindglue.oauth_clients c set used_at = clock_timestamp(),
      expires_at = clock_timestamp() + make_interval(secs => client_seconds)
    from mindglue.oauth_grants g where g.id = of_grant and c.id = g.client;
  end if;
  return true;
end
$$;

create function oauth_artifact_find(wanted bytea)
returns table (payload bytea, is_consumed boolean)
language sql stable security definer set search_path = pg_catalog
as $$
  select a.payload, a.consumed_at is not null
  from mindglue.oauth_artifacts a where a.id_hash = wanted and a.expires_at > clock_timestamp()
$$;

-- True once, whatever comes at once.
create function oauth_artifact_consume(wanted bytea) returns boolean
language sql volatile security definer set search_path = pg_catalog
as $$
  with used as (
    update mindglue.oauth_artifacts a set consumed_at = clock_timestamp()
    where a.id_hash = wanted and a.consumed_at is null returning 1)
  select exists (select from used)
$$;

create function oauth_artifact_drop(wanted bytea) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  delete from mindglue.oauth_artifacts a where a.id_hash = wanted
$$;

-- Makes an account the administrator of a namespace that was made for it alone.
create function account_own(for_account uuid, in_namespace bigint, as_agent text) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  insert into mindglue.account_members (namespace, account, agent, role, added_by)
  values (in_namespace, for_account, as_agent, 'admin', as_agent) on conflict do nothing
$$;

-- What a person let in, wherever: one row for each client and namespace.
create function oauth_clients_of(for_account uuid)
returns table (client text, metadata text, namespace_name text, scopes text, since timestamptz,
  used_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select c.id, c.metadata, n.name, string_agg(g.scopes, ' '), min(g.created_at), max(g.used_at)
  from mindglue.oauth_grants g
  join mindglue.oauth_clients c on c.id = g.client
  join mindglue.namespace_names n on n.namespace = g.namespace
  where g.account = for_account and g.expires_at > clock_timestamp()
  group by c.id, n.name order by max(g.used_at) desc, c.id, n.name
$$;

-- Takes back what a person allowed a client, everywhere; how much that was.
create function oauth_client_end(for_account uuid, of_client text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare gone integer;
begin
  delete from mindglue.oauth_grants g where g.account = for_account and g.client = of_client;
  get diagnostics gone = row_count;
  return gone;
end
$$;

-- The two below act in the namespace of an administrator's context and nowhere else.

-- What members let in, by address and client.
create function client_list(after_email text, after_client text, most integer)
returns table (client text, metadata text, email text, agent text, scopes text, since timestamptz,
  used_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select c.id, c.metadata, a.email, m.agent, string_agg(g.scopes, ' '), min(g.created_at),
    max(g.used_at)
  from mindglue.oauth_grants g
  join mindglue.oauth_clients c on c.id = g.client
  join mindglue.accounts a on a.id = g.account
  join mindglue.account_members m on m.namespace = g.namespace and m.account = g.account
  where g.namespace = mindglue.context_namespace() and mindglue.context_sees_all()
    and g.expires_at > clock_timestamp()
    and (after_email is null
      or (a.email collate "C", c.id collate "C") > (after_email collate "C", after_client collate "C"))
  group by c.id, a.email, m.agent
  order by a.email collate "C", c.id collate "C" limit least(most, 500)
$$;

-- Takes it back, of one member or of all; how much that was.
create function client_revoke(of_client text, of_email text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare gone integer;
begin
  if not coalesce(mindglue.context_sees_all(), false) then
    return 0;
  end if;
  delete from mindglue.oauth_grants g using mindglue.accounts a
  where a.id = g.account and g.namespace = mindglue.context_namespace() and g.client = of_client
    and (of_email is null or a.email = of_email);
  get diagnostics gone = row_count;
  return gone;
end
$$;

-- What has expired, a bounded part of each kind. Returns how many rows went.
create function oauth_purge(most integer) returns integer
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
  gone integer;
  more integer;
begin
  delete from mindglue.oauth_artifacts a where a.id_hash in (
    select o.id_hash from mindglue.oauth_artifacts o where o.expires_at < clock_timestamp()
    order by o.expires_at limit most for update skip locked);
  get diagnostics gone = row_count;
  delete from mindglue.oauth_grants g where g.id in (
    select o.id from mindglue.oauth_grants o where o.expires_at < clock_timestamp()
    order by o.expires_at limit most for update skip locked);
  get diagnostics more = row_count;
  gone := gone + more;
  delete from mindglue.oauth_clients c where c.id in (
    select o.id from mindglue.oauth_clients o where o.expires_at < clock_timestamp()
    order by o.expires_at limit most for update skip locked);
  get diagnostics more = row_count;
  return gone + more;
end
$$;

-- As before, and takes back what clients were allowed: who changes a password may have a reason.
create or replace function account_change_password(wanted uuid, old_hash text, new_hash text)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  update mindglue.accounts a set password_hash = new_hash
  where a.id = wanted and a.password_hash = old_hash;
  if not found then
    return false;
  end if;
  delete from mindglue.account_sessions s where s.account = wanted;
  delete from mindglue.oauth_grants g where g.account = wanted;
  delete from mindglue.account_mails m using mindglue.accounts a
  where a.id = wanted and m.email = a.email;
  return true;
end
$$;

create or replace function account_redeem(wanted_hash bytea, new_id uuid, new_hash text) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
  mail mindglue.account_mails;
  found_id uuid;
begin
  delete from mindglue.account_mails m
  where m.code_hash = wanted_hash and m.expires_at > clock_timestamp() returning * into mail;
  if mail.code_hash is null then
    return null;
  end if;
  insert into mindglue.accounts as a (id, email, password_hash) values (new_id, mail.email, new_hash)
  on conflict (email) do update set password_hash = new_hash returning a.id into found_id;
  delete from mindglue.account_sessions s where s.account = found_id;
  delete from mindglue.oauth_grants g where g.account = found_id;
  return found_id;
end
$$;

revoke all on function account_own(uuid, bigint, text), oauth_client_put(text, text, integer, integer), oauth_client_find(text),
  oauth_grant_add(uuid, uuid, text, text, text, integer, integer), oauth_grant_find(uuid),
  oauth_grant_end(uuid), oauth_enter(uuid, uuid, text),
  oauth_artifact_put(bytea, uuid, bytea, integer, integer, integer), oauth_artifact_find(bytea),
  oauth_artifact_consume(bytea), oauth_artifact_drop(bytea), oauth_purge(integer),
  oauth_clients_of(uuid), oauth_client_end(uuid, text), client_list(text, text, integer),
  client_revoke(text, text)
  from public;
grant execute on function account_own(uuid, bigint, text), oauth_client_put(text, text, integer, integer), oauth_client_find(text),
  oauth_grant_add(uuid, uuid, text, text, text, integer, integer), oauth_grant_find(uuid),
  oauth_grant_end(uuid), oauth_enter(uuid, uuid, text),
  oauth_artifact_put(bytea, uuid, bytea, integer, integer, integer), oauth_artifact_find(bytea),
  oauth_artifact_consume(bytea), oauth_artifact_drop(bytea), oauth_purge(integer),
  oauth_clients_of(uuid), oauth_client_end(uuid, text), client_list(text, text, integer),
  client_revoke(text, text)
  to mindglue_app;

reset role;
