/** Migrations: in order, once, whoever starts at the same time; never on a schema the program does not know. */

import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { fragment, type Database, type OwnerDatabase } from '../../src/database/database.ts'
import { openEmbedded } from '../../src/database/embedded.ts'
import {
  inDialect,
  migrate,
  migrationState,
  readMigrations,
  requireCurrent,
} from '../../src/database/migrate.ts'
import { openPostgres } from '../../src/database/postgres.ts'
import {
  adminUrl,
  administer,
  embeddedTemplate,
  openTestDatabase,
  testEngine,
} from '../support/database.ts'

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'mindglue-migrate-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** A database without any migration; `connect` gives further administrators of the same one. */
interface Empty {
  readonly owner: OwnerDatabase & Database
  connect(): Promise<OwnerDatabase & Database>
  close(): Promise<void>
}

async function openEmpty(): Promise<Empty> {
  const name = `mindglue_migrate_${randomUUID().slice(0, 8)}`
  if (testEngine === 'embedded') {
    const template = await embeddedTemplate([])
    const owner = await openEmbedded({ dataDir: join(root, name), template })
    return { owner, connect: () => Promise.resolve(owner), close: () => owner.close() }
  }
  await administer(`create database ${name} template template0`)
  const url = new URL(adminUrl())
  url.pathname = `/${name}`
  const opened: Database[] = []
  const connect = async () => {
    const database = await openPostgres({ url: url.href, poolMax: 1 })
    opened.push(database)
    return database
  }
  return {
    owner: await connect(),
    connect,
    close: async () => {
      await Promise.all(opened.map((database) => database.close()))
      await administer(`drop database ${name} with (force)`)
    },
  }
}

let empty: Empty
beforeEach(async () => {
  empty = await openEmpty()
})
afterEach(() => empty.close())

/** Writes the texts as 0001_step.sql, 0002_step.sql … and reads them as the product does. */
function files(...texts: string[]) {
  const directory = join(root, randomUUID())
  mkdirSync(directory)
  for (const [index, text] of texts.entries()) {
    writeFileSync(join(directory, `${String(index + 1).padStart(4, '0')}_step.sql`), text)
  }
  return readMigrations(directory)
}

const rowsOf = (owner: OwnerDatabase, table: string) =>
  owner.ownerTransaction((sql) => sql`select * from ${fragmentOf(table)}`)
const fragmentOf = (text: string) => fragment(Object.assign([text], { raw: [text] }))

const first = "create table public.log (step text); insert into public.log values ('first');"
const second = `insert into public.log values ('second');`

describe('migrating', () => {
  test('applies every file once, in order, and then has nothing to do', async () => {
    const migrations = await files(first, second)
    expect(await migrate(empty.owner, migrations)).toEqual(['0001_step', '0002_step'])
    expect(await migrate(empty.owner, migrations)).toEqual([])
    expect(await rowsOf(empty.owner, 'public.log')).toEqual([{ step: 'first' }, { step: 'second' }])
  })

  test('from several processes at once applies every file once', async () => {
    const migrations = await files(first, second, second, second)
    const owners = await Promise.all(Array.from({ length: 6 }, () => empty.connect()))
    const applied = await Promise.all(owners.map((owner) => migrate(owner, migrations)))
    expect(applied.flat().toSorted()).toEqual(migrations.map(({ name }) => name))
    expect(await rowsOf(empty.owner, 'public.log')).toHaveLength(4)
  })

  test('stops at a file that fails, keeps those before it, and goes on once it is mended', async () => {
    const broken = await files(first, `${second} select 1 / 0;`)
    await expect(migrate(empty.owner, broken)).rejects.toMatchObject({ code: 'internal' })
    expect(await rowsOf(empty.owner, 'public.log')).toEqual([{ step: 'first' }])
    const mended = await files(first, second)
    expect(await migrate(empty.owner, mended)).toEqual(['0002_step'])
  })

  test('refuses files that changed after they were applied', async () => {
    await migrate(empty.owner, await files(first, second))
    const changed = await files(first, `${second} -- improved`)
    await expect(migrate(empty.owner, changed)).rejects.toMatchObject({
      code: 'misconfigured',
      details: { changedMigrations: ['0002_step'] },
    })
  })

  test('sees no change in the line ends of another platform', async () => {
    await migrate(empty.owner, await files(`${first}\n${second}\n`))
    expect(await migrate(empty.owner, await files(`${first}\r\n${second}\r\n`))).toEqual([])
  })

  test('refuses a database that a newer program migrated', async () => {
    await migrate(empty.owner, await files(first, second))
    await expect(migrate(empty.owner, await files(first))).rejects.toMatchObject({
      code: 'misconfigured',
      details: { unknownMigrations: ['0002_step'] },
    })
  })
})

describe('the state', () => {
  test('of a database without any migration is: everything pending', async () => {
    const migrations = await files(first, second)
    const state = await migrationState(empty.owner, migrations)
    expect(state).toEqual({ pending: ['0001_step', '0002_step'], unknown: [], changed: [] })
    expect(() => requireCurrent(state)).toThrow('lacks 2 migrations')
  })

  test('of a current database is read by the application role', async () => {
    const fresh = await openTestDatabase()
    const state = await migrationState(fresh.database, await readMigrations())
    expect(state).toEqual({ pending: [], unknown: [], changed: [] })
    requireCurrent(state)
    await fresh.close()
  })
})

describe('files', () => {
  test('must be numbered without a gap', async () => {
    const directory = join(root, 'gap')
    mkdirSync(directory)
    writeFileSync(join(directory, '0001_a.sql'), '')
    writeFileSync(join(directory, '0003_c.sql'), '')
    await expect(readMigrations(directory)).rejects.toMatchObject({ code: 'misconfigured' })
  })

  test('say the same in each engine’s words', () => {
    const text = 'a {{vector}}(3) {{#postgres}}p{{/postgres}}{{#embedded}}e{{/embedded}} z'
    const postgres = { engine: 'postgres', vectorType: fragment`halfvec` } as const
    const embedded = { engine: 'embedded', vectorType: fragment`vector` } as const
    expect(inDialect(text, postgres)).toBe('a halfvec(3) p z')
    expect(inDialect(text, embedded)).toBe('a vector(3) e z')
    expect(() => inDialect('{{vektor}}', embedded)).toThrow('{{vektor}}')
    expect(() => inDialect('{{#postgres}} never closed', embedded)).toThrow()
  })
})

test('the product’s migrations apply to several databases of a cluster at the same time', async () => {
  const migrations = await readMigrations()
  const databases = await Promise.all(
    Array.from({ length: testEngine === 'postgres' ? 3 : 1 }, openEmpty),
  )
  const applied = await Promise.all(databases.map(({ owner }) => migrate(owner, migrations)))
  expect(applied.map((names) => names.length)).toEqual(databases.map(() => migrations.length))
  await Promise.all(databases.map((database) => database.close()))
})

test('private memories stored before 0012 keep their readers and leave the common numbers', async () => {
  const migrations = await readMigrations()
  const before = migrations.findIndex(({ name }) => name.endsWith('_access'))
  await migrate(empty.owner, migrations.slice(0, before))
  await empty.owner.ownerTransaction(async (_sql, script) => {
    await script(`
      set local search_path = mindglue, public;
      insert into namespaces (namespace, name, embedder_model, embedder_dimension, analyzer_version, index_key,
        next_document) values (7, 'old', 'none', 0, 1, '', 257);
      insert into memories (namespace, id, version, document, content, type, source_kind, owner_agent, access,
        occurred_at, valid_from, recorded_at, dedupe_key, terms, tag_terms, entities, length)
      select 7, ('01890000-0000-7000-8000-00000000000' || n)::uuid, 1, n, '', 'note', 'user', 'ada',
        case n when 2 then 'private' else 'shared' end, now(), now(), now(), n::text::bytea, '', '', '', 1
      from generate_series(1, 3) n;
      insert into memory_agents select 7, id, agent from memories, unnest(array['grace', 'bob']) agent
        where document > 1;
      insert into postings select 7, 1, document, 1, 1 from memories;
      insert into embeddings select 7, document, '[1,0]' from memories;
      insert into mentions select 7, 1, document from memories;`)
  })
  await migrate(empty.owner, migrations)
  const rows = await empty.owner.ownerTransaction(
    (sql) => sql`
      select m.id, m.document, m.readers,
        (select array_agg(p.document) from mindglue.postings p where p.document = m.document) as postings,
        (select array_agg(e.document) from mindglue.embeddings e where e.document = m.document) as vectors,
        (select array_agg(n.document) from mindglue.mentions n where n.document = m.document) as mentions,
        (select next_private_document from mindglue.namespaces) as next
      from mindglue.memories m order by m.id`,
  )
  const expected = [1, 2 - 2 ** 31, 3].map((document) => ({
    document,
    readers: document < 0 ? ['bob', 'grace'] : null,
    postings: [document],
    vectors: [document],
    mentions: [document],
    next: 257,
  }))
  expect(rows).toMatchObject(expected)
})

test.runIf(testEngine === 'postgres')(
  'vectors that 0032 left in the planner’s statistics are gone, and their partitions built anew',
  async () => {
    const migrations = await readMigrations()
    const before = migrations.findIndex(({ name }) => name.endsWith('_trust_and_statistics'))
    await migrate(empty.owner, migrations.slice(0, before))
    await empty.owner.ownerTransaction(async (_sql, script) => {
      await script(`
        set local search_path = mindglue, public;
        create table partitioned_embeddings_7 partition of partitioned_embeddings for values in (7);
        insert into partitioned_embeddings
          select 7, n, format('[%s,1]', n)::halfvec from generate_series(1, 300) n;
        create index on partitioned_embeddings_7 using hnsw ((embedding::halfvec(2)) halfvec_ip_ops);
        insert into vector_partitions (namespace, dimension, state) values (7, 2, 'ready');
        analyze;`)
    })
    const kept = () =>
      empty.owner.ownerTransaction(
        (sql) => sql`select from pg_statistic s join pg_class c on c.oid = s.starelid
          where c.relnamespace = 'mindglue'::regnamespace and (s.*)::text like '%[%'`,
      )
    expect((await kept()).length).toBeGreaterThan(1)
    await migrate(empty.owner, migrations)
    expect(await kept()).toEqual([])
    const due = await empty.owner.ownerTransaction(
      (sql) => sql`select d.namespace, d.kind, p.state from mindglue.due d
        left join mindglue.vector_partitions p on p.namespace = d.namespace`,
    )
    expect(due).toEqual([{ namespace: 7n, kind: 'statistics', state: null }])
  },
)
