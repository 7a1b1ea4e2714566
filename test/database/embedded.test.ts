/** The embedded engine's own promises: durable, one directory complete or absent, template, backup. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { templateName } from '../../src/database/embedded-template.ts'
import { openEmbedded, type EmbeddedDatabase } from '../../src/database/embedded.ts'
import { migrate, migrationState, readMigrations } from '../../src/database/migrate.ts'
import { AppError } from '../../src/errors.ts'
import { embeddedTemplate } from '../support/database.ts'

let root: string
let template: string
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'mindglue-embedded-'))
  template = await embeddedTemplate(await readMigrations())
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

async function withTable(name: string): Promise<{ database: EmbeddedDatabase; dataDir: string }> {
  const dataDir = join(root, name)
  const database = await openEmbedded({ dataDir, template })
  await database.ownerTransaction(async (_, script) => {
    await script(`
      create table public.pairs (number int, half text, primary key (number, half));
      grant select, insert, update, delete on public.pairs to mindglue_app`)
  })
  return { database, dataDir }
}

async function numbers(database: EmbeddedDatabase): Promise<Map<number, bigint>> {
  const rows = await database.transaction(
    {},
    (sql) => sql<{ number: number; halves: bigint }>`
      select number, count(*) as halves from pairs group by number`,
  )
  return new Map(rows.map(({ number, halves }) => [number, halves]))
}

describe('durability', () => {
  test('every commit calls fsync, and so does a checkpoint', async () => {
    const { database } = await withTable('fsync')
    const before = database.syncs
    for (let number = 0; number < 20; number += 1) {
      await database.transaction({}, (sql) => sql`insert into pairs values (${number}, 'left')`)
    }
    const afterCommits = database.syncs
    expect(afterCommits - before).toBeGreaterThanOrEqual(20)
    await database.maintain('checkpoint')
    expect(database.syncs).toBeGreaterThan(afterCommits)
    await database.close()
  })

  test('what was acknowledged survives kill -9, and no transaction is half there', async () => {
    const { database, dataDir } = await withTable('killed')
    await database.close()
    const acknowledged: number[] = []
    for (let round = 0; round < 6; round += 1) {
      acknowledged.push(...(await writeUntilKilled(dataDir, (acknowledged.at(-1) ?? 0) + 1000)))
      const opened = await openEmbedded({ dataDir })
      const found = await numbers(opened)
      await opened.close()
      expect(acknowledged.filter((number) => !found.has(number))).toEqual([])
      expect([...found.values()].filter((halves) => halves !== 2n)).toEqual([])
    }
    expect(acknowledged.length).toBeGreaterThan(60)
  }, 120_000)
})

/** Numbers that a writing process acknowledged before it was killed in the middle of its work. */
async function writeUntilKilled(dataDir: string, first: number): Promise<number[]> {
  const loader = new URL('../support/typescript-loader.mjs', import.meta.url).href
  const program = new URL('fixtures/embedded-writer.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import', loader, program, dataDir, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const acknowledged: number[] = []
  const wanted = 10 + Math.floor(Math.random() * 40)
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    acknowledged.push(Number(line))
    if (acknowledged.length === wanted) child.kill('SIGKILL')
  })
  const [exit] = await Promise.all([once(child, 'exit'), once(lines, 'close')])
  expect(exit).toEqual([null, 'SIGKILL'])
  return acknowledged
}

describe('a data directory', () => {
  test('from the template has every migration and no secret of an installation', async () => {
    const database = await openEmbedded({ dataDir: join(root, 'fresh'), template })
    const migrations = await readMigrations()
    expect(await migrate(database, migrations)).toEqual([])
    expect(await migrationState(database, migrations)).toEqual({
      pending: [],
      unknown: [],
      changed: [],
    })
    const secrets = await database.ownerTransaction((sql) => sql`select from mindglue.context_keys`)
    expect(secrets).toEqual([])
    // Each file once more would be a recovery: the template was not made of a shut down database.
    const files = readdirSync(join(root, 'fresh'), { recursive: true }).length
    expect(database.syncs).toBeLessThan(files / 4)
    await database.close()
  })

  test('without a template is made by initdb and migrated, with the same result', async () => {
    const database = await openEmbedded({ dataDir: join(root, 'slow') })
    const migrations = await readMigrations()
    expect(await migrate(database, migrations)).toHaveLength(migrations.length)
    const rows = await database.transaction({}, (sql) => sql`select current_user as who`)
    expect(rows).toEqual([{ who: 'mindglue_app' }])
    await database.close()
  }, 60_000)

  test('is private to its user and small as a template', () => {
    expect(statSync(join(root, 'fresh')).mode & 0o077).toBe(0)
    expect(statSync(template).size).toBeLessThan(6 * 1024 * 1024)
  })

  test('of something else is refused and left alone', async () => {
    const dataDir = join(root, 'photos')
    mkdirSync(dataDir)
    writeFileSync(join(dataDir, 'cat.jpg'), 'cat')
    await expect(openEmbedded({ dataDir, template })).rejects.toMatchObject({
      code: 'misconfigured',
    })
    expect(readdirSync(dataDir)).toEqual(['cat.jpg'])
  })

  test('that a crash left unfinished is made anew', async () => {
    const dataDir = join(root, 'again')
    mkdirSync(`${dataDir}.unfinished-1`)
    writeFileSync(join(`${dataDir}.unfinished-1`, 'PG_VERSION'), '18\n')
    await (await openEmbedded({ dataDir, template })).close()
    expect(readdirSync(root).filter((name) => name.includes('unfinished'))).toEqual([])
  })

  test('is made complete or not at all: a broken template leaves nothing behind', async () => {
    const broken = join(root, 'broken.tar.gz')
    writeFileSync(broken, 'not a template')
    const dataDir = join(root, 'none')
    await expect(openEmbedded({ dataDir, template: broken })).rejects.toThrow()
    expect(existsSync(dataDir)).toBe(false)
    expect(readdirSync(root).filter((name) => name.includes('unfinished'))).toEqual([])
  })

  test('has another template name as soon as one migration differs', () => {
    expect(templateName(['a', 'b'])).not.toBe(templateName(['a', 'c']))
    expect(templateName(['a', 'b'])).not.toBe(templateName(['ab']))
  })
})

describe('a backup', () => {
  test('made while writes go on opens again with every pair whole', async () => {
    const { database } = await withTable('busy')
    const target = join(root, 'backup')
    const stop = new AbortController()
    const writing = (async () => {
      let number = 0
      while (!stop.signal.aborted) {
        number += 1
        const value = number
        await database.transaction({}, async (sql) => {
          await sql`insert into pairs values (${value}, 'left')`
          await sql`insert into pairs values (${value}, 'right')`
        })
      }
      return number
    })()
    await database.transaction(
      {},
      (sql) => sql`insert into pairs values (-1, 'left'), (-1, 'right')`,
    )
    await database.backup(target)
    stop.abort()
    const written = await writing
    await database.close()

    const copy = await openEmbedded({ dataDir: target })
    const found = await numbers(copy)
    await copy.close()
    expect(found.get(-1)).toBe(2n)
    expect([...found.values()].filter((halves) => halves !== 2n)).toEqual([])
    expect(found.size).toBeLessThanOrEqual(written + 1)
  })

  test('never overwrites a directory that holds something', async () => {
    const database = await openEmbedded({ dataDir: join(root, 'original'), template })
    const target = join(root, 'photos')
    const refused = await database.backup(target).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(AppError)
    expect(readdirSync(target)).toEqual(['cat.jpg'])
    await database.close()
  })
})

describe('maintenance', () => {
  test('checkpoints, vacuums and analyses, on plain table names only', async () => {
    const { database } = await withTable('kept')
    await database.maintain('checkpoint')
    await database.maintain('vacuum', 'public.pairs')
    await database.maintain('vacuum')
    await database.maintain('analyze', 'pairs')
    await expect(database.maintain('vacuum', 'pairs; drop table pairs')).rejects.toThrow(TypeError)
    await database.close()
  })

  test('the log does not grow without bound when checkpoints are asked for', async () => {
    const { database, dataDir } = await withTable('log')
    const logBytes = (): number =>
      readdirSync(join(dataDir, 'pg_wal'), { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .reduce((sum, entry) => sum + statSync(join(dataDir, 'pg_wal', entry.name)).size, 0)
    for (let round = 0; round < 3; round += 1) {
      await database.transaction(
        {},
        (sql) => sql`insert into pairs select n, md5(n::text)
          from generate_series(${round * 50_000}::int4, ${round * 50_000 + 49_999}::int4) n`,
      )
      await database.maintain('checkpoint')
    }
    expect(logBytes()).toBeLessThanOrEqual(96 * 1024 * 1024)
    await database.close()
  })
})
