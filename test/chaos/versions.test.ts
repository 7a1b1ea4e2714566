/**
 * Random sequences of every change of a memory, by several clients at once, against a plain model of what there
 * should be; the server is killed with SIGKILL meanwhile. `FULL=1` runs the size the requirement names, with
 * `SEQUENCES` a part of it; `SEED` repeats the choices of a run.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testEngine } from '../support/database.ts'
import { installProgram, type Installation } from '../support/processes.ts'
import { seededRandom, seedOf } from '../support/random.ts'
import { findDamage, noDamage } from './integrity.ts'
import { Sequence, Servers } from './version-sequences.ts'

const isFull = process.env['FULL'] === '1'
const sequences = isFull ? Number(process.env['SEQUENCES'] ?? 10_000) : 40
/** A kill costs the seconds of a recovery. */
const size = {
  sequences,
  kills: Math.ceil(sequences / 200),
  timeoutMs: isFull ? 14_400_000 : 300_000,
}
const lanes = 6
/** The kill comes at a random moment within so many milliseconds of its turn. */
const killWithinMs = 700
const seed = seedOf(process.env)

let installation: Installation
beforeAll(async () => {
  installation = await installProgram()
})
afterAll(() => installation.remove())

test(
  `${size.sequences} random sequences and ${size.kills} kills: current, history, as_of and counts are as a model says (seed ${seed})`,
  { timeout: size.timeoutMs },
  async () => {
    const servers = new Servers(installation)
    const findings: string[] = []
    const counts = new Map<string, number>()
    const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1)
    let begun = 0
    let killing = Promise.resolve()
    const random = seededRandom(seed)
    const killEvery = Math.floor(size.sequences / (size.kills + 1))
    const lane = async (): Promise<void> => {
      while (begun < size.sequences && findings.length < 10) {
        const number = (begun += 1)
        if (number % killEvery === 0 && number < size.sequences) {
          const after = random() * killWithinMs
          killing = killing.then(() => delay(after)).then(() => servers.kill())
        }
        const sequence = new Sequence(servers, seededRandom(seed + number), number)
        await sequence.run(count)
        findings.push(...sequence.findings)
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    await killing
    await servers.end()
    const damage = await installation.inspect(findDamage)
    const figures = `random sequences, ${testEngine}, seed ${seed}, ${servers.kills} kills: ${JSON.stringify(Object.fromEntries(counts))}, ${findings.length} differences`
    process.stderr.write(`${figures}\n`)
    expect(findings, figures).toEqual([])
    expect(damage, figures).toEqual(noDamage)
    expect(counts.get('sequence'), figures).toBe(size.sequences)
    expect(counts.get('unanswered') ?? 0, figures).toBeGreaterThan(0)
  },
)
