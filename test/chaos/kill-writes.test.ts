/**
 * The server is killed with SIGKILL at random moments while clients write: what was acknowledged is
 * there, what was not is there whole or not at all. `FULL=1` runs the size the requirement names.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { testEngine } from '../support/database.ts'
import { installProgram, type Installation, type Server } from '../support/processes.ts'
import { seededRandom, seedOf } from '../support/random.ts'
import { until } from '../support/until.ts'
import { findDamage, noDamage, readHeld } from './integrity.ts'

const size =
  process.env['FULL'] === '1'
    ? { kills: 100, timeoutMs: 3_600_000 }
    : { kills: 4, timeoutMs: 300_000 }
/** The kill comes at a random moment within so many milliseconds of writing. */
const killWithinMs = 1500
/** Most kills wait for the first acknowledgement; the others may hit the first write of a process. */
const patience = 0.75
const writers = 4
const batchItems = 5
/** Every so many batches a memory of the batch is forgotten again. */
const forgetEvery = 2
const seed = seedOf(process.env)

let installation: Installation
beforeAll(async () => {
  installation = await installProgram()
})
afterAll(() => installation.remove())

const stored = z.object({ results: z.array(z.object({ id: z.string(), status: z.string() })) })
const recalled = z.object({ results: z.array(z.object({ id: z.string() })) })

/** What the clients know, from outside. */
class Ledger {
  readonly acknowledged = new Set<string>()
  readonly forgotten = new Set<string>()
  /** A forget that was sent and not answered: the memory may be there or not. */
  readonly uncertain = new Set<string>()
  readonly next: number[] = Array.from({ length: writers }, () => 0)
  /** Ids acknowledged since the last kill. */
  recent: string[] = []
}

/** Five memories with people, tags, a session and a reader, unlike any other batch. */
function batch(writer: number, number: number) {
  const name = `${String(writer)}-${String(number)}`
  return {
    idempotency_key: `batch-${name}`,
    memories: Array.from({ length: batchItems }, (_, item) => ({
      content: `Ada Lovelace met Grace Hopper in Lisbon about harbour plan ${name}-${String(item)}.`,
      tags: ['harbour', `plan-${name}`],
      session: `meeting-${name}`,
      speaker: 'Ada Lovelace',
      ...(item === 0 ? { access: 'private', allowed_agents: ['auditor'] } : {}),
    })),
  }
}

/** Writes until the server is gone; a batch that was not acknowledged is sent again after the restart. */
async function write(server: Server, ledger: Ledger, writer: number): Promise<void> {
  try {
    for (;;) {
      const number = ledger.next[writer] ?? 0
      const answer = await server.call('store', batch(writer, number))
      if (!answer.ok) throw new Error(`a store was refused: ${answer.code}`)
      const ids = stored.parse(answer.output).results.map(({ id }) => id)
      for (const id of ids) ledger.acknowledged.add(id)
      ledger.recent.push(...ids)
      ledger.next[writer] = number + 1
      const [victim] = ids
      if (victim !== undefined && (number + writer) % forgetEvery === 0) {
        ledger.uncertain.add(victim)
        const forgot = await server.call('forget', { ids: [victim] })
        if (!forgot.ok) throw new Error(`a forget was refused: ${forgot.code}`)
        ledger.forgotten.add(victim)
      }
    }
  } catch (error) {
    // A connection that broke says TypeError; anything else is a finding.
    if (!(error instanceof TypeError) && !(error instanceof SyntaxError)) throw error
  }
}

async function firstAcknowledgement(ledger: Ledger, writing: Promise<void>[]): Promise<void> {
  const acknowledged = until(() => ledger.recent.length > 0, {
    timeoutMs: 30_000,
    what: 'a first acknowledgement',
  })
  await Promise.race([acknowledged, Promise.all(writing)])
}

/** Acknowledged ids that the server, asked for them, does not give. */
async function missingOf(server: Server, ledger: Ledger): Promise<string[]> {
  const wanted = ledger.recent.filter((id) => !ledger.uncertain.has(id))
  const missing: string[] = []
  for (let start = 0; start < wanted.length; start += 100) {
    const ids = wanted.slice(start, start + 100)
    const answer = await server.call('recall', { ids, max_tokens: 50_000 })
    if (!answer.ok) throw new Error(`a recall was refused: ${answer.code}`)
    const found = new Set(recalled.parse(answer.output).results.map(({ id }) => id))
    missing.push(...ids.filter((id) => !found.has(id)))
  }
  return missing
}

test(
  `${String(size.kills)} kills during writes lose nothing acknowledged and leave nothing half-written`,
  { timeout: size.timeoutMs },
  async () => {
    const random = seededRandom(seed)
    const ledger = new Ledger()
    const lost: string[] = []
    for (let kill = 0; kill < size.kills; kill++) {
      const server = await installation.serve()
      lost.push(...(await missingOf(server, ledger)))
      ledger.recent = []
      const writing = Array.from({ length: writers }, (_, writer) => write(server, ledger, writer))
      if (random() < patience) await firstAcknowledgement(ledger, writing)
      await Promise.race([delay(random() * killWithinMs), Promise.all(writing)])
      expect(await server.end('SIGKILL')).toBe('SIGKILL')
      await Promise.all(writing)
    }
    const server = await installation.serve()
    lost.push(...(await missingOf(server, ledger)))
    expect(await server.end('SIGTERM')).toBe(0)

    const { damage, held } = await installation.inspect(async (owner) => ({
      damage: await findDamage(owner),
      held: await readHeld(owner),
    }))
    const there = new Set(held.memories)
    lost.push(
      ...[...ledger.acknowledged].filter((id) => !there.has(id) && !ledger.uncertain.has(id)),
    )
    const risen = [...ledger.forgotten].filter((id) => there.has(id))
    const figures = `${testEngine}: ${String(size.kills)} kills, ${String(ledger.acknowledged.size)} acknowledged, ${String(lost.length)} lost, ${String(ledger.forgotten.size)} forgotten, ${String(held.memories.length)} held, seed ${String(seed)}`
    process.stderr.write(`${figures}\n`)

    expect({ lost, risen }, figures).toEqual({ lost: [], risen: [] })
    expect(damage, figures).toEqual(noDamage)
    expect(held.memories, figures).toEqual(held.audited)
    expect(held.storeSizes, figures).toEqual([batchItems])
    expect(ledger.acknowledged.size).toBeGreaterThan(0)
  },
)
