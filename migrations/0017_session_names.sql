-- Purpose: nobody reads which statements a session has prepared. A pooled session serves namespace after
--   namespace, and its statements have random names: who does not know one cannot put a statement of his own
--   in its place. An administrator without superuser gets a warning, and the view stays as it was.
-- Lock cost: none (catalogue rows of this database).

{{#postgres}}
revoke all on pg_catalog.pg_prepared_statements from public;
revoke all on function pg_catalog.pg_prepared_statement() from public;
{{/postgres}}
{{#embedded}}
-- One process, one session, no names: its boundary is the process.
select 1;
{{/embedded}}
