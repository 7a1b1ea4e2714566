/** Whether a session's prepared statements show their names, which migration 0017 hides from everybody. */
import type { Sql } from './database.ts'
import type { Finding } from './finding.ts'

/**
 * Who reads the names could put a statement of his own in the place of one that the next namespace runs. A
 * server whose administrator is no superuser never hid them: that is a warning, since they are random.
 */
export async function sessionFindings(sql: Sql, everybody: string): Promise<readonly Finding[]> {
  const [row] = await sql<{ shown: boolean; hidden_once: boolean }>`
    select exists (select from pg_roles r
        where not r.rolsuper and r.rolname in (current_user, 'mindglue_app', 'mindglue_job')
          and (has_table_privilege(r.oid, 'pg_catalog.pg_prepared_statements', 'select')
            or has_function_privilege(r.oid, 'pg_catalog.pg_prepared_statement()', 'execute'))
      ) as shown, mindglue.session_names_hidden() as hidden_once
    where to_regprocedure('mindglue.session_names_hidden()') is not null`
  if (row?.shown !== true) return []
  return [
    {
      severity: row.hidden_once ? 'problem' : 'warning',
      check: 'sessions',
      message:
        'The application may read the names of prepared statements (pg_prepared_statements).',
      remedy: `revoke all on pg_catalog.pg_prepared_statements from ${everybody}; revoke all on function pg_catalog.pg_prepared_statement() from ${everybody};`,
    },
  ]
}
