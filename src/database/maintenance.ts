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

/**
 * VACUUM FULL keeps what any open transaction of the cluster may still see, also one of another database:
 * a snapshot goes back to the oldest of all. Two rounds, since a transaction that begins during the first
 * still goes back to one that the first waits for.
 */
const outlive = `
  do $$ declare
    earlier text[];
    deadline timestamptz := clock_timestamp() + interval '10 minutes';
  begin
    for round in 1 .. 2 loop
      earlier := array(select virtualtransaction from pg_locks
        where locktype = 'virtualxid' and pid <> pg_backend_pid());
      while exists (select from pg_locks
        where locktype = 'virtualxid' and virtualtransaction = any(earlier)) loop
        if clock_timestamp() > deadline then
          raise exception 'an earlier transaction is still open' using errcode = 'lock_not_available';
        end if;
        perform pg_sleep(0.05);
      end loop;
    end loop;
  end $$`

const ofDatabase: Partial<Record<MaintenanceTask, string>> = {
  outlive,
  'overwrite-log': overwriteLog,
  checkpoint: 'checkpoint',
}

/** Throws TypeError on a name that is not `table` or `schema.table` in lower case; names come from our code. */
export function maintenanceText(task: MaintenanceTask, table: string | undefined): string {
  if (table === undefined) {
    if (task === 'rewrite') throw new TypeError('a rewrite names its table')
    return ofDatabase[task] ?? task
  }
  if (task in ofDatabase) throw new TypeError('this task is of the whole database')
  if (!/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/.test(table)) {
    throw new TypeError('not a plain table name')
  }
  return task === 'rewrite' ? `vacuum (full, analyze) ${table}` : `${task} ${table}`
}
