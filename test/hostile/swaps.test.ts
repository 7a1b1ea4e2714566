/**
 * Stored values moved between rows, columns, versions, tables and namespaces, in the database itself: none
 * is believed, every refusal is typed, and what was left alone is answered as before. `FULL=1` runs the
 * number of swaps that the requirement names; CI a part, since each round writes and reads both namespaces.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EnvelopeError } from '../../src/crypto/envelope.ts'
import { AppError } from '../../src/errors.ts'
import { fieldColumns } from '../../src/memory/fields.ts'
import type { Principal } from '../../src/principal.ts'
import { testEngine } from '../support/database.ts'
import { openProcess, openTestMemory, type TestMemory } from '../support/memory.ts'
import { seededRandom, seedOf } from '../support/random.ts'
import { hexOf, raw } from '../support/statements.ts'
import { keyringOf } from '../support/vault.ts'

const size = process.env['FULL'] === '1' ? 22_000 : 1_000
const memories = 24
const perRound = 40
const seed = seedOf(process.env)
const random = seededRandom(seed)
const pick = <T>(list: readonly T[]): T => {
  const item = list[Math.floor(random() * list.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

/** One stored value. */
interface Cell {
  readonly namespace: bigint
  readonly table: string
  readonly column: string
  /** The row within its namespace, as a condition. */
  readonly row: string
  /** The memory version or the entity that is damaged with it. */
  readonly owner: string
  readonly token: Buffer
}

let memory: TestMemory
let principals: Principal[]
let cells: Cell[]
/** What each namespace answers when nothing was touched, by owner. */
let answers: Map<string, unknown>[]
let names: Set<string>[]
/** Name of an entity by its owner. */
let named: Map<string, string>

const word = (index: number): string => `canary${hexOf(String(index)).padEnd(6, '0')}q`
const owner = (id: string, version: number): string => `${id}/${version}`
const uuid = (namespace: number, index: number): string =>
  `01890000-0000-7000-8000-${String(namespace * 1000 + index).padStart(12, '0')}`

function lineOf(namespace: number, index: number, version: number): object {
  const time = new Date(Date.UTC(2026, 0, 1 + index, version)).toISOString()
  const mark = word(namespace * 10_000 + index * 10 + version)
  return {
    mindglue: 1,
    id: uuid(namespace, index),
    version,
    is_current: version === 2,
    content: `At the harbour Ada ${name(namespace, index)} wrote ${mark} for the pilots.`,
    raw_content: `um, ${mark}, at the harbour`,
    type: 'fact',
    tags: [`tag${mark}`],
    metadata: { mark },
    session: `session${mark}`,
    speaker: `Grace ${mark}`,
    access: 'shared',
    owner_agent: 'ada',
    importance: 0.5,
    occurred_at: time,
    recorded_at: time,
    valid_from: time,
    ...(version === 1 && { valid_to: time }),
    source: { kind: 'user', trust: 3, url: `https://example.org/${mark}` },
  }
}

const name = (namespace: number, index: number): string =>
  `${'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[index % 26]}${'aeiou'[index % 5]}rlowen${'abcdefgh'[namespace]}${'klmnprstv'[index % 9]}`

beforeAll(async () => {
  memory = await openTestMemory({ profile: 'sealed' })
  principals = []
  for (const namespace of [1, 2]) {
    const principal = await memory.principal({
      namespaceName: `swaps-${namespace}`,
      scopes: ['admin'],
      channel: 'cli',
    })
    principals.push({ ...principal, client: { name: `client${word(namespace)}`, version: '1' } })
    const lines = Array.from({ length: memories }, (_, index) =>
      [1, 2].map((version) => lineOf(namespace, index, version)),
    ).flat()
    const done = await memory.execute(memory.operations.import, principals.at(-1) ?? principal, {
      lines,
      own: true,
    })
    expect(done.imported).toBe(memories * 2)
  }
  cells = await readCells()
  answers = []
  names = []
  for (const principal of principals) {
    answers.push((await readAll(principal)).found)
    names.push(await readNames(principal))
  }
  for (const found of answers) expect(found.size).toBe(memories * 2)
  named = await nameOwners()
})
afterAll(() => memory.close())

function readCells(): Promise<Cell[]> {
  return memory.test.owner.ownerTransaction(async (sql) => {
    const read: Cell[] = []
    type Row = { namespace: bigint; row: string; owner: string; token: Buffer }
    const add = async (table: string, column: string, row: string, own: string, from = '') => {
      const rows = await sql<Row>`
        select t.namespace, ${raw(row)} as row, ${raw(own)} as owner, ${raw(`t.${column}`)} as token
        from ${raw(`mindglue.${table} t ${from}`)} where ${raw(`t.${column}`)} is not null
        order by 1, 2`
      read.push(...rows.map((each) => ({ ...each, table, column })))
    }
    const byId = `format('id = %L and version = %s', t.id, t.version)`
    const ofMemory = `t.id || '/' || t.version`
    for (const column of fieldColumns) await add('memories', column, byId, ofMemory)
    await add('memory_keys', 'token', byId, ofMemory)
    const join = 'join mindglue.memories m on m.namespace = t.namespace and m.document = t.document'
    const byDocument = `format('document = %s', t.document)`
    await add('sealed_embeddings', 'token', byDocument, `m.id || '/' || m.version`, join)
    for (const column of ['name', 'key_token']) {
      await add('entities', column, `format('entity = %s', t.entity)`, `t.entity::text`)
    }
    return read
  })
}

interface All {
  readonly found: Map<string, unknown>
  readonly unreadable: readonly string[]
}

async function readAll(principal: Principal): Promise<All> {
  const namespace = principals.indexOf(principal) + 1
  const ids = Array.from({ length: memories }, (_, index) => uuid(namespace, index))
  const answer = await memory.execute(memory.operations.recall, principal, {
    ids,
    include_history: true,
  })
  const found = new Map(answer.results.map((each) => [owner(each.id, each.version), each]))
  expect(answer.missing).toBeUndefined()
  return { found, unreadable: answer.unreadable ?? [] }
}

async function search(principal: Principal) {
  // Vectors that were opened before would hide what is stored now.
  memory.sealedVectors.forget(principal.namespace)
  const input = { query: 'Who wrote at the harbour?', limit: 100 }
  return await memory.execute(memory.operations.recall, principal, input)
}

async function readNames(principal: Principal): Promise<Set<string>> {
  const input = { prefix: '', limit: 100 }
  const { names: found } = await memory.execute(memory.operations.entityNames, principal, input)
  // A name whose memory does not decrypt is there, without its spelling.
  return new Set(found.map((each) => each.toLowerCase()))
}

/** Damages each entity in turn and sees which name is gone. */
async function nameOwners(): Promise<Map<string, string>> {
  const owners = new Map<string, string>()
  for (const cell of cells.filter(
    ({ table, column }) => table === 'entities' && column === 'name',
  )) {
    const principal = ofNamespace(cell.namespace)
    await write([{ to: cell, token: cell.token.subarray(1) }])
    const left = await readNames(principal)
    const gone = [...(names[principals.indexOf(principal)] ?? [])].filter((each) => !left.has(each))
    if (gone.length === 1) owners.set(keyOf(cell), gone[0] ?? '')
    await write([{ to: cell, token: cell.token }])
  }
  return owners
}

const ofNamespace = (namespace: bigint): Principal => {
  const found = principals.find((each) => each.namespace === namespace)
  if (!found) throw new Error('no such namespace')
  return found
}
const keyOf = ({ namespace, owner: own }: Cell): string => `${namespace} ${own}`

interface Write {
  readonly to: Cell
  readonly token: Buffer
}

function write(writes: readonly Write[]): Promise<void> {
  const statements = writes.map(
    ({ to, token }) =>
      `update mindglue.${to.table} set ${to.column} = '\\x${token.toString('hex')}'
        where namespace = ${to.namespace} and ${to.row};`,
  )
  return memory.test.owner.ownerTransaction((_, script) => script(statements.join('\n')))
}

/** One value in the place of another, or all values of a version, with their key, in the places of another's. */
function swap(to: Cell): readonly Write[] {
  const isVersion = to.table === 'memories' || to.table === 'memory_keys'
  if (!isVersion || random() > 0.25) {
    for (;;) {
      const from = random() < 0.5 ? pick(cells.filter((c) => c.column === to.column)) : pick(cells)
      if (!from.token.equals(to.token)) return [{ to, token: from.token }]
    }
  }
  const targets = cells.filter(
    (cell) => keyOf(cell) === keyOf(to) && cell.table !== 'sealed_embeddings',
  )
  const other = pick(cells.filter((c) => c.table === 'memory_keys' && keyOf(c) !== keyOf(to)))
  return targets.flatMap((target) => {
    const from = cells.find(
      (c) => keyOf(c) === keyOf(other) && c.table === target.table && c.column === target.column,
    )
    return from ? [{ to: target, token: from.token }] : []
  })
}

/** What was answered although it was not its own, or was not answered although nobody touched it. */
async function judge(principal: Principal, damaged: readonly Cell[]): Promise<string[]> {
  const at = principals.indexOf(principal)
  const wrong: string[] = []
  const here = damaged.filter(({ namespace }) => namespace === principal.namespace)
  const versions = new Set(
    here.filter(({ table }) => table.startsWith('memor')).map(({ owner: own }) => own),
  )
  const vectors = new Set(
    here.filter(({ table }) => table === 'sealed_embeddings').map(({ owner: own }) => own),
  )
  const idsOf = (owners: Iterable<string>) =>
    [...new Set([...owners].map((own) => own.slice(0, 36)))].toSorted()

  const { found, unreadable } = await readAll(principal)
  for (const [own, expected] of answers[at] ?? []) {
    const answer = found.get(own)
    if (versions.has(own) ? answer !== undefined : !isEqual(answer, expected)) wrong.push(own)
  }
  if (!isEqual([...unreadable].toSorted(), idsOf(versions))) wrong.push('ids named')

  const searched = await search(principal)
  const live = new Set(searched.results.map((each) => owner(each.id, each.version)))
  for (const own of answers[at]?.keys() ?? []) {
    if (own.endsWith('/2') && versions.has(own) === live.has(own)) wrong.push(`found ${own}`)
  }
  const current = [...versions, ...vectors].filter((own) => own.endsWith('/2'))
  const damagedIds = [...(searched.unreadable ?? [])].toSorted()
  // Vectors of versions that were replaced are searched too; a wrong key hides them as well.
  const possible = new Set(idsOf([...versions, ...vectors]))
  if (idsOf(current).some((id) => !damagedIds.includes(id))) wrong.push('search names too few')
  if (damagedIds.some((id) => !possible.has(id))) wrong.push('search names too many')

  const gone = here.filter(({ table }) => table === 'entities')
  const expectedNames = new Set(names[at])
  for (const cell of gone) expectedNames.delete(named.get(keyOf(cell)) ?? '')
  const left = await readNames(principal)
  if (!isEqual([...left].toSorted(), [...expectedNames].toSorted())) wrong.push('names')
  return wrong
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

test(
  `${String(size)} swaps: none is believed, and nothing else is lost`,
  { timeout: 3_600_000 },
  async () => {
    const targets = cells.filter((cell) => cell.table !== 'entities' || named.has(keyOf(cell)))
    const kinds = new Map<string, number>()
    let done = 0
    while (done < size) {
      const owners = new Set<string>()
      const writes: Write[] = []
      for (let count = 0; count < perRound; count += 1) {
        const to = pick(targets)
        if (owners.has(keyOf(to))) continue
        owners.add(keyOf(to))
        const values = swap(to)
        writes.push(...values)
        const kind = values.length > 1 ? 'whole version' : `${to.table}.${to.column}`
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
        done += 1
      }
      await write(writes)
      for (const principal of principals) {
        const wrong = await judge(
          principal,
          writes.map(({ to }) => to),
        )
        const what = writes.map(({ to }) => `${to.table}.${to.column} ${to.owner}`).join(', ')
        expect(wrong, `seed ${seed}, after ${done} swaps: ${what}`).toEqual([])
      }
      await write(writes.map(({ to }) => ({ to, token: to.token })))
    }
    const figures = [...kinds].map(([kind, count]) => `${kind} ${count}`).join(', ')
    process.stderr.write(`${testEngine}: ${done} swaps, 0 accepted, seed ${seed}: ${figures}\n`)
    // Everything is where it was: no round left anything behind.
    for (const principal of principals) expect(await judge(principal, [])).toEqual([])
    expect(memory.logged()).not.toMatch(/canary[0-9a-f]{6}/u)
  },
)

test('a key of another namespace, or of another use, opens no namespace', async () => {
  const [mine, theirs] = principals
  if (!mine || !theirs) throw new Error('two namespaces')
  const read = (namespace: bigint) =>
    memory.test.owner.ownerTransaction(async (sql) => {
      const [row] = await sql<{ index_key: Buffer; salt: Buffer }>`
        select n.index_key, k.salt from mindglue.namespaces n
        join mindglue.namespace_keys k on k.namespace = n.namespace
        where n.namespace = ${namespace}`
      if (!row) throw new Error('no such namespace')
      return row
    })
  const [own, foreign] = [await read(mine.namespace), await read(theirs.namespace)]
  const set = (table: string, column: string, value: Buffer) =>
    memory.test.owner.ownerTransaction((_, script) =>
      script(`update mindglue.${table} set ${column} = '\\x${value.toString('hex')}'
        where namespace = ${mine.namespace}`),
    )
  const others = cells.filter((_, index) => index % 50 === 0).map(({ token }) => token)
  const attempts = [
    ...[foreign.index_key, own.index_key.subarray(1), ...others].map(
      (token) => ['namespaces', 'index_key', token, own.index_key] as const,
    ),
    ['namespace_keys', 'salt', foreign.salt, own.salt] as const,
  ]
  const { recall, store, forget } = memory.operations
  for (const [table, column, value, before] of attempts) {
    await set(table, column, value)
    const fresh = openProcess(memory, {
      vault: { keystore: memory.vault.keystore, keyring: keyringOf(memory.vault) },
    })
    for (const ask of [
      () => fresh.execute(recall, mine, { query: 'harbour' }),
      () => fresh.execute(store, mine, { content: 'Never there.' }),
      () => fresh.execute(forget, mine, { everything: true }),
    ]) {
      const error = await ask().then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect(error).toBeInstanceOf(AppError)
      expect(error).toMatchObject({ code: 'internal' })
      expect(error instanceof AppError && error.cause).toBeInstanceOf(EnvelopeError)
    }
    await set(table, column, before)
  }
  expect((await readAll(mine)).found.size).toBe(memories * 2)
})

test('a damaged memory can still be forgotten, and an export names it instead of leaving it out', async () => {
  const [principal] = principals
  if (!principal) throw new Error('no principal')
  const target = cells.find((c) => c.column === 'content' && c.namespace === principal.namespace)
  const other = cells.find((c) => c.column === 'content' && c.namespace !== principal.namespace)
  if (!target || !other) throw new Error('no content')
  const id = target.owner.slice(0, 36)
  await write([{ to: target, token: other.token }])
  const exported = memory.execute(memory.operations.export, principal, {})
  await expect(exported).rejects.toMatchObject({ code: 'internal', details: { id } })
  await memory.execute(memory.operations.forget, principal, { ids: [id] })
  const { results } = await memory.execute(memory.operations.recall, principal, { limit: 100 })
  expect(results).toHaveLength(memories - 1)
  await memory.execute(memory.operations.export, principal, {})
})
