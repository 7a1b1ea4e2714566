/** Makes the template that new data directories of the embedded engine start from; `npm run build` runs it. */

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbedded } from './embedded.ts'
import { templateName } from './embedded-template.ts'
import { migrate, type Migration } from './migrate.ts'

/**
 * Writes the template with these migrations into `directory` and returns its path. Appears complete or
 * not at all; any number of processes may build the same one. Holds no secret: migrations make none.
 */
export async function buildTemplate(
  directory: string,
  migrations: readonly Migration[],
): Promise<string> {
  const path = join(directory, templateName(migrations.map(({ checksum }) => checksum)))
  const scratch = await mkdtemp(join(tmpdir(), 'mindglue-template-'))
  const database = await openEmbedded({ dataDir: join(scratch, 'data') })
  try {
    await migrate(database, migrations)
    const unfinished = `${path}.${process.pid}`
    await writeFile(unfinished, await database.dump())
    await rename(unfinished, path)
  } finally {
    await database.close()
    await rm(scratch, { recursive: true, force: true })
  }
  return path
}
