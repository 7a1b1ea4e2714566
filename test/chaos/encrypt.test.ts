/**
 * A plain namespace is encrypted and sealed while it serves, and everything is killed with SIGKILL in the
 * middle of it: the next run finishes it, and every memory is found as before. `FULL=1` runs more kills.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { distinctSentences } from '../../bench/support/sentences.ts'
import type { OwnerDatabase } from '../../src/database/database.ts'
import { run } from '../daemon/program.ts'
import { testEngine } from '../support/database.ts'
import { installProgram, type Installation, type Server } from '../support/processes.ts'
import { seededRandom, seedOf } from '../support/random.ts'

const size =
  process.env['FULL'] === '1'
    ? { kills: 12, memories: 6_000, timeoutMs: 900_000 }
    : { kills: 2, memories: 1_500, timeoutMs: 240_000 }
const killWithinMs = 1_500
const seed = seedOf(process.env)

let installation: Installation
beforeAll(async () => {
  installation = await installProgram()
})
afterAll(() => installation.remove())

const rootKey = randomBytes(32).toString('base64')
const keys = { MINDGLUE_ROOT_KEY: rootKey, MINDGLUE_PROFILE: 'off', MINDGLUE_LIMITS: 'off' }
const answer = z.object({
  results: z.array(z.object({ id: z.string(), content: z.string(), score: z.number() })),
})
type Answers = z.infer<typeof answer>['results'][]
/** Rounding moves a score in its fourth digit (0.0001 measured), and memories that close change places. */
const scoreTolerance = 0.001
const contents = [...distinctSentences(size.memories, 7)]
const questions = contents.filter((_, index) => index % Math.ceil(size.memories / 25) === 0)

/** The first ten answers to each question. */
async function ask(server: Server): Promise<Answers> {
  const all: Answers = []
  for (const query of questions) {
    const reply = await server.call('recall', { query, limit: 10 })
    if (!reply.ok) throw new Error(`a recall was refused: ${reply.code}`)
    const { results } = answer.parse(reply.output)
    expect(results[0]?.content).toBe(query)
    all.push(results)
  }
  return all
}

/** Places where another memory stands, and not one that is as good. */
function displaced(before: Answers, after: Answers): string[] {
  return before.flatMap((results, question) => {
    const now = after[question] ?? []
    const scores = new Map(now.map(({ id, score }) => [id, score]))
    const last = now.at(-1)?.score ?? 0
    return results.flatMap(({ id }, place) => {
      const moved = Math.abs((scores.get(id) ?? last) - (now[place]?.score ?? 0))
      return moved > scoreTolerance ? [`question ${String(question)}, place ${String(place)}`] : []
    })
  })
}

const encrypt = () =>
  run(installation.main, ['keys', 'encrypt', '--profile', 'sealed'], {
    ...installation.environment,
    ...keys,
  })

/** What is left behind the policies. */
function lookBehind(owner: OwnerDatabase) {
  return owner.ownerTransaction(async (sql) => {
    const [row] = await sql<{ profile: string; vectors: number; sealed: number; keyless: number }>`
      select (select string_agg(profile, ',') from mindglue.namespaces) as profile,
        (select count(*)::int from mindglue.embeddings) as vectors,
        (select count(*)::int from mindglue.sealed_embeddings) as sealed,
        (select count(*)::int from mindglue.memories m where not exists (
          select from mindglue.memory_keys k
          where k.namespace = m.namespace and k.id = m.id and k.version = m.version)) as keyless`
    return row
  })
}

test(
  `${String(size.kills)} kills in the middle, and the next run ends with nothing plain`,
  { timeout: size.timeoutMs },
  async () => {
    const random = seededRandom(seed)
    const first = await installation.serve(keys)
    for (let start = 0; start < contents.length; start += 100) {
      const memories = contents.slice(start, start + 100).map((content) => ({ content }))
      expect(await first.call('store', { memories })).toMatchObject({ ok: true })
    }
    const before = await ask(first)
    expect(await first.end('SIGTERM')).toBe(0)

    for (let kill = 0; kill < size.kills; kill += 1) {
      const server = await installation.serve(keys)
      const running = encrypt()
      await delay(300 + random() * killWithinMs)
      running.child.kill('SIGKILL')
      await running.exit
      expect(await server.end('SIGKILL')).toBe('SIGKILL')
    }
    const server = await installation.serve(keys)
    const last = encrypt()
    const { code } = await last.exit
    expect(code, last.errors()).toBe(0)
    expect(last.lines.join(' ')).toContain('index key is the one that stood there')
    // A server keeps plain vectors in half precision and seals what it kept: the order stays.
    expect(displaced(before, await ask(server))).toEqual([])
    expect(await server.end('SIGTERM')).toBe(0)

    const behind = await installation.inspect(lookBehind)
    process.stderr.write(`${testEngine}: ${JSON.stringify(behind)}, seed ${String(seed)}\n`)
    expect(behind).toEqual({ profile: 'sealed', vectors: 0, sealed: size.memories, keyless: 0 })
  },
)
