/**
 * Every guard is taken away in turn, and somebody notices: policies, FORCE, rights, triggers and functions of
 * the database, and the scopes, locks and bindings in the sources. A sample; `FULL=1` takes all.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPostgres, type PostgresDatabase } from '../../src/database/postgres.ts'
import { testEngine } from '../support/database.ts'
import { seededRandom, seedOf } from '../support/random.ts'
import { databaseMutants, type Mutant } from './mutation/database-mutants.ts'
import { DatabaseKillers } from './mutation/database-run.ts'
import { Report } from './mutation/report.ts'
import { brokenWithout, runMarked } from './mutation/source-run.ts'
import { sitesOf } from './mutation/sources.ts'
import { openWorld, type World } from './mutation/world.ts'

const isFull = process.env['FULL'] === '1'
const timeout = isFull ? 7_200_000 : 180_000
const seed = seedOf(process.env)
const random = seededRandom(seed)
const report = new Report()
/** Of a sample. */
const databaseMs = 8_000
const scopesMax = 12
const bindingsMax = 3
/** The whole program runs once in a sample: for scopes, or on a server for locks. */
const isForLocks = testEngine === 'postgres' && random() < 0.5

/** In an order of chance. */
function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((each) => ({ each, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ each }) => each)
}

let world: World
let other: PostgresDatabase | undefined
let killers: DatabaseKillers
beforeAll(async () => {
  world = await openWorld()
  if (testEngine === 'postgres') {
    other = await openPostgres({ url: world.memory.test.adminUrl, poolMax: 1 })
  }
  killers = new DatabaseKillers(world, other)
})
afterAll(async () => {
  await other?.close()
  await world.memory.close()
  process.stderr.write(`mutants, ${testEngine}, seed ${seed}:\n${report.toString()}\n`)
})

test('the database as it is does what the model says', { timeout }, async () => {
  expect(await killers.baseline(isFull ? 1 : 0.1, random)).toEqual([])
})

test('no guard of the database is missed by nobody', { timeout }, async () => {
  const all = await world.undone((sql) => databaseMutants(sql))
  // One session has nobody to keep out.
  const isOfEngine = ({ kind }: Mutant) =>
    testEngine === 'postgres' || kind !== 'lock in a function'
  const mutants = shuffled(all.filter(isOfEngine))
  for (const { kind } of mutants) report.count(kind)
  // One of each kind first.
  const firsts = [...new Map(mutants.map((mutant) => [mutant.kind, mutant])).values()]
  const order = [...firsts, ...mutants.filter((mutant) => !firsts.includes(mutant))]
  const start = performance.now()
  for (const [index, mutant] of order.entries()) {
    const isOver = index >= firsts.length && performance.now() - start > databaseMs
    if (!isFull && isOver) break
    report.add(mutant.kind, mutant.name, await killers.kill(mutant))
  }
  expect(report.survivors).toEqual([])
  expect(mutants.length).toBeGreaterThan(1000)
})

test.runIf(isFull || !isForLocks)(
  'no scope is missed by nobody, with no policy to help it',
  { timeout },
  async () => {
    const sites = sitesOf('scope')
    const wanted = isFull ? sites : shuffled(sites).slice(0, scopesMax)
    const { killed, open, findings } = await runMarked('scope-run', sites, wanted)
    expect(findings).toEqual([])
    report.count('scope', sites.length)
    for (const { id, line, found } of wanted) {
      // The embedded engine has no partitions: what it never sends is asked for on the other one.
      if (testEngine === 'embedded' && open.get(id) === 0) continue
      report.add('scope', `${id}, line ${line}: ${found}`, killed.get(id))
    }
    expect(report.survivors).toEqual([])
    expect(sites.length).toBeGreaterThan(150)
  },
)

test.runIf(testEngine === 'postgres' && (isFull || isForLocks))(
  'no lock is missed by nobody',
  { timeout },
  async () => {
    const sites = sitesOf('lock')
    const { killed, findings } = await runMarked('lock-run', sites, sites)
    expect(findings).toEqual([])
    report.count('lock', sites.length)
    for (const { id, line, found } of sites) {
      report.add('lock', `${id}, line ${line}: ${found}`, killed.get(id))
    }
    expect(report.survivors).toEqual([])
    expect(sites.length).toBeGreaterThan(20)
  },
)

test('no binding is missed by nobody', { timeout }, async () => {
  expect(await brokenWithout()).toEqual([])
  const sites = sitesOf('binding')
  report.count('binding', sites.length)
  for (const site of isFull ? sites : shuffled(sites).slice(0, bindingsMax)) {
    const [why] = await brokenWithout(site)
    report.add('binding', `${site.id}, line ${site.line}: ${site.instead}`, why)
  }
  expect(report.survivors).toEqual([])
  expect(sites.length).toBeGreaterThan(100)
})
