/** Which server and which pgvector answer. */
import type { DatabaseStatus, Sql } from './database.ts'

/** Their versions as the database names them; no pgvector: an empty text. */
export async function engineVersions(
  sql: Sql,
): Promise<Pick<DatabaseStatus, 'serverVersion' | 'vectorVersion'>> {
  const [row] = await sql<{ server: string; vector: string | null }>`
    select current_setting('server_version') as server,
      (select extversion from pg_extension where extname = 'vector') as vector`
  return { serverVersion: row?.server ?? '', vectorVersion: row?.vector ?? '' }
}
