/** A transaction that stays open on a Postgres server, and who waits for it. */
import { EventEmitter, once } from 'node:events'
import type { OwnerDatabase } from '../../src/database/database.ts'
import { openPostgres } from '../../src/database/postgres.ts'
import { adminUrl } from './database.ts'

/** A transaction in another database of the server: what dies after it began, VACUUM FULL would keep. */
export async function openTransaction(): Promise<{ end: () => Promise<void> }> {
  const server = await openPostgres({ url: adminUrl(), poolMax: 1 })
  const release = new EventEmitter()
  let transaction: Promise<unknown> = Promise.resolve()
  await new Promise<void>((begun) => {
    transaction = server.ownerTransaction(async (sql) => {
      await sql`select pg_current_xact_id()`
      begun()
      await once(release, 'end')
    })
  })
  return {
    end: async () => {
      release.emit('end')
      await transaction
      await server.close()
    },
  }
}

/** True while `outlive` of src/database/maintenance.ts waits in this database. */
export async function isOutliving(owner: OwnerDatabase): Promise<boolean> {
  const rows = await owner.ownerTransaction(
    (sql) => sql`
      select 1 from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
        and query like '%an earlier transaction is still open%'`,
  )
  return rows.length > 0
}
