-- Purpose: whoever was removed from the namespace that was made for them does not let themselves in again.
-- Lock cost: none beyond the catalogue.

set role mindglue_owner;
set local search_path = mindglue, public;

-- Makes an account the administrator of the context's namespace, which was made for it alone, as its agent, while
-- nobody is a member of it: one who joined since may have removed the account. Returns the namespace when it is a
-- member now, and whether that is new; no row when it is none.
drop function account_own(uuid);
create function account_own(for_account uuid) returns table (namespace bigint, is_new boolean)
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare home constant bigint := mindglue.context_namespace();
begin
  if not coalesce(mindglue.context_sees_all(), false) then
    return;
  end if;
  insert into mindglue.account_members (namespace, account, agent, role, added_by)
  select home, for_account, mindglue.context_agent(), 'admin', mindglue.context_agent()
  where not exists (select from mindglue.account_members m where m.namespace = home)
  on conflict do nothing;
  is_new := found;
  return query select m.namespace, is_new from mindglue.account_members m
    where m.namespace = home and m.account = for_account;
end
$$;

revoke all on function account_own(uuid) from public;
grant execute on function account_own(uuid) to mindglue_app;

reset role;
