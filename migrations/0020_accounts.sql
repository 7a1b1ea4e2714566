-- Purpose: accounts of people, their sessions, what is mailed to them, and delays after wrong passwords.
-- Lock cost: none (new objects).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Directory: reached before any namespace is known. No memory content, no policy; the app role has no
-- privilege on these tables and goes through the functions below, exact id or address in, one row out.
create table accounts (
  id uuid primary key,
  -- As it is written to; the program makes it lower-case ASCII, so that one mailbox is one account.
  email text not null check (length(email) <= 254 and email !~ '[A-Z[:space:][:cntrl:]]'),
  password_hash text not null check (length(password_hash) <= 512),
  -- Which secret of the second factor counts; the secret itself is derived and never stored. Null: none.
  totp_generation integer,
  -- The last time step whose code was used: none is used twice (RFC 6238 section 5.2).
  totp_step bigint not null default 0,
  created_at timestamptz not null default clock_timestamp()
);
create unique index accounts_email on accounts (email);

create table account_sessions (
  id uuid primary key,
  account uuid not null references accounts (id) on delete cascade,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);
create index account_sessions_account on account_sessions (account);
create index account_sessions_expires on account_sessions (expires_at);

-- Where somebody logged in before: who fails elsewhere does not make them wait.
create table account_networks (
  account uuid not null references accounts (id) on delete cascade,
  network bytea not null check (length(network) <= 32),
  seen_at timestamptz not null default clock_timestamp(),
  primary key (account, network)
);

-- What a mailed code allows, once. Only the hash of the code is here.
create table account_mails (
  code_hash bytea primary key check (length(code_hash) = 32),
  kind text not null check (kind in ('sign-up', 'reset')),
  email text not null check (length(email) <= 254),
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);
create index account_mails_email on account_mails (email, kind);
create index account_mails_expires on account_mails (expires_at);

-- Attempts by a digest of who tries what; no address and no account is readable here.
create table account_delays (
  key bytea primary key check (length(key) <= 32),
  attempts integer not null,
  at timestamptz not null,
  until timestamptz not null
);
create index account_delays_at on account_delays (at);

revoke all on accounts, account_sessions, account_networks, account_mails, account_delays from public;

create function account_find(wanted_email text, from_network bytea)
returns table (id uuid, password_hash text, totp_generation integer, is_known_network boolean)
language sql stable security definer set search_path = pg_catalog
as $$
  select a.id, a.password_hash, a.totp_generation,
    exists (select from mindglue.account_networks n
      where n.account = a.id and n.network = from_network)
  from mindglue.accounts a where a.email = wanted_email
$$;

create function account_read(wanted uuid)
returns table (email text, password_hash text, totp_generation integer, created_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select a.email, a.password_hash, a.totp_generation, a.created_at
  from mindglue.accounts a where a.id = wanted
$$;

-- A better hash of the same password, unless the password was changed meanwhile.
create function account_rehash(wanted uuid, old_hash text, new_hash text) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  update mindglue.accounts a set password_hash = new_hash
  where a.id = wanted and a.password_hash = old_hash
$$;

-- Ends every session. False when the password was changed meanwhile.
create function account_change_password(wanted uuid, old_hash text, new_hash text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  update mindglue.accounts a set password_hash = new_hash
  where a.id = wanted and a.password_hash = old_hash;
  if not found then
    return false;
  end if;
  delete from mindglue.account_sessions s where s.account = wanted;
  delete from mindglue.account_mails m using mindglue.accounts a
  where a.id = wanted and m.email = a.email;
  return true;
end
$$;

-- Null takes the second factor away.
create function account_set_totp(wanted uuid, new_generation integer, step bigint) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  update mindglue.accounts a set totp_generation = new_generation,
    totp_step = greatest(a.totp_step, step)
  where a.id = wanted
$$;

-- True once for each time step, whatever comes at once.
create function account_use_totp(wanted uuid, step bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog
as $$
  with used as (
    update mindglue.accounts a set totp_step = step
    where a.id = wanted and a.totp_step < step returning 1)
  select exists (select from used)
$$;

-- A new code for a mailbox in place of older ones. False when it had enough lately: a mailbox is not a
-- target. Old rows of others leave on the way, a few at a time.
create function account_mail_add(new_hash bytea, new_kind text, to_email text, seconds integer,
  hourly integer)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  delete from mindglue.account_mails m where m.code_hash in (
    select o.code_hash from mindglue.account_mails o
    where o.expires_at < clock_timestamp() - interval '1 hour' limit 100);
  perform pg_advisory_xact_lock(hashtextextended('mindglue.account_mails:' || to_email, 0));
  if (select count(*) from mindglue.account_mails m
      where m.email = to_email and m.created_at > clock_timestamp() - interval '1 hour') >= hourly then
    return false;
  end if;
  update mindglue.account_mails m set expires_at = least(m.expires_at, clock_timestamp())
  where m.email = to_email and m.kind = new_kind;
  insert into mindglue.account_mails (code_hash, kind, email, expires_at)
  values (new_hash, new_kind, to_email, clock_timestamp() + make_interval(secs => seconds));
  return true;
end
$$;

-- Turns a mailed code into a password, once: a new account, or a new password of the one that is there.
-- Whoever reads the mailbox owns the address, whatever the account was made for. Null: no such code.
create function account_redeem(wanted_hash bytea, new_id uuid, new_hash text) returns uuid
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
  return found_id;
end
$$;

create function account_session_add(new_id uuid, for_account uuid, from_network bytea, seconds integer)
returns void
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  delete from mindglue.account_sessions s where s.id in (
    select o.id from mindglue.account_sessions o where o.expires_at < clock_timestamp() limit 100);
  insert into mindglue.account_sessions (id, account, expires_at)
  values (new_id, for_account, clock_timestamp() + make_interval(secs => seconds));
  -- The oldest of more than a hundred ends: a script that logs in for each request harms itself.
  delete from mindglue.account_sessions s where s.id in (
    select o.id from mindglue.account_sessions o where o.account = for_account
    order by o.created_at desc offset 100);
  if from_network is not null then
    insert into mindglue.account_networks as n (account, network) values (for_account, from_network)
    on conflict (account, network) do update set seen_at = clock_timestamp();
    delete from mindglue.account_networks n where n.account = for_account and n.network in (
      select o.network from mindglue.account_networks o where o.account = for_account
      order by o.seen_at desc offset 20);
  end if;
end
$$;

-- Whose session this is; no row when it has ended.
create function account_session_find(wanted uuid) returns uuid
language sql stable security definer set search_path = pg_catalog
as $$
  select s.account from mindglue.account_sessions s
  where s.id = wanted and s.expires_at > clock_timestamp()
$$;

-- One session, or every one of the account.
create function account_session_end(for_account uuid, only_id uuid) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  delete from mindglue.account_sessions s
  where s.account = for_account and (only_id is null or s.id = only_id)
$$;

-- Counts an attempt under each key, before it is made, so that many at once are no way around. Returns
-- 0, or the seconds to wait, in which case nothing is counted: who asks too soon does not prolong it.
-- Beyond `free` attempts the next one waits 2, 4, 8 … seconds, at most `most`; a day without forgets.
create function account_attempt(keys bytea[], free integer[], most integer[]) returns double precision
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
  update mindglue.account_delays d set at = moment, attempts = d.attempts + 1,
    until = case when d.attempts + 1 > k.free
      then moment + make_interval(secs => least(k.most, 2 ^ least(d.attempts + 1 - k.free, 20)))
      else moment end
  from unnest(keys, free, most) as k (key, free, most) where d.key = k.key;
  return 0;
end
$$;

-- The attempt was right: it does not count. Earlier wrong ones still do, or somebody with an account of
-- his own could clear the way for guesses at another's.
create function account_attempt_right(keys bytea[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare one record;
begin
  for one in select k.key from unnest(keys) as k (key) order by k.key loop
    update mindglue.account_delays d set attempts = greatest(d.attempts - 1, 0), until = d.at
    where d.key = one.key;
  end loop;
end
$$;

revoke all on function account_find(text, bytea), account_read(uuid),
  account_rehash(uuid, text, text), account_change_password(uuid, text, text),
  account_set_totp(uuid, integer, bigint), account_use_totp(uuid, bigint),
  account_mail_add(bytea, text, text, integer, integer), account_redeem(bytea, uuid, text),
  account_session_add(uuid, uuid, bytea, integer), account_session_find(uuid),
  account_session_end(uuid, uuid), account_attempt(bytea[], integer[], integer[]),
  account_attempt_right(bytea[])
  from public;
grant execute on function account_find(text, bytea), account_read(uuid),
  account_rehash(uuid, text, text), account_change_password(uuid, text, text),
  account_set_totp(uuid, integer, bigint), account_use_totp(uuid, bigint),
  account_mail_add(bytea, text, text, integer, integer), account_redeem(bytea, uuid, text),
  account_session_add(uuid, uuid, bytea, integer), account_session_find(uuid),
  account_session_end(uuid, uuid), account_attempt(bytea[], integer[], integer[]),
  account_attempt_right(bytea[])
  to mindglue_app;

reset role;
