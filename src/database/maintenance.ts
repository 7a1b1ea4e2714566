/** SQL text of maintenance: a closed list of tasks on a plain table name. */
import type { MaintenanceTask } from './database.ts'

/** Throws TypeError on a name that is not `table` or `schema.table` in lower case; names come from our code. */
export function maintenanceText(task: MaintenanceTask, table: string | undefined): string {
  if (table === undefined) {
    if (task === 'rewrite') throw new TypeError('a rewrite names its table')
    return task
  }
  if (task === 'checkpoint') throw new TypeError('a checkpoint is of the whole database')
  if (!/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/.test(table)) {
    throw new TypeError('not a plain table name')
  }
  return task === 'rewrite' ? `vacuum (full, analyze) ${table}` : `${task} ${table}`
}
