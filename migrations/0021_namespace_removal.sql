-- Purpose: a namespace that is being deleted is nobody's any more, and the job that erases it finishes what a
--   killed process began; its audit events, settings and salt go through functions that open to jobs alone.
-- Lock cost: ACCESS EXCLUSIVE on namespaces for an instant (a column without default, a trigger) and on due
--   (a check, one scan of a small table).

set role mindglue_owner;
set local search_path = mindglue, public;

alter table namespaces add column deleted_at timestamptz;
alter table due drop constraint due_kind_check;
alter table due add constraint due_kind_check check (kind in ('expiry', 'embed', 'statistics', 'removal'));

-- An injected statement may use any role of its login: what counts is the signed mark of a job.
create function keep_namespace() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if not mindglue.context_is_job() then
    raise exception 'a namespace is deleted by the operator' using errcode = '42501';
  end if;
  return new;
end
$$;
revoke all on function keep_namespace() from public;
create trigger keep_namespace before update of deleted_at on namespaces
  for each row when (new.deleted_at is distinct from old.deleted_at) execute function keep_namespace();

-- From its commit on the context's own namespace has no name, no keys of clients and no grants, in either
-- direction, and every process that looks at its settings finds none. Waits for writers that are under way.
create function namespace_forsake() returns bigint
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare own constant bigint := mindglue.context_namespace();
begin
  if not mindglue.context_is_job() then
    return null;
  end if;
  -- A write holds the row FOR KEY SHARE until its commit.
  perform from mindglue.namespaces n where n.namespace = own for update;
  if not found then
    return null;
  end if;
  update mindglue.namespaces n set revision = n.revision + 1,
    deleted_at = coalesce(n.deleted_at, clock_timestamp())
  where n.namespace = own;
  delete from mindglue.grants g where g.namespace = own or g.grantee = own;
  delete from mindglue.namespace_names n where n.namespace = own;
  perform mindglue.due_add('removal', clock_timestamp());
  return own;
end
$$;

-- A batch of the audit events of a namespace that is being deleted; how many went.
create function namespace_erase_events(most integer) returns integer
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
  own constant bigint := mindglue.context_namespace();
  gone integer;
begin
  if not mindglue.context_is_job() or not exists (
    select from mindglue.namespaces n where n.namespace = own and n.deleted_at is not null) then
    return 0;
  end if;
  delete from mindglue.audit_events e where e.namespace = own and e.id in (
    select o.id from mindglue.audit_events o where o.namespace = own order by o.id limit least(most, 10000));
  get diagnostics gone = row_count;
  return gone;
end
$$;

-- The last of it: salt, settings, due work. Fails while a memory is left.
create function namespace_erase() returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare own constant bigint := mindglue.context_namespace();
begin
  if not mindglue.context_is_job() or not exists (
    select from mindglue.namespaces n where n.namespace = own and n.deleted_at is not null) then
    return false;
  end if;
  delete from mindglue.audit_events e where e.namespace = own;
  delete from mindglue.namespace_keys k where k.namespace = own;
  delete from mindglue.namespaces n where n.namespace = own;
  delete from mindglue.due d where d.namespace = own;
  return true;
end
$$;

revoke all on function namespace_forsake(), namespace_erase_events(integer), namespace_erase() from public;
grant execute on function namespace_forsake(), namespace_erase_events(integer), namespace_erase()
  to mindglue_job;

reset role;
