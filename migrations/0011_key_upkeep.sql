-- Purpose: what key upkeep may do under the role of jobs, and what nobody else may: list the namespaces and
--   let a root key go. No statistics of key material.
-- Lock cost: none on data (catalogue only; functions are replaced in place).

set role mindglue_owner;
set local search_path = mindglue, public;

-- The index key of a plain namespace stands here as it is: it must not reach pg_statistic.
alter table namespaces alter column index_key set statistics 0;
alter table namespace_keys alter column salt set statistics 0;

-- A bounded page of surrogates, ascending, to a job alone: it goes on with a context for each.
create or replace function namespace_page(after bigint, most integer) returns table (namespace bigint)
language sql stable security definer set search_path = pg_catalog
as $$
  select n.namespace from mindglue.namespace_names n
  where n.namespace > after and (select mindglue.context_is_job())
  order by n.namespace limit least(most, 1000)
$$;

create or replace function root_key_remove(id integer) returns void
language sql volatile security definer set search_path = pg_catalog
as $$ delete from mindglue.root_keys k where k.key_id = id and mindglue.context_is_job() $$;

revoke execute on function namespace_page(bigint, integer), root_key_remove(integer) from mindglue_app;
grant execute on function namespace_page(bigint, integer), root_key_remove(integer) to mindglue_job;

-- Wrapping keys anew changes no content: these columns are all it writes.
grant update (key_id, epoch, token) on memory_keys to mindglue_job;
grant update (key_id, epoch, key_token) on entities to mindglue_job;
grant select on namespace_keys to mindglue_job;

reset role;
