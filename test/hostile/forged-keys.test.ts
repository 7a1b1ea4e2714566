/**
 * Random, guessed and mutated API keys: none is accepted, and time does not tell which ids exist.
 * `FULL=1` runs the size required; `SEED=…` repeats a run.
 */
import { createHash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApiKey } from '../../src/auth/api-keys.ts'
import { toAppError } from '../../src/errors.ts'
import { bearerToken } from '../../src/http/bearer.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { callTool, issueKey, type Issued } from '../support/keys.ts'
import { seededRandom, seedOf } from '../support/random.ts'

const isFull = process.env['FULL'] === '1'
const size = isFull
  ? { forgeries: 100_000, overHttp: 5000, pairs: 10_000, timeoutMs: 3_600_000 }
  : { forgeries: 5000, overHttp: 60, pairs: 300, timeoutMs: 300_000 }
const lanes = 8
const seed = seedOf(process.env)
const random = seededRandom(seed)
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

let running: TestApp
/** Keys in force: whatever is not exactly one of them must be refused. */
let live: readonly Issued[]
/** Keys that were in force once. */
let dead: readonly string[]

beforeAll(async () => {
  // Each of them is to be judged by itself, not refused for the ones before it.
  running = await startTestApp({ environment: { MINDGLUE_FAILED_KEYS_PER_MINUTE: '100000' } })
  const { app } = running
  const issued: Issued[] = []
  for (let index = 0; index < 20; index++) {
    issued.push(await issueKey(running, `team-${index % 4}`, { agent: `agent-${index}` }))
  }
  const operator = await app.principal({
    namespaceName: 'team-0',
    agent: 'operator',
    channel: 'cli',
  })
  const revoked = await issueKey(running, 'team-0')
  await app.execute(app.operations.keyRevoke, operator, { id: revoked.id })
  const rotated = await issueKey(running, 'team-0')
  const input = { id: rotated.id, grace_seconds: 0 }
  await app.execute(app.operations.keyRotate, operator, input)
  live = issued
  dead = [revoked.key, rotated.key]
}, 120_000)
afterAll(() => running.close())

const below = (bound: number): number => Math.floor(random() * bound)
function one<T>(items: readonly T[]): T {
  const item = items[below(items.length)]
  if (item === undefined) throw new Error('nothing to choose from')
  return item
}
const digits = (length: number): string =>
  Array.from({ length }, () => alphabet[below(alphabet.length)]).join('')

/** A body with the checksum that it should have: what somebody who read our documents would send. */
function withChecksum(body: string): string {
  let rest = crc32(body)
  let checksum = ''
  for (let digit = 0; digit < 6; digit++) {
    checksum = (alphabet[rest % 62] ?? '') + checksum
    rest = Math.floor(rest / 62)
  }
  return body + checksum
}

function replaced(text: string, at: number, by: string): string {
  return text.slice(0, at) + by + text.slice(at + 1)
}

/** Each makes one forgery from the keys in force; all of them, in turn, make up the run. */
const forgeries: readonly (readonly [string, () => string])[] = [
  ['random text', () => randomBytes(1 + below(90)).toString('base64')],
  ['random digits in the form of a key', () => `mgk_${digits(22)}_${digits(49)}`],
  ['a well-formed key of nobody', () => createApiKey(uuidv7())],
  ['another secret of a key in force', () => createApiKey(one(live).id)],
  ['one character changed', () => replaced(one(live).key, below(76), one(Array.from(alphabet)))],
  [
    'one character changed and the checksum made right',
    () => {
      const body = one(live).key.slice(0, -6)
      return withChecksum(replaced(body, 27 + below(43), one(Array.from(alphabet))))
    },
  ],
  [
    'the secret of one key under the id of another',
    () => withChecksum(one(live).key.slice(0, 27) + one(live).key.slice(27, 70)),
  ],
  ['cut off', () => one(live).key.slice(0, below(76))],
  [
    'with something added',
    () => one(live).key + one([...Array.from(alphabet), '=', '==', '.', '/']),
  ],
  ['in another case', () => one([one(live).key.toUpperCase(), one(live).key.toLowerCase()])],
  ['revoked or rotated away', () => one(dead)],
  [
    'the stored hash in place of the key',
    () =>
      createHash('sha256')
        .update(one(live).key)
        .digest(one(['hex', 'base64', 'base64url'] as const)),
  ],
  ['two keys at once', () => `${one(live).key}${one(live).key}`],
  ['a secret of zeros', () => withChecksum(`${one(live).key.slice(0, 27)}${'0'.repeat(43)}`)],
]

/** The way of a request's header through the edge; true when somebody is served. */
async function isAccepted(text: string): Promise<boolean> {
  try {
    const credential = bearerToken(new Headers({ authorization: `Bearer ${text}` }))
    const request = { channel: 'mcp-http', requestId: uuidv7() } as const
    await running.app.authenticator.authenticate(credential, request)
    return true
  } catch (error) {
    if (error instanceof TypeError) return false // no header can hold such a text
    const { code } = toAppError(error)
    if (code !== 'unauthenticated') throw error
    return false
  }
}

test(
  `of ${size.forgeries} forged keys none is accepted (seed ${seed})`,
  { timeout: size.timeoutMs },
  async () => {
    const right = new Set(live.map(({ key }) => key))
    const accepted: string[] = []
    let made = 0
    const lane = async (): Promise<void> => {
      while (made < size.forgeries) {
        const [kind, make] = forgeries[made++ % forgeries.length] ?? one(forgeries)
        const text = make()
        if (!right.has(text) && (await isAccepted(text))) accepted.push(kind)
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    expect(accepted).toEqual([])
    for (const { key } of live) expect(await isAccepted(key)).toBe(true)
  },
)

test(`over HTTP ${size.overHttp} of them are 401 and tell nothing`, async () => {
  for (let run = 0; run < size.overHttp; run++) {
    const [, make] = forgeries[run % forgeries.length] ?? one(forgeries)
    const text = make()
    if (live.some(({ key }) => key === text)) continue
    const response = await callTool(running, text, 'recall').catch(() => undefined)
    if (response === undefined) continue // fetch sends no such header
    expect(response.status).toBe(401)
    const body = await response.text()
    if (text.length > 20) expect(body).not.toContain(text)
    for (const { id } of live) expect(body).not.toContain(id)
  }
}, 600_000)

test(
  'an unknown id and a wrong secret take the same time, within a millisecond',
  { timeout: size.timeoutMs },
  async () => {
    const times: Record<'unknown' | 'wrong', number[]> = { unknown: [], wrong: [] }
    const measure = async (kind: 'unknown' | 'wrong', text: string): Promise<void> => {
      const started = performance.now()
      await isAccepted(text)
      times[kind].push(performance.now() - started)
    }
    for (let pair = 0; pair < size.pairs; pair++) {
      const { id, key } = one(live)
      await isAccepted(key) // in force and remembered: the case that could be told apart
      const unknown = createApiKey(uuidv7())
      const wrong = createApiKey(id)
      // In turns, so that a machine that slows down slows both.
      if (pair % 2 === 0) await measure('unknown', unknown)
      await measure('wrong', wrong)
      if (pair % 2 === 1) await measure('unknown', unknown)
    }
    const gapMs = Math.abs(median(times.unknown) - median(times.wrong))
    if (isFull) {
      const of = (kind: 'unknown' | 'wrong') => median(times[kind]).toFixed(3)
      process.stderr.write(
        `unknown ${of('unknown')} ms, wrong ${of('wrong')} ms, gap ${gapMs.toFixed(3)} ms\n`,
      )
    }
    expect(gapMs).toBeLessThan(1)
  },
)

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
