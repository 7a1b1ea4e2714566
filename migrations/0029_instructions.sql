-- Purpose: what a namespace is to keep and never to keep, said by its administrators, in its encryption.
-- Lock cost: ACCESS EXCLUSIVE on namespaces for an instant (nullable columns, a trigger).

set role mindglue_owner;
set local search_path = mindglue, public;

-- The key of `instructions`, wrapped like those of memories; null in profile `off` and where there are none.
alter table namespaces
  add column instructions_token bytea,
  add column instructions_key_id integer,
  add column instructions_epoch integer,
  add constraint instructions_key_is_whole check (
    (instructions_token is null) = (instructions_key_id is null)
    and (instructions_token is null) = (instructions_epoch is null)
    and (instructions_token is null or instructions is not null));
alter table namespaces alter column instructions set statistics 0;
alter table namespaces alter column instructions_token set statistics 0;

-- Every agent reads them, before it has seen a memory: whoever may write them speaks to all of them.
create function keep_instructions() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if new.instructions is distinct from old.instructions and not mindglue.context_sees_all() then
    raise exception 'instructions are the administrators'' to change' using errcode = '42501';
  end if;
  return new;
end
$$;
revoke all on function keep_instructions() from public;
create trigger keep_instructions before update of instructions on namespaces
  for each row execute function keep_instructions();

reset role;
