-- Purpose: whether the names of prepared statements could be hidden here (0017), so that the doctor can tell a
--   server whose administrator may not do that from one where it was undone. The function of the directory
--   that nothing ever called goes.
-- Lock cost: none (catalogue rows of this database).

set role mindglue_owner;
set local search_path = mindglue, public;

drop function namespace_unregister();

{{#postgres}}
do $$
begin
  execute format(
    'create function mindglue.session_names_hidden() returns boolean language sql immutable
       set search_path = pg_catalog as ''select %s''',
    (not has_table_privilege('mindglue_app', 'pg_catalog.pg_prepared_statements', 'select'))::text);
end
$$;
grant execute on function session_names_hidden() to public;
{{/postgres}}

reset role;
