/** SQL text of maintenance: a closed list of tasks on a plain table name. */
import type { MaintenanceTask } from './database.ts'

/**
 * After the checkpoint no segment before the last is needed. A switch fills its segment with zeros (WAL of
 * PostgreSQL 11 and newer), so one for each file overwrites them all; the last checkpoint lets those go.
 */
const overwriteLog = `
  checkpoint;
  do $$ begin
    for segment in 0 .. (select count(*) from pg_ls_waldir()) loop
      perform pg_logical_emit_message(false, 'mindglue', '');
      perform pg_switch_wal();
    end loop;
  end $$;
  checkpoint`

/** Throws TypeError on a name that is not `table` or `schema.table` in lower case; names come from our code. */
export function maintenanceText(task: MaintenanceTask, table: string | undefined): string {
  if (table === undefined) {
    if (task === 'rewrite') throw new TypeError('a rewrite names its table')
    return task === 'overwrite-log' ? overwriteLog : task
  }
  if (task === 'checkpoint' || task === 'overwrite-log')
    throw new TypeError('this task is of the whole database')
  if (!/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/.test(table)) {
    throw new TypeError('not a plain table name')
  }
  return task === 'rewrite' ? `vacuum (full, analyze) ${table}` : `${task} ${table}`
}
