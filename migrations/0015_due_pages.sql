-- Purpose: pages of due namespaces after the first: a run used to see the thousand longest waiting alone,
--   and those stay listed for a while after their work is done.
-- Lock cost: none (one function replaced). A program that calls it with three arguments keeps working.

set role mindglue_owner;
set local search_path = mindglue, public;

drop function due_page(text, timestamptz, integer);

-- To jobs alone: a bounded page of namespaces with work that is due, the longest waiting first, after the
-- last row of the page before.
create function due_page(
  work text, until timestamptz, most integer,
  after_bucket timestamptz default '-infinity', after_namespace bigint default 0
) returns table (namespace bigint, bucket timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select d.namespace, min(d.bucket) from mindglue.due d
  where d.kind = work and d.bucket <= until and (select mindglue.context_is_job())
  group by d.namespace having (min(d.bucket), d.namespace) > (after_bucket, after_namespace)
  order by min(d.bucket), d.namespace limit least(most, 1000)
$$;

revoke all on function due_page(text, timestamptz, integer, timestamptz, bigint) from public;
grant execute on function due_page(text, timestamptz, integer, timestamptz, bigint) to mindglue_job;

reset role;
