/**
 * Every guard is taken away in turn, and somebody notices: policies, FORCE, rights, triggers and functions of
 * the database, and the scopes, locks and bindings in the sources. A sample of each kind, the same in every
 * run and another one for each `SEED`; `FULL=1` takes all.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPostgres, type PostgresDatabase } from '../../src/database/postgres.ts'
import { testEngine } from '../support/database.ts'
import { seededRandom } from '../support/random.ts'
import { databaseMutants, type Mutant } from './mutation/database-mutants.ts'
import { DatabaseKillers } from './mutation/database-run.ts'
import { isEquivalent } from './mutation/equivalent.ts'
import { Report } from './mutation/report.ts'
import { brokenWithout, runMarked } from './mutation/source-run.ts'
import { listOf, sitesOf, type Site } from './mutation/sources.ts'
import { openWorld, type World } from './mutation/world.ts'

const isFull = process.env['FULL'] === '1'
const timeout = isFull ? 7_200_000 : 180_000
const seed = Number(process.env['SEED'] ?? 0) >>> 0
const report = new Report()
/** Of each kind in a sample. */
const databaseMax = 3
const scopesMax = 8
const bindingsMax = 4

/** At most `count`, evenly spread over the list; each seed begins one further. */
function spread<T>(list: readonly T[], count: number): readonly T[] {
  if (isFull || list.length <= count) return list
  const step = list.length / count
  const places = Array.from({ length: count }, (_, index) => Math.floor(seed + index * step))
  return places.map((place) => list[place % list.length]).filter((each) => each !== undefined)
}

const nameOf = ({ id, line, found }: Site): string => `${id}, line ${line}: ${found}`

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

test('no scope and no lock of the sources goes or comes without a word', async () => {
  // Mutants are made of the guards that are there: one that somebody took out is missed here alone.
  await expect(listOf(sitesOf('scope'))).toMatchFileSnapshot('mutation/scopes.txt')
  await expect(listOf(sitesOf('lock'))).toMatchFileSnapshot('mutation/locks.txt')
})

test('the database as it is does what the model says', { timeout }, async () => {
  // Six times as long on the embedded engine, for the same policies.
  const share = isFull || testEngine === 'postgres' ? 1 : 0.1
  expect(await killers.baseline(share, seededRandom(seed))).toEqual([])
})

test('no guard of the database is missed by nobody', { timeout }, async () => {
  const all = await world.undone((sql) => databaseMutants(sql))
  // One session has nobody to keep out.
  const isOfEngine = ({ kind }: Mutant) =>
    testEngine === 'postgres' || kind !== 'lock in a function'
  const mutants = all.filter(isOfEngine)
  for (const { kind } of mutants) report.count(kind)
  for (const kind of new Set(mutants.map((mutant) => mutant.kind))) {
    const ofKind = mutants.filter((mutant) => mutant.kind === kind)
    const chosen = spread(ofKind, databaseMax)
    // Whoever asks for one that nobody can notice asks every probe.
    for (const mutant of chosen.filter(({ name }) => isFull || !isEquivalent(kind, name))) {
      await report.time(kind, mutant.name, () => killers.kill(mutant))
    }
  }
  expect(report.survivors).toEqual([])
  expect(report.needless).toEqual([])
  expect(mutants.length).toBeGreaterThan(1500)
})

// The statements are the same on both engines: the full run alone asks both.
const isWithoutServer = process.env['TEST_DATABASE_URL'] === undefined
test.runIf(isFull || testEngine === 'postgres' || isWithoutServer)(
  'no scope is missed by nobody, with no policy to help it',
  { timeout },
  async () => {
    const sites = sitesOf('scope')
    const wanted = spread(sites, scopesMax)
    const start = performance.now()
    const { killed, open, findings } = await runMarked('scope-run', sites, wanted)
    report.spend('scope', performance.now() - start)
    expect(findings).toEqual([])
    report.count('scope', sites.length)
    for (const site of wanted) {
      // The embedded engine has no partitions: what it never sends is asked for on the other one.
      if (testEngine === 'embedded' && open.get(site.id) === 0) continue
      report.add('scope', nameOf(site), killed.get(site.id))
    }
    expect(report.survivors).toEqual([])
  },
)

test.runIf(testEngine === 'postgres')('no lock is missed by nobody', { timeout }, async () => {
  const sites = sitesOf('lock')
  const start = performance.now()
  const { killed, findings } = await runMarked('lock-run', sites, sites)
  report.spend('lock', performance.now() - start)
  expect(findings).toEqual([])
  report.count('lock', sites.length)
  for (const site of sites) report.add('lock', nameOf(site), killed.get(site.id))
  expect(report.survivors).toEqual([])
})

// No database is asked, so once is enough.
test.runIf(testEngine === 'embedded')('no binding is missed by nobody', { timeout }, async () => {
  expect(await brokenWithout()).toEqual([])
  const sites = sitesOf('binding')
  report.count('binding', sites.length)
  for (const site of spread(sites, bindingsMax)) {
    await report.time('binding', `${site.id}, line ${site.line}: ${site.instead}`, async () => {
      const [why] = await brokenWithout(site)
      return why
    })
  }
  expect(report.survivors).toEqual([])
  expect(sites.length).toBeGreaterThan(100)
})
