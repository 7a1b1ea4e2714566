/**
 * Somebody else's id against one that never was: the same answer, word for word, in the same time. For what
 * belongs to another namespace and for another agent's private memory. `FULL=1` asks 10,000 pairs.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { v7 as uuidv7 } from 'uuid'
import type { z } from 'zod'
import { AppError } from '../../src/errors.ts'
import type { Operation } from '../../src/operation.ts'
import type { Principal } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { testEngine } from '../support/database.ts'
import { issueKey, sendMessage } from '../support/keys.ts'
import { seededRandom, seedOf } from '../support/random.ts'

const pairs = process.env['FULL'] === '1' ? 10_000 : 400
const gapMsMax = 1
/** A gap that is there is there each time; one of a busy machine is not. */
const attempts = 8
const stock = 40
const seed = seedOf(process.env)
const random = seededRandom(seed)

let running: TestApp
let caller: Principal
let admin: Principal
/** Ids that are somebody else's. */
let foreign: Record<'namespace' | 'private', string[]>
let foreignKeys: string[]
let foreignCursors: string[]

beforeAll(async () => {
  running = await startTestApp()
  const { app } = running
  const at = (namespaceName: string, agent: string, channel: Principal['channel']) =>
    app.principal({ namespaceName, agent, channel })
  caller = await at('default', app.config.agent, 'mcp-http')
  admin = await at('default', 'operator', 'cli')
  const theirs = await at('theirs', 'eve', 'mcp-http')
  const eve = await at('default', 'eve', 'mcp-http')
  const many = (word: string, more: object) =>
    Array.from({ length: stock }, (_, index) => ({
      content: `The ${word} number ${index}.`,
      ...more,
    }))
  const store = async (who: Principal, memories: object[]) => {
    const { results } = await app.execute(app.operations.store, who, { memories })
    return results.map(({ id }) => id)
  }
  foreign = {
    namespace: await store(theirs, many('lantern', {})),
    private: await store(eve, many('candle', { access: 'private' })),
  }
  // The caller has memories of its own: an empty namespace would answer without looking.
  await store(caller, many('kettle', {}))
  foreignKeys = []
  for (let key = 0; key < 4; key += 1) foreignKeys.push((await issueKey(running, 'theirs')).id)
  const cursors = [
    app.execute(app.operations.export, theirs, { limit: 1 }),
    app.execute(app.operations.recall, theirs, { limit: 1 }),
  ]
  foreignCursors = (await Promise.all(cursors)).map((page) => page.next_cursor ?? '')
  expect(foreignCursors.every((cursor) => cursor.length > 20)).toBe(true)
})
afterAll(() => running.close())

const pick = <T>(list: readonly T[]): T => {
  const item = list[Math.floor(random() * list.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}
/** As the product makes them, from the time of the others. */
const absentId = (): string => uuidv7({ msecs: Date.now() - Math.floor(random() * 10_000) })

interface Asked {
  readonly ms: number
  /** The whole answer or refusal, the id itself taken out. */
  readonly said: string
}

async function ask(id: string, call: (id: string) => Promise<unknown>): Promise<Asked> {
  const began = performance.now()
  const answer = await call(id).catch((error: unknown) => {
    if (!(error instanceof AppError)) throw error
    return { code: error.code, message: error.publicMessage, details: error.details }
  })
  const ms = performance.now() - began
  // Ids count, each by its digits.
  const text = JSON.stringify(answer)
    .replaceAll(id, 'ID')
    .replaceAll(/"tokens":\d+/gu, '"tokens":0')
  return { ms, said: text.replaceAll(/"confirm_(token|before)":"[^"]*"/gu, '"confirm_$1":""') }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

interface Compared {
  readonly gap: number
  readonly medians: readonly [foreign: number, absent: number]
  readonly different: readonly string[]
}

/** Pairs one after the other, either first: what the machine does meanwhile meets both alike. */
async function compare(
  count: number,
  ids: readonly string[],
  call: (id: string) => Promise<unknown>,
  absent: () => string,
): Promise<Compared> {
  const times: [number[], number[]] = [[], []]
  const different = new Set<string>()
  for (let pair = 0; pair < count; pair += 1) {
    const both = [pick(ids), absent()] as const
    const order = random() < 0.5 ? ([0, 1] as const) : ([1, 0] as const)
    const said: string[] = []
    for (const which of order) {
      const asked = await ask(both[which], call)
      times[which].push(asked.ms)
      said[which] = asked.said
    }
    if (said[0] !== said[1]) different.add(said.join(' <> '))
  }
  const medians = [median(times[0]), median(times[1])] as const
  return { gap: Math.abs(medians[0] - medians[1]), medians, different: [...different] }
}

const figures: string[] = []

/** Asks until a set of pairs shows no gap; the words must be alike in all of them. */
async function expectAlike(
  what: string,
  ids: readonly string[],
  call: (id: string) => Promise<unknown>,
  absent: () => string = absentId,
): Promise<void> {
  const share = Math.ceil(pairs / (2 * calls.length + 4))
  await compare(5, ids, call, absent) // warm
  let compared: Compared | undefined
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    compared = await compare(share * (1 + attempt), ids, call, absent)
    expect(compared.different).toEqual([])
    if (compared.gap < gapMsMax) break
  }
  figures.push(
    `${what}: ${share} pairs, ${compared?.medians.map((ms) => ms.toFixed(2)).join(' / ') ?? ''} ms`,
  )
  expect(compared?.gap, what).toBeLessThan(gapMsMax)
}

const calls: readonly (readonly [what: string, call: (id: string) => Promise<unknown>])[] = [
  ['recall by id', (id) => run('recall', { ids: [id] })],
  ['recall of a history', (id) => run('recall', { ids: [id], include_history: true })],
  ['forget by id', (id) => run('forget', { ids: [id] })],
  ['forget, dry run', (id) => run('forget', { ids: [id], dry_run: true })],
  ['an edit', (id) => refused(running.app.operations.edit, { id, tags: ['x'] })],
  ['retiring', (id) => refused(running.app.operations.retire, { id, retire: 'x' })],
  ['pinning', (id) => refused(running.app.operations.pin, { id, pin: true })],
  ['a resource', (id) => resource(`memory://default/${id}`)],
  ['the resource of a history', (id) => resource(`memory://default/${id}/history`)],
]

function run(name: 'recall' | 'forget' | 'export', input: object): Promise<unknown> {
  const { execute, operations } = running.app
  if (name === 'recall') return execute(operations.recall, caller, input)
  if (name === 'forget') return execute(operations.forget, caller, input)
  return execute(operations.export, caller, input)
}

/** How a change of what is out of sight is refused. */
async function refused<I extends z.ZodType, O extends z.ZodType, P>(
  operation: Operation<I, O, P>,
  input: object,
): Promise<unknown> {
  return running.app.execute(operation, caller, input).then(
    () => 'done',
    (error: unknown) => (error instanceof AppError ? [error.code, error.publicMessage] : error),
  )
}

async function resource(uri: string): Promise<unknown> {
  const response = await sendMessage(running, running.apiKey, {
    method: 'resources/read',
    params: { uri },
  })
  return [response.status, await response.text()]
}

describe.each(['namespace', 'private'] as const)('of another one (%s)', (kind) => {
  test.each(calls)('%s', { timeout: 600_000 }, async (what, call) => {
    await expectAlike(`${what}, ${kind}`, foreign[kind], call)
  })
})

describe('of another namespace', () => {
  test(
    'a resource under its name is as one under a name that nobody has',
    { timeout: 600_000 },
    async () => {
      const there = foreign.namespace.map((id) => `memory://theirs/${id}`)
      await expectAlike(
        'a resource under its name',
        there,
        resource,
        () => `memory://nobody/${absentId()}`,
      )
    },
  )

  test(
    'a key of it cannot be told from none by who may end keys',
    { timeout: 600_000 },
    async () => {
      const { execute, operations } = running.app
      const revoke = (id: string) => execute(operations.keyRevoke, admin, { id })
      await expectAlike('ending a key', foreignKeys, revoke)
    },
  )

  test('a cursor of it is as good as one made up', { timeout: 600_000 }, async () => {
    const made = () => {
      const { length } = pick(foreignCursors)
      return randomBytes(length).toString('base64url').slice(0, length)
    }
    for (const name of ['export', 'recall'] as const) {
      const call = (cursor: string) => run(name, { cursor })
      await expectAlike(`a cursor of ${name}`, foreignCursors, call, made)
    }
  })
})

afterAll(() => {
  process.stderr.write(`${testEngine}, seed ${seed}, foreign / absent:\n${figures.join('\n')}\n`)
})
