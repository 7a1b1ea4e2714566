-- Purpose: delays after wrong attempts fade; codes for who lost a second factor; sessions are listed; accounts are
--   deleted, and leave their namespaces by that.
-- Lock cost: ACCESS EXCLUSIVE on account_delays while it is rewritten (attempts of one day).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Attempts fade continuously, so that their number is no whole one.
alter table account_delays alter column attempts type real;

-- Counts an attempt under each key, before it is made, so that many at once are no way around. Returns
-- 0, or the seconds to wait, in which case nothing is counted: who asks too soon does not prolong it.
-- Beyond `free` attempts the next one waits 2, 4, 8 … seconds, at most `most`. One attempt is forgotten in
-- each `most` seconds: in the long run nobody makes more than with the longest wait after each.
create or replace function account_attempt(keys bytea[], free integer[], most integer[]) returns double precision
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
  moment timestamptz := clock_timestamp();
  waits double precision;
  one record;
begin
  if cardinality(keys) > 8 then
    raise exception 'at most 8 keys at a time' using errcode = '22023';
  end if;
  delete from mindglue.account_delays d where d.key in (
    select o.key from mindglue.account_delays o
    where o.at < moment - interval '1 day' and o.until < moment
    order by o.at limit 100 for update skip locked);
  -- In order of the keys, so that two attempts never wait for each other in a circle.
  for one in select k.key from unnest(keys) as k (key) order by k.key loop
    insert into mindglue.account_delays (key, attempts, at, until)
    values (one.key, 0, moment, moment) on conflict (key) do nothing;
    perform from mindglue.account_delays d where d.key = one.key for update;
  end loop;
  moment := clock_timestamp();
  select max(extract(epoch from d.until - moment)) into waits
  from mindglue.account_delays d where d.key = any (keys);
  if waits > 0 then
    return waits;
  end if;
  update mindglue.account_delays d set at = moment,
    attempts = greatest(d.attempts - extract(epoch from moment - d.at) / k.most, 0) + 1
  from unnest(keys, most) as k (key, most) where d.key = k.key;
  update mindglue.account_delays d
  set until = moment + make_interval(secs => least(k.most, 2 ^ least(d.attempts - k.free, 20)))
  from unnest(keys, free, most) as k (key, free, most) where d.key = k.key and d.attempts > k.free;
  return 0;
end
$$;

-- For who lost the authenticator: each works once, in place of one of its codes. Only keyed hashes are here.
create table account_recovery_codes (
  account uuid not null references accounts (id) on delete cascade,
  code_hash bytea not null check (length(code_hash) = 32),
  primary key (account, code_hash)
);
revoke all on account_recovery_codes from public;
alter table account_recovery_codes enable row level security, force row level security;
create policy directory on account_recovery_codes using ((select context_is_directory()));

drop function account_read(uuid);
create function account_read(wanted uuid)
returns table (email text, password_hash text, totp_generation integer, totp_step bigint,
  recovery_codes integer, created_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select a.email, a.password_hash, a.totp_generation, a.totp_step,
    (select count(*)::integer from mindglue.account_recovery_codes c where c.account = a.id), a.created_at
  from mindglue.accounts a where a.id = wanted and (select mindglue.context_is_directory())
$$;

-- Null takes the second factor away. Recovery codes of before go in any case.
drop function account_set_totp(uuid, integer, bigint);
create function account_set_totp(wanted uuid, new_generation integer, step bigint, new_codes bytea[])
returns void
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  update mindglue.accounts a set totp_generation = new_generation,
    totp_step = greatest(a.totp_step, step)
  where a.id = wanted;
  delete from mindglue.account_recovery_codes c where c.account = wanted;
  insert into mindglue.account_recovery_codes (account, code_hash)
  select wanted, n.code_hash from unnest(new_codes) as n (code_hash);
end
$$;

-- Uses a recovery code up; how many are left. Null: it is none, whatever comes at once.
create function account_use_recovery_code(wanted uuid, wanted_hash bytea) returns integer
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  delete from mindglue.account_recovery_codes c
  where c.account = wanted and c.code_hash = wanted_hash;
  if not found then
    return null;
  end if;
  return (select count(*) from mindglue.account_recovery_codes c where c.account = wanted);
end
$$;

-- Sessions that go on, the newest first.
create function account_session_list(for_account uuid)
returns table (id uuid, created_at timestamptz, expires_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select s.id, s.created_at, s.expires_at from mindglue.account_sessions s
  where s.account = for_account and s.expires_at > clock_timestamp()
  order by s.created_at desc limit 100
$$;

-- Namespaces that nobody would administer without this account, and how many other members they have.
create function account_needed(wanted uuid)
returns table (namespace_name text, others integer)
language sql stable security definer set search_path = pg_catalog
as $$
  select n.name, (select count(*)::integer from mindglue.account_members o
    where o.namespace = m.namespace and o.account <> m.account)
  from mindglue.account_members m join mindglue.namespace_names n on n.namespace = m.namespace
  where m.account = wanted and m.role = 'admin' and not exists (
    select from mindglue.account_members o
    where o.namespace = m.namespace and o.account <> m.account and o.role = 'admin')
  order by n.name limit 100
$$;

-- Takes the account out of the context's namespace, as the agent that it is there; under an administrator's
-- context, since no role is needed to leave. False where it is no member, or the last administrator.
create function member_leave(for_account uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare home constant bigint := mindglue.context_namespace();
begin
  if not coalesce(mindglue.context_sees_all(), false) then
    return false;
  end if;
  -- Administrators who leave at once see, one after the other, who is left.
  perform from mindglue.account_members m where m.namespace = home and m.role = 'admin'
  order by m.account for update;
  delete from mindglue.account_members m
  where m.namespace = home and m.account = for_account and m.agent = mindglue.context_agent()
    and (m.role <> 'admin' or exists (
      select from mindglue.account_members o
      where o.namespace = home and o.role = 'admin' and o.account <> m.account));
  return found;
end
$$;

-- With all that is the account's alone. False while it is a member anywhere.
create function account_delete(wanted uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare address text;
begin
  delete from mindglue.accounts a
  where a.id = wanted and not exists (
    select from mindglue.account_members m where m.account = a.id)
  returning a.email into address;
  delete from mindglue.account_mails m where m.email = address;
  return address is not null;
end
$$;

revoke all on function account_read(uuid), account_set_totp(uuid, integer, bigint, bytea[]),
  account_use_recovery_code(uuid, bytea), account_session_list(uuid), account_needed(uuid),
  member_leave(uuid), account_delete(uuid)
  from public;
grant execute on function account_read(uuid), account_set_totp(uuid, integer, bigint, bytea[]),
  account_use_recovery_code(uuid, bytea), account_session_list(uuid), account_needed(uuid),
  member_leave(uuid), account_delete(uuid)
  to mindglue_app;

reset role;
