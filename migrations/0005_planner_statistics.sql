-- Purpose: what the planner believes of the embedded engine's tables until they are analyzed for the
--   first time: rows in plenty, over some twenty namespaces. Without it a namespace counts as one row and
--   any index that starts with it as good as the right one: a recall read everything 300 times over.
-- Lock cost: none (statistics alone). A server analyzes by itself; there this file changes nothing.

{{#embedded}}
set role mindglue_owner;

do $$
declare
  target record;
  column_name text;
begin
  for target in
    select c.relname, c.relkind, c.oid from pg_class c
    where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'i')
      and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'namespace')
  loop
    perform pg_restore_relation_stats('schemaname', 'mindglue'::text, 'relname', target.relname::text,
      'relpages', 2000::integer, 'reltuples', 20000::real);
    continue when target.relkind = 'i';
    for column_name in
      select a.attname from pg_attribute a
      where a.attrelid = target.oid and a.attnum > 0
        and a.attname in ('namespace', 'id', 'document', 'term', 'entity')
    loop
      perform pg_restore_attribute_stats('schemaname', 'mindglue'::text, 'relname', target.relname::text,
        'attname', column_name::text, 'inherited', false, 'null_frac', 0::real, 'avg_width', 8::integer,
        'n_distinct', (case column_name when 'namespace' then 20 else -0.5 end)::real);
    end loop;
  end loop;
end
$$;

reset role;
{{/embedded}}
