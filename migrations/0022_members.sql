-- Purpose: which account may enter which namespace, as which agent and with which role; invitations.
-- Lock cost: none (new objects).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Directory, as accounts are: no memory content, no policy, the app role goes through the functions below.
create table account_members (
  namespace bigint not null references namespace_names (namespace) on delete cascade,
  account uuid not null references accounts (id) on delete cascade,
  agent text not null check (length(agent) between 1 and 128),
  role text not null check (role in ('admin', 'member', 'reader')),
  added_at timestamptz not null default clock_timestamp(),
  added_by text not null,
  primary key (namespace, account),
  -- Private memories belong to an agent: no two people are the same one.
  unique (namespace, agent)
);
create index account_members_account on account_members (account);

create table account_invitations (
  code_hash bytea primary key check (length(code_hash) = 32),
  namespace bigint not null references namespace_names (namespace) on delete cascade,
  email text not null check (length(email) <= 254),
  agent text not null check (length(agent) between 1 and 128),
  role text not null check (role in ('admin', 'member', 'reader')),
  invited_at timestamptz not null default clock_timestamp(),
  invited_by text not null,
  expires_at timestamptz not null,
  unique (namespace, email)
);
create index account_invitations_email on account_invitations (email);

revoke all on account_members, account_invitations from public;

-- The four below act in the namespace of an administrator's context and nowhere else.

-- People of the namespace, those who are invited among them, by address.
create function member_list(after_email text, most integer)
returns table (email text, agent text, role text, since timestamptz, by_agent text,
  expires_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select p.email, p.agent, p.role, p.since, p.by_agent, p.expires_at
  from (
    select a.email, m.agent, m.role, m.added_at as since, m.added_by as by_agent,
      null::timestamptz as expires_at
    from mindglue.account_members m join mindglue.accounts a on a.id = m.account
    where m.namespace = mindglue.context_namespace() and mindglue.context_sees_all()
    union all
    select i.email, i.agent, i.role, i.invited_at, i.invited_by, i.expires_at
    from mindglue.account_invitations i
    where i.namespace = mindglue.context_namespace() and mindglue.context_sees_all()
      and i.expires_at > clock_timestamp()
  ) p
  where after_email is null or p.email collate "C" > after_email collate "C"
  order by p.email collate "C" limit least(most, 500)
$$;

-- In place of an older invitation of the same address. Says why not: 'member', 'agent' (taken) or 'full';
-- null for a context that is no administrator's.
create function member_invite(new_hash bytea, to_email text, as_agent text, with_role text,
  seconds integer, most integer)
returns text
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare home bigint := mindglue.context_namespace();
begin
  if home is null or not mindglue.context_sees_all() then
    return null;
  end if;
  delete from mindglue.account_invitations i
  where i.namespace = home and (i.email = to_email or i.expires_at < clock_timestamp());
  if exists (select from mindglue.account_members m join mindglue.accounts a on a.id = m.account
      where m.namespace = home and a.email = to_email) then
    return 'member';
  end if;
  if exists (select from mindglue.account_members m where m.namespace = home and m.agent = as_agent)
    or exists (select from mindglue.account_invitations i
      where i.namespace = home and i.agent = as_agent) then
    return 'agent';
  end if;
  if (select count(*) from mindglue.account_members m where m.namespace = home)
    + (select count(*) from mindglue.account_invitations i where i.namespace = home) >= most then
    return 'full';
  end if;
  insert into mindglue.account_invitations (code_hash, namespace, email, agent, role, invited_by,
    expires_at)
  values (new_hash, home, to_email, as_agent, with_role, mindglue.context_agent(),
    clock_timestamp() + make_interval(secs => seconds));
  return 'invited';
end
$$;

-- Of a member or an invitation. False when there is neither.
create function member_set_role(of_email text, new_role text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare is_found boolean;
begin
  if not coalesce(mindglue.context_sees_all(), false) then
    return false;
  end if;
  update mindglue.account_members m set role = new_role from mindglue.accounts a
  where a.id = m.account and a.email = of_email and m.namespace = mindglue.context_namespace();
  is_found := found;
  update mindglue.account_invitations i set role = new_role
  where i.email = of_email and i.namespace = mindglue.context_namespace();
  return is_found or found;
end
$$;

create function member_remove(of_email text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare is_found boolean;
begin
  if not coalesce(mindglue.context_sees_all(), false) then
    return false;
  end if;
  delete from mindglue.account_members m using mindglue.accounts a
  where a.id = m.account and a.email = of_email and m.namespace = mindglue.context_namespace();
  is_found := found;
  delete from mindglue.account_invitations i
  where i.email = of_email and i.namespace = mindglue.context_namespace();
  return is_found or found;
end
$$;

-- Whether this mailbox was invited anywhere: who may make an account where that is not open to all.
create function account_is_invited(wanted_email text) returns boolean
language sql stable security definer set search_path = pg_catalog
as $$
  select exists (select from mindglue.account_invitations i
    where i.email = wanted_email and i.expires_at > clock_timestamp())
$$;

-- Uses an invitation up, for the account of the mailbox it went to and no other. The name of the
-- namespace; null when there is no such invitation for this account.
create function account_accept(wanted_hash bytea, for_account uuid) returns text
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
  used mindglue.account_invitations;
begin
  delete from mindglue.account_invitations i using mindglue.accounts a
  where i.code_hash = wanted_hash and i.expires_at > clock_timestamp()
    and a.id = for_account and a.email = i.email
  returning i.* into used;
  if used.code_hash is null then
    return null;
  end if;
  insert into mindglue.account_members (namespace, account, agent, role, added_by)
  values (used.namespace, for_account, used.agent, used.role, used.invited_by)
  on conflict (namespace, account) do nothing;
  return (select n.name from mindglue.namespace_names n where n.namespace = used.namespace);
end
$$;

-- The namespaces an account may enter.
create function account_memberships(wanted uuid)
returns table (namespace_name text, agent text, role text)
language sql stable security definer set search_path = pg_catalog
as $$
  select n.name, m.agent, m.role
  from mindglue.account_members m join mindglue.namespace_names n on n.namespace = m.namespace
  where m.account = wanted order by n.name limit 1000
$$;

-- As what a session may act in a namespace: no row once the session or the membership has ended.
create function account_enter(wanted_session uuid, for_account uuid, wanted_name text)
returns table (namespace bigint, agent text, role text)
language sql stable security definer set search_path = pg_catalog
as $$
  select m.namespace, m.agent, m.role
  from mindglue.account_sessions s
  join mindglue.account_members m on m.account = s.account
  join mindglue.namespace_names n on n.namespace = m.namespace
  where s.id = wanted_session and s.account = for_account and s.expires_at > clock_timestamp()
    and n.name = wanted_name
$$;

revoke all on function member_list(text, integer),
  member_invite(bytea, text, text, text, integer, integer), member_set_role(text, text),
  member_remove(text), account_is_invited(text), account_accept(bytea, uuid),
  account_memberships(uuid), account_enter(uuid, uuid, text)
  from public;
grant execute on function member_list(text, integer),
  member_invite(bytea, text, text, text, integer, integer), member_set_role(text, text),
  member_remove(text), account_is_invited(text), account_accept(bytea, uuid),
  account_memberships(uuid), account_enter(uuid, uuid, text)
  to mindglue_app;

reset role;
