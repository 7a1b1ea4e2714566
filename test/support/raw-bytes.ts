/** The files under a database, byte by byte: what somebody who copies the disk could search. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'

export interface RawFile {
  readonly name: string
  /** `log`: the write-ahead log. */
  readonly kind: 'data' | 'log'
  readonly bytes: Buffer
}

/** Every file of a directory, one at a time. */
export function* filesUnder(directory: string): Generator<RawFile> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) yield* filesUnder(path)
    else if (entry.isFile()) {
      const kind = path.includes('pg_wal') ? 'log' : 'data'
      yield { name: path, kind, bytes: readFileSync(path) }
    }
  }
}

/**
 * The files of one database of a server, and its write-ahead log from a position on. Read from the disk
 * where it is this machine's, else through the administrator's login.
 */
export async function* filesOfServer(
  adminUrl: string,
  fromSegment: string,
): AsyncGenerator<RawFile> {
  const sql = postgres(adminUrl, { max: 1, onnotice: () => undefined })
  try {
    await sql`checkpoint`
    const [place] = await sql<{ directory: string; base: string; last: string }[]>`
      select current_setting('data_directory') as directory,
        'base/' || (select oid from pg_database where datname = current_database()) as base,
        pg_walfile_name(pg_current_wal_lsn()) as last`
    if (place === undefined) throw new Error('the server does not say where its files are')
    const names = async (path: string) =>
      (await sql<{ name: string }[]>`select pg_ls_dir(${path}) as name`).map(({ name }) => name)
    const isLocal = existsSync(join(place.directory, place.base))
    const read = async (path: string): Promise<Buffer | undefined> => {
      if (isLocal) return readFileSync(join(place.directory, path))
      const [row] = await sql<{ bytes: Buffer | null }[]>`
        select pg_read_binary_file(${path}, 0, 1073741824, true) as bytes`
      return row?.bytes ?? undefined
    }
    for (const name of await names(place.base)) {
      const bytes = await read(`${place.base}/${name}`)
      if (bytes) yield { name: `${place.base}/${name}`, kind: 'data', bytes }
    }
    for (const name of await names('pg_wal')) {
      if (!/^[0-9A-F]{24}$/u.test(name) || name < fromSegment || name > place.last) continue
      const bytes = await read(`pg_wal/${name}`)
      if (bytes) yield { name: `pg_wal/${name}`, kind: 'log', bytes }
    }
  } finally {
    await sql.end()
  }
}

/** The segment that a server writes now. */
export async function currentSegment(adminUrl: string): Promise<string> {
  const sql = postgres(adminUrl, { max: 1, onnotice: () => undefined })
  try {
    const [row] = await sql<{ name: string }[]>`
      select pg_walfile_name(pg_current_wal_lsn()) as name`
    return row?.name ?? ''
  } finally {
    await sql.end()
  }
}

/**
 * Keeps a server's write-ahead log from here on: whatever makes a checkpoint would use its segments again.
 * The slot goes with its connection, also when the process is killed.
 */
export async function keepLog(
  adminUrl: string,
): Promise<{ readonly fromSegment: string; release(): Promise<void> }> {
  const sql = postgres(adminUrl, { max: 1, onnotice: () => undefined })
  const slot = `mindglue_test_${process.pid}_${Date.now()}`
  await sql`select pg_create_physical_replication_slot(${slot}, true, true)`
  return { fromSegment: await currentSegment(adminUrl), release: () => sql.end() }
}

/**
 * A word in every way that it may stand in a file, whatever its case: as UTF-8 (in JSON it is the same), as
 * UTF-16, in hexadecimal, and in base64 at each of the three places in a group.
 */
export function finderOf(word: string): (bytes: Buffer) => string[] {
  const lower = word.toLowerCase()
  const spaced = Buffer.from(lower, 'utf16le').toString('latin1')
  const hex = Buffer.from(lower).toString('hex')
  const forms = [lower, `${lower[0]?.toUpperCase() ?? ''}${lower.slice(1)}`]
  const base64 = forms.flatMap((form) =>
    [0, 1, 2].map((shift) => {
      const encoded = Buffer.from(`${'\0'.repeat(shift)}${form}`).toString('base64')
      // Characters that depend on the word alone, not on what stands before or after it.
      const end = Math.floor(((shift + form.length) * 8) / 6)
      return encoded.slice(Math.ceil((shift * 8) / 6), end)
    }),
  )
  return (bytes) => {
    const text = bytes.toString('latin1')
    const folded = text.toLowerCase()
    return [
      ...(folded.includes(lower) ? ['text'] : []),
      ...(folded.includes(spaced.toLowerCase()) ? ['utf-16'] : []),
      ...(folded.includes(hex) ? ['hex'] : []),
      ...(base64.some((form) => text.includes(form)) ? ['base64'] : []),
    ]
  }
}
