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
/** Rounds of pairs at most, each larger than the one before; a quiet machine needs one. */
const rounds = 6
/** Standard errors about a median within which the true one lies 95 times in 100. */
const certainty = 1.96
const stock = 40
const seed = seedOf(process.env)
const random = seededRandom(seed)

let running: TestApp
let caller: Principal
let admin: Principal
/** Ids that are somebody else's. */
let foreign: Record<'namespace' | 'private', string[]>
let foreignKeys: string[]
let foreignGrants: string[]
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
  const owner = await at('theirs', 'operator', 'cli')
  await at('third', 'eve', 'mcp-http')
  foreignGrants = []
  for (const type of ['fact', 'note', 'event', 'task']) {
    const terms = { to: 'third', types: [type] }
    foreignGrants.push((await app.execute(app.operations.grantCreate, owner, terms)).id)
  }
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

interface Compared {
  /** What the foreign id took longer than the absent one, pair by pair in ms. */
  readonly differences: number[]
  readonly different: Set<string>
}

/** Pairs one after the other, either first: what the machine does meanwhile meets both alike. */
async function addPairs(
  { differences, different }: Compared,
  count: number,
  ids: readonly string[],
  call: (id: string) => Promise<unknown>,
  absent: () => string,
): Promise<void> {
  for (let pair = 0; pair < count; pair += 1) {
    const both = [pick(ids), absent()] as const
    const order = random() < 0.5 ? ([0, 1] as const) : ([1, 0] as const)
    const times = [0, 0]
    const said: string[] = []
    for (const which of order) {
      const asked = await ask(both[which], call)
      times[which] = asked.ms
      said[which] = asked.said
    }
    differences.push((times[0] ?? 0) - (times[1] ?? 0))
    if (said[0] !== said[1]) different.add(said.join(' <> '))
  }
}

interface Gap {
  readonly ms: number
  readonly low: number
  readonly high: number
}

/** The median and what the true one lies between: of a sorted list the places, whatever it is distributed like. */
function gapOf(differences: readonly number[]): Gap {
  const sorted = differences.toSorted((one, other) => one - other)
  const middle = (sorted.length - 1) / 2
  const reach = (certainty * Math.sqrt(sorted.length)) / 2
  const at = (place: number) =>
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(place)))] ?? Number.NaN
  return { ms: at(middle), low: at(middle - reach), high: at(middle + reach) }
}

const figures: string[] = []

/**
 * Asks until the pairs, all of them together, say that there is no gap; what stays open is judged by its median. No
 * round is forgotten, so that a gap near the bound is not tried until it passes.
 */
async function measure(
  what: string,
  ids: readonly string[],
  call: (id: string) => Promise<unknown>,
  absent: () => string = absentId,
): Promise<Gap & Pick<Compared, 'different'>> {
  const share = Math.ceil(pairs / (2 * calls.length + 5))
  await addPairs({ differences: [], different: new Set() }, 5, ids, call, absent) // warm
  const compared: Compared = { differences: [], different: new Set() }
  let gap: Gap | undefined
  for (let round = 1; round <= rounds; round += 1) {
    await addPairs(compared, share * round, ids, call, absent)
    gap = gapOf(compared.differences)
    if (gap.low > -gapMsMax && gap.high < gapMsMax) break
  }
  if (!gap) throw new Error('nothing was asked')
  const [ms, low, high] = [gap.ms, gap.low, gap.high].map((each) => each.toFixed(2))
  figures.push(`${what}: ${compared.differences.length} pairs, ${ms} ms (${low} to ${high})`)
  return { ...gap, different: compared.different }
}

async function expectAlike(...asked: Parameters<typeof measure>): Promise<void> {
  const { ms, different } = await measure(...asked)
  expect([...different]).toEqual([])
  expect(Math.abs(ms), asked[0]).toBeLessThan(gapMsMax)
}

const calls: readonly (readonly [what: string, call: (id: string) => Promise<unknown>])[] = [
  ['recall by id', (id) => run('recall', { ids: [id] })],
  ['recall of a history', (id) => run('recall', { ids: [id], include_history: true })],
  ['forget by id', (id) => run('forget', { ids: [id] })],
  ['forget, dry run', (id) => run('forget', { ids: [id], dry_run: true })],
  ['an edit', (id) => refused(running.app.operations.edit, { id, tags: ['x'] })],
  ['retiring', (id) => refused(running.app.operations.retire, { id, retire: 'x' })],
  ['restoring', (id) => refused(running.app.operations.restore, { id, restore_version: 1 })],
  ['pinning', (id) => refused(running.app.operations.pin, { id, pin: true })],
  ['feedback', (id) => refused(running.app.operations.feedback, { id, feedback: 'wrong' })],
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
  who = caller,
): Promise<unknown> {
  return running.app.execute(operation, who, input).then(
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

  test(
    'a grant between it and a third cannot be told from none by who may end grants',
    { timeout: 600_000 },
    async () => {
      const revoke = (id: string) => refused(running.app.operations.grantRevoke, { id }, admin)
      await expectAlike('ending a grant', foreignGrants, revoke)
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

test('a gap of one and a half milliseconds is seen', { timeout: 600_000 }, async () => {
  const ids = new Set(foreign.namespace)
  const slower = async (id: string): Promise<unknown> => {
    const answer = await run('recall', { ids: [id] })
    const until = performance.now() + 1.5
    while (ids.has(id) && performance.now() < until);
    return answer
  }
  const { ms } = await measure('a gap of 1.5 ms', foreign.namespace, slower)
  expect(ms).toBeGreaterThan(gapMsMax)
})

afterAll(() => {
  process.stderr.write(
    `${testEngine}, seed ${seed}, foreign less absent, median and its bounds:\n${figures.join('\n')}\n`,
  )
})
