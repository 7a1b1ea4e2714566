-- Purpose: what a person allows a client, and takes back, is written under the context of the member that the person
--   is in that namespace, so that the audit event of the same transaction cannot speak of another one.
-- Lock cost: none (two functions are replaced).

set role mindglue_owner;
set local search_path = mindglue, public;

drop function oauth_grant_add(uuid, uuid, text, text, text, integer, integer);
drop function oauth_client_end(uuid, text);

-- The two below act in the namespace of a member's context, as that member, and nowhere else.

-- What a member allows a client; false where the account is not this member. The oldest of more than two
-- hundred of the member ends.
create function oauth_grant_add(new_id uuid, for_account uuid, for_client text, new_scopes text,
  seconds integer, client_seconds integer)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  insert into mindglue.oauth_grants (id, account, client, namespace, scopes, expires_at)
  select new_id, m.account, for_client, m.namespace, new_scopes,
    clock_timestamp() + make_interval(secs => seconds)
  from mindglue.account_members m
  where m.account = for_account and m.namespace = mindglue.context_namespace()
    and m.agent = mindglue.context_agent();
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

-- Takes back what a member allowed a client; the id of each grant that ended, with its codes and tokens.
create function oauth_client_end(for_account uuid, of_client text) returns setof uuid
language sql volatile security definer set search_path = pg_catalog
as $$
  delete from mindglue.oauth_grants g using mindglue.account_members m
  where m.namespace = g.namespace and m.account = g.account
    and g.account = for_account and g.client = of_client
    and g.namespace = mindglue.context_namespace() and m.agent = mindglue.context_agent()
  returning g.id
$$;

revoke all on function oauth_grant_add(uuid, uuid, text, text, integer, integer),
  oauth_client_end(uuid, text)
  from public;
grant execute on function oauth_grant_add(uuid, uuid, text, text, integer, integer),
  oauth_client_end(uuid, text)
  to mindglue_app;

reset role;
