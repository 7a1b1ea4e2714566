/**
 * Root keys and epochs change under load while processes are killed with SIGKILL: in the end the newest key
 * alone opens everything that was acknowledged. `FULL=1` runs the size that the requirement names.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import type { OwnerDatabase } from '../../src/database/database.ts'
import { run, type Running } from '../daemon/program.ts'
import { testEngine } from '../support/database.ts'
import { installProgram, type Installation, type Server } from '../support/processes.ts'
import { seededRandom, seedOf } from '../support/random.ts'

const size =
  process.env['FULL'] === '1'
    ? { kills: 50, timeoutMs: 3_600_000 }
    : { kills: 3, timeoutMs: 300_000 }
const killWithinMs = 2_500
const writers = 3
/** A ring holds 32 keys at most, so old ones are let go on the way. */
const retireEvery = 6
const seed = seedOf(process.env)
const word = 'marmalade'

let installation: Installation
beforeAll(async () => {
  installation = await installProgram()
})
afterAll(() => installation.remove())

const stored = z.object({ results: z.array(z.object({ id: z.string() })) })
const recalled = z.object({ results: z.array(z.object({ id: z.string(), content: z.string() })) })
const status = z.object({ writing: z.int(), in_use: z.array(z.int()) })

const newKey = (): string => randomBytes(32).toString('base64')

/** A command of the program beside the server, under the same keys. */
function command(ring: readonly string[], ...args: string[]): Running {
  const environment = { ...installation.environment, MINDGLUE_ROOT_KEY: ring.join(' ') }
  return run(installation.main, args, environment)
}

async function finish(ring: readonly string[], ...args: string[]): Promise<string> {
  const running = command(ring, ...args)
  const { code } = await running.exit
  expect(code, `${args.join(' ')}: ${running.errors()}`).toBe(0)
  return running.lines.join('\n')
}

/** Contents by id of what the server acknowledged. */
type Ledger = Map<string, string>

/** Writes until the server is gone. */
async function write(server: Server, ledger: Ledger, writer: string): Promise<void> {
  try {
    for (let number = 0; ; number += 1) {
      const contents = [0, 1, 2].map((item) => `Ada keeps ${word} ${writer}-${number}-${item}.`)
      const answer = await server.call('store', {
        memories: contents.map((content) => ({ content, speaker: 'Grace Hopper' })),
      })
      if (!answer.ok) throw new Error(`a store was refused: ${answer.code}`)
      for (const [index, { id }] of stored.parse(answer.output).results.entries()) {
        ledger.set(id, contents[index] ?? '')
      }
    }
  } catch (error) {
    // A connection that broke says TypeError; anything else is a finding.
    if (!(error instanceof TypeError) && !(error instanceof SyntaxError)) throw error
  }
}

/** Acknowledged memories that the server does not give back in their words. */
async function unreadable(server: Server, ledger: Ledger): Promise<string[]> {
  const ids = [...ledger.keys()]
  const wrong: string[] = []
  for (let start = 0; start < ids.length; start += 100) {
    const page = ids.slice(start, start + 100)
    const answer = await server.call('recall', { ids: page, max_tokens: 50_000 })
    if (!answer.ok) return [...wrong, answer.code, ...page]
    const found = new Map(
      recalled.parse(answer.output).results.map(({ id, content }) => [id, content]),
    )
    wrong.push(...page.filter((id) => found.get(id) !== ledger.get(id)))
  }
  return wrong
}

/** Everything under the first key of the ring, which alone is kept. */
async function retireOthers(ring: readonly string[]): Promise<string[]> {
  await finish(ring, 'keys', 'rewrap')
  const { writing, in_use: inUse } = status.parse(
    JSON.parse(await finish(ring, 'keys', 'status', '--json')),
  )
  for (const id of inUse) {
    if (id !== writing) await finish(ring, 'keys', 'retire', String(id))
  }
  return ring.slice(0, 1)
}

/** Wrapped keys by root key, and rows that hold a word of a memory. */
function lookBehind(owner: OwnerDatabase) {
  return owner.ownerTransaction(async (sql) => {
    const keys = await sql<{ key_id: number }>`
      select key_id from mindglue.memory_keys
      union select key_id from mindglue.entities union select key_id from mindglue.namespace_keys`
    const [plain] = await sql<{ rows: number; keyless: number }>`
      select (select count(*)::int from mindglue.memories
          where position(${word}::text::bytea in content) > 0
            or position('Hopper'::bytea in coalesce(speaker, '')) > 0)
        + (select count(*)::int from mindglue.entities
          where position('hopper'::bytea in name) > 0) as rows,
        (select count(*)::int from mindglue.memories m where not exists (
          select from mindglue.memory_keys k
          where k.namespace = m.namespace and k.id = m.id and k.version = m.version)) as keyless`
    return { roots: keys.length, plain }
  })
}

test(
  `${String(size.kills)} kills during rotation leave nothing unreadable and nothing plain`,
  { timeout: size.timeoutMs },
  async () => {
    const random = seededRandom(seed)
    const ledger: Ledger = new Map()
    const lost: string[] = []
    let ring: string[] = []
    for (let kill = 0; kill < size.kills; kill += 1) {
      ring = [newKey(), ...ring]
      const server = await installation.serve({ MINDGLUE_ROOT_KEY: ring.join(' ') })
      lost.push(...(await unreadable(server, ledger)))
      const writing = Array.from({ length: writers }, (_, writer) =>
        write(server, ledger, `${kill}-${writer}`),
      )
      if (kill % retireEvery === retireEvery - 1) {
        // The others may go only when nothing is left under them, while stores go on.
        ring = await retireOthers(ring)
        await finish(ring, 'keys', 'shred')
      } else {
        const upkeep = [command(ring, 'keys', 'rewrap'), command(ring, 'keys', 'shred')]
        await delay(500 + random() * killWithinMs)
        // First, or they would start a daemon of their own in the place of the server.
        for (const { child } of upkeep) child.kill('SIGKILL')
        await Promise.all(upkeep.map(({ exit }) => exit))
      }
      expect(await server.end('SIGKILL')).toBe('SIGKILL')
      await Promise.all(writing)
    }
    const server = await installation.serve({ MINDGLUE_ROOT_KEY: ring.join(' ') })
    const [newest = ''] = await retireOthers(ring)
    await finish(ring, 'keys', 'shred')
    expect(await server.end('SIGTERM')).toBe(0)
    const last = await installation.serve({ MINDGLUE_ROOT_KEY: newest })
    lost.push(...(await unreadable(last, ledger)))
    expect(await last.end('SIGTERM')).toBe(0)

    const behind = await installation.inspect(lookBehind)
    const figures = `${testEngine}: ${String(size.kills)} kills, ${String(ledger.size)} acknowledged, ${String(lost.length)} unreadable, ${String(behind.plain?.rows)} plain, seed ${String(seed)}`
    process.stderr.write(`${figures}\n`)
    expect(lost, figures).toEqual([])
    expect(behind, figures).toEqual({ roots: 1, plain: { rows: 0, keyless: 0 } })
    expect(ledger.size).toBeGreaterThan(0)
  },
)
