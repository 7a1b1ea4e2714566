/** Takes guards away, one at a time and each undone again, and asks the probes who notices. */
import { constraintProbes } from './constraint-probes.ts'
import type { Mutant } from './database-mutants.ts'
import { functionProbes } from './function-probes.ts'
import { lockFailures, lockProbes } from './lock-probes.ts'
import { heldBackProbes, liftedProbes, liftMemories, liftQuarantine } from './lifted-probes.ts'
import { mirrorProbes } from './mirror-probes.ts'
import { policyProbes } from './policy-probes.ts'
import { failuresOf, type Probe } from './probes.ts'
import { wrongRights } from './rights.ts'
import { relatedProbes } from './related-probes.ts'
import { specialProbes, type SpecialProbe } from './special-probes.ts'
import { triggerProbes } from './trigger-probes.ts'
import type { Sql } from '../../../src/database/database.ts'
import type { PostgresDatabase } from '../../../src/database/postgres.ts'
import type { World } from './world.ts'

type Script = (text: string) => Promise<void>

/** More than this in one go and the first answer comes late. */
const batch = 60

export class DatabaseKillers {
  /** Another session, on a server that has several. */
  readonly #other: PostgresDatabase | undefined
  readonly #specialProbes: readonly SpecialProbe[]
  readonly #lockProbes: ReturnType<typeof lockProbes>
  readonly #world: World
  readonly #probes: readonly Probe[]
  readonly #functionProbes: readonly Probe[]
  /** Each with the guards that are lifted for it. */
  readonly #lifted: readonly (readonly [
    lift: (sql: Sql) => Promise<string>,
    probes: readonly Probe[],
  ])[]

  constructor(world: World, other: PostgresDatabase | undefined) {
    this.#other = other
    this.#lockProbes = other ? lockProbes(world) : []
    this.#specialProbes = other ? specialProbes(world) : []
    this.#world = world
    const { all, lifted, silent } = functionProbes(world)
    this.#functionProbes = all
    this.#lifted = [
      [liftForce, lifted],
      [() => Promise.resolve(liftMemories), liftedProbes(world)],
      [() => Promise.resolve(liftQuarantine), heldBackProbes(world)],
      ...relatedProbes(world),
    ]
    this.#probes = [
      ...mirrorProbes(world),
      ...triggerProbes(world),
      ...constraintProbes(world),
      ...policyProbes(world),
      ...silent,
    ]
  }

  /**
   * What fails of the database as it is: a guard that is not there is no mutant, and is missed here alone.
   * `share` of the probes of policies, chosen by chance, are asked.
   */
  async baseline(share: number, random: () => number): Promise<string[]> {
    const chosen = this.#probes.filter(() => random() < share)
    const about = this.#specialProbes.flatMap(({ probe }) => probe.about)
    const special = await this.#special('select 1', about)
    return await this.#world.undone(async (sql, script) => [
      ...special,
      ...(await this.#locks(sql, () => true)),
      ...(await wrongRights(sql)),
      ...(await failuresOf(sql, [...this.#functionProbes, ...chosen])),
      ...(await this.#without(sql, script, () => true)),
    ])
  }

  /** The first failure that a mutant causes; undefined when nobody notices. */
  async kill(mutant: Mutant): Promise<string | undefined> {
    const alone = await this.#killAs(mutant, mutant.sql, true)
    if (alone !== undefined) return alone
    for (const { other, both } of mutant.doubled ?? []) {
      if ((await this.#killAs(mutant, other, false)) !== undefined) continue
      const together = await this.#killAs(mutant, both, false)
      if (together !== undefined) return `without what says the same: ${together}`
    }
    return undefined
  }

  async #killAs(mutant: Mutant, text: string, isThorough: boolean): Promise<string | undefined> {
    const special = await this.#special(text, mutant.about)
    if (special[0] !== undefined) return special[0]
    return await this.#world.undone(async (sql, script) => {
      await script(text)
      if (mutant.about.includes('rights')) {
        const [wrong] = await wrongRights(sql)
        if (wrong !== undefined) return wrong
      }
      const isNear = ({ about }: Probe): boolean =>
        about.some((name) => mutant.about.includes(name))
      const near = [...this.#functionProbes, ...this.#probes].filter(isNear)
      const far = this.#probes.filter((probe) => !isNear(probe))
      return (
        (await this.#locks(sql, (name) => mutant.about.includes(name)))[0] ??
        (await firstFailure(sql, near)) ??
        (await this.#without(sql, script, isNear))[0] ??
        (isThorough ? await firstFailure(sql, far) : undefined)
      )
    })
  }

  /** Each in a transaction of its own. */
  async #special(change: string, about: readonly string[]): Promise<string[]> {
    const failures: string[] = []
    for (const { before, probe } of this.#specialProbes) {
      if (!probe.about.some((name) => about.includes(name))) continue
      const found = await this.#world.undone(async (sql, script) => {
        await script(before)
        await script(change)
        return await failuresOf(sql, [probe])
      })
      failures.push(...found)
    }
    return failures
  }

  async #locks(sql: Sql, isNear: (name: string) => boolean): Promise<string[]> {
    if (!this.#other) return []
    return await lockFailures(
      sql,
      this.#other,
      this.#lockProbes.filter(({ about }) => isNear(about)),
    )
  }

  /** With one guard lifted, so that what stands behind it must hold by itself. */
  async #without(sql: Sql, script: Script, isNear: (probe: Probe) => boolean): Promise<string[]> {
    const failures: string[] = []
    for (const [lift, probes] of this.#lifted) {
      const near = probes.filter(isNear)
      if (near.length === 0) continue
      await sql`savepoint lifted`
      await script(await lift(sql))
      failures.push(...(await failuresOf(sql, near)))
      await sql`rollback to savepoint lifted`
    }
    return failures.map((failure) => `with a guard lifted, ${failure}`)
  }
}

/** Policies bind owners no more: what a function's text says is all there is. */
async function liftForce(sql: Sql): Promise<string> {
  const forced = await sql<{ name: string }>`
    select c.relname as name from pg_class c
    where c.relnamespace = 'mindglue'::regnamespace and c.relforcerowsecurity`
  return forced
    .map(({ name }) => `alter table mindglue.${name} no force row level security;`)
    .join('')
}

async function firstFailure(sql: Sql, probes: readonly Probe[]): Promise<string | undefined> {
  for (let start = 0; start < probes.length; start += batch) {
    const [failure] = await failuresOf(sql, probes.slice(start, start + batch))
    if (failure !== undefined) return failure
  }
  return undefined
}
