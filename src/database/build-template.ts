/** Makes the template that new data directories of the embedded engine start from; `npm run build` runs it. */

import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { openEmbedded } from './embedded.ts'
import { templateName } from './embedded-template.ts'
import { migrate, type Migration } from './migrate.ts'
import { writeTar, type TarEntry } from './tar.ts'

/**
 * Writes the template with these migrations into `directory` and returns its path. Appears complete or
 * not at all; any number of processes may build the same one. Holds no secret: migrations make none.
 * Made of a database that was shut down: a copy of a running one starts with a recovery, which syncs every
 * file of the directory (953 calls of fsync on a first start, 3 after a shutdown).
 */
export async function buildTemplate(
  directory: string,
  migrations: readonly Migration[],
): Promise<string> {
  const path = join(directory, templateName(migrations.map(({ checksum }) => checksum)))
  const scratch = await mkdtemp(join(tmpdir(), 'mindglue-template-'))
  const dataDir = join(scratch, 'data')
  try {
    await makeDatabase(dataDir, migrations)
    const unfinished = `${path}.${process.pid}`
    await writeFile(unfinished, await promisify(gzip)(writeTar(await entriesOf(dataDir))))
    await rename(unfinished, path)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return path
}

async function makeDatabase(dataDir: string, migrations: readonly Migration[]): Promise<void> {
  const database = await openEmbedded({ dataDir })
  try {
    await migrate(database, migrations)
  } finally {
    await database.close()
  }
}

/** Everything under `directory`, directories before what they hold. */
async function entriesOf(directory: string): Promise<TarEntry[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = found.map((entry) => ({ entry, path: join(entry.parentPath, entry.name) }))
  return await Promise.all(
    paths
      .toSorted((a, b) => (a.path < b.path ? -1 : 1))
      .map(async ({ entry, path }) => ({
        name: relative(directory, path).replaceAll(sep, '/'),
        contents: entry.isDirectory() ? undefined : await readFile(path),
      })),
  )
}
