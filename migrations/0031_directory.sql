-- Purpose: what belongs to no namespace (accounts, clients, keys, names) is reached under a signed mark alone.
--   Its functions open to the application's role, so until here an injected statement reached it too.
-- Lock cost: ACCESS EXCLUSIVE for an instant on those tables, memory_keys, mentions and entities (catalogue only).

set role mindglue_owner;
set local search_path = mindglue, public;

-- A third kind of context, of five parts: ||d|expires|. It has no namespace and no agent, so every policy
-- that asks for those shows and writes nothing.
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
  elsif cardinality(parts) = 5 and parts[3] = 'd' then
    return array[null, null, 'd'];
  elsif cardinality(parts) = 6 and parts[3] = 'g' then
    return array[null, null, 'g', parts[1], parts[5], parts[6]];
  end if;
  raise exception 'namespace context is not valid' using errcode = 'MG001';
end
$$;

create function context_is_directory() returns boolean
language plpgsql stable security definer set search_path = pg_catalog
as $$
declare context constant text[] := mindglue.verified_context();
begin return coalesce(context[1] is null and context[3] = 'd', false); end
$$;
revoke all on function context_is_directory() from public;

-- The functions run as the owner, whom FORCE binds: each of them asks for the mark, those to come as well.
do $$
declare target text;
begin
  foreach target in array array['accounts', 'account_sessions', 'account_networks', 'account_mails',
    'account_delays', 'account_members', 'account_invitations', 'api_keys', 'oauth_clients',
    'oauth_grants', 'oauth_artifacts', 'root_keys', 'namespace_names']
  loop
    execute format('alter table %I enable row level security, force row level security', target);
    execute format('create policy directory on %I using ((select context_is_directory()))', target);
  end loop;
end
$$;

-- What an administrator's operations change in their own namespace.
create policy own_namespace on api_keys using (
  namespace = (select context_namespace()) and (select context_sees_all()));
create policy own_namespace on account_members using (
  namespace = (select context_namespace()) and (select context_sees_all()));
create policy own_namespace on account_invitations using (
  namespace = (select context_namespace()) and (select context_sees_all()));
create policy own_namespace on oauth_grants using (
  namespace = (select context_namespace()) and (select context_sees_all()));
-- And what they are told of accounts and clients: those that are in it.
create policy own_members on accounts for select using (
  (select context_sees_all()) and exists (
    select from account_members m
    where m.namespace = (select context_namespace()) and m.account = accounts.id));
create policy own_clients on oauth_clients for select using (exists (
  select from oauth_grants g
  where g.namespace = (select context_namespace()) and g.client = oauth_clients.id));

-- What a member lets in, takes back, and by that uses.
create policy own_membership on account_members for select using (
  namespace = (select context_namespace()) and agent = (select context_agent()));
create policy own_grants on oauth_grants using (
  namespace = (select context_namespace()) and exists (
    select from account_members m
    where m.namespace = oauth_grants.namespace and m.account = oauth_grants.account
      and m.agent = (select context_agent())));
create policy used_clients on oauth_clients for update using (exists (
  select from oauth_grants g
  where g.namespace = (select context_namespace()) and g.client = oauth_clients.id));

-- An administrator is told the addresses of members, of which these two know more.
create or replace function account_find(wanted_email text, from_network bytea)
returns table (id uuid, password_hash text, totp_generation integer, is_known_network boolean)
language sql stable security definer set search_path = pg_catalog
as $$
  select a.id, a.password_hash, a.totp_generation,
    exists (select from mindglue.account_networks n
      where n.account = a.id and n.network = from_network)
  from mindglue.accounts a
  where a.email = wanted_email and (select mindglue.context_is_directory())
$$;
create or replace function account_read(wanted uuid)
returns table (email text, password_hash text, totp_generation integer, created_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select a.email, a.password_hash, a.totp_generation, a.created_at
  from mindglue.accounts a where a.id = wanted and (select mindglue.context_is_directory())
$$;

-- Jobs walk over the namespaces and let a root key go.
create policy jobs on namespace_names for select using ((select context_is_job()));
create policy jobs on root_keys for select using ((select context_is_job()));
create policy jobs_drop on root_keys for delete using ((select context_is_job()));
create policy own_namespace on namespace_names using (namespace = (select context_namespace()));

-- Gives the context's namespace a name; false where the name is another's. Another signature: a process of the
-- version before would take the answer for its own number.
drop function namespace_register(text, bigint);
create function namespace_register(wanted text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare own constant bigint := mindglue.context_namespace();
begin
  if own is null then
    return false;
  end if;
  insert into mindglue.namespace_names (name, namespace) values (wanted, own) on conflict (name) do nothing;
  return found;
end
$$;
revoke all on function namespace_register(text) from public;
grant execute on function namespace_register(text) to mindglue_app;

-- Makes an account the administrator of a namespace that was made for it alone, from within that namespace.
create or replace function account_own(for_account uuid, in_namespace bigint, as_agent text) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  insert into mindglue.account_members (namespace, account, agent, role, added_by)
  select in_namespace, for_account, as_agent, 'admin', as_agent
  where in_namespace = mindglue.context_namespace() and mindglue.context_sees_all()
  on conflict do nothing
$$;

-- Nobody takes the key of a memory out of sight, nor what finds it, nor a name that is mentioned: without
-- them the memory is lost to those whose it is. An administrator's removal sees all of it.
create policy seen_updated on memory_keys as restrictive for update using (
  (select context_sees_all()) or exists (
    select from memories m
    where m.namespace = memory_keys.namespace and m.id = memory_keys.id
      and m.version = memory_keys.version));
create policy seen_deleted on memory_keys as restrictive for delete using (
  (select context_sees_all()) or exists (
    select from memories m
    where m.namespace = memory_keys.namespace and m.id = memory_keys.id
      and m.version = memory_keys.version));
create policy seen_updated on mentions as restrictive for update using (
  document >= 0 or (select context_sees_all()) or exists (
    select from memories m
    where m.namespace = mentions.namespace and m.document = mentions.document));
create policy seen_deleted on mentions as restrictive for delete using (
  document >= 0 or (select context_sees_all()) or exists (
    select from memories m
    where m.namespace = mentions.namespace and m.document = mentions.document));
create policy unmentioned on entities as restrictive for delete using (
  (select context_sees_all()) or not exists (
    select from mentions x
    where x.namespace = entities.namespace and x.entity = entities.entity));

reset role;
