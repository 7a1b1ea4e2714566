/** Takes guards away, one at a time and each undone again, and asks the probes who notices. */
import { constraintProbes } from './constraint-probes.ts'
import type { Mutant } from './database-mutants.ts'
import { functionProbes } from './function-probes.ts'
import { liftedProbes, liftMemories } from './lifted-probes.ts'
import { policyProbes } from './policy-probes.ts'
import { failuresOf, type Probe } from './probes.ts'
import { wrongRights } from './rights.ts'
import { triggerProbes } from './trigger-probes.ts'
import { raw } from '../../support/statements.ts'
import type { Sql } from '../../../src/database/database.ts'
import type { World } from './world.ts'

type Script = (text: string) => Promise<void>

/** More than this in one go and the first answer comes late. */
const batch = 60

export class DatabaseKillers {
  readonly #world: World
  readonly #probes: readonly Probe[]
  readonly #functionProbes: readonly Probe[]
  readonly #liftedProbes: readonly Probe[]

  constructor(world: World) {
    this.#world = world
    this.#functionProbes = functionProbes(world)
    this.#liftedProbes = liftedProbes(world)
    this.#probes = [...triggerProbes(world), ...constraintProbes(world), ...policyProbes(world)]
  }

  /** What fails of the database as it is. */
  async baseline(): Promise<string[]> {
    return await this.#world.undone(async (sql, script) => [
      ...(await wrongRights(sql)),
      ...(await failuresOf(sql, [...this.#functionProbes, ...this.#probes])),
      ...(await this.#without(sql, script, liftForce, this.#functionProbes)),
      ...(await this.#without(sql, script, () => Promise.resolve(liftMemories), this.#liftedProbes)),
    ])
  }

  /** The first failure that a mutant causes; undefined when nobody notices. */
  async kill(mutant: Mutant): Promise<string | undefined> {
    return await this.#world.undone(async (sql, script) => {
      await script(mutant.sql)
      if (mutant.about.includes('rights')) {
        const [wrong] = await wrongRights(sql)
        if (wrong !== undefined) return wrong
      }
      const isNear = ({ about }: Probe): boolean => about.some((name) => mutant.about.includes(name))
      const near = [...this.#functionProbes, ...this.#probes].filter(isNear)
      const far = this.#probes.filter((probe) => !isNear(probe))
      return (
        (await firstFailure(sql, near)) ??
        (await this.#without(sql, script, liftForce, this.#functionProbes.filter(isNear)))[0] ??
        (
          await this.#without(
            sql,
            script,
            () => Promise.resolve(liftMemories),
            this.#liftedProbes.filter(isNear),
          )
        )[0] ??
        (await firstFailure(sql, far))
      )
    })
  }

  /** With one guard lifted, so that what stands behind it must hold by itself. */
  async #without(
    sql: Sql,
    script: Script,
    lift: (sql: Sql) => Promise<string>,
    probes: readonly Probe[],
  ): Promise<string[]> {
    if (probes.length === 0) return []
    await sql`savepoint lifted`
    await script(await lift(sql))
    const failures = await failuresOf(sql, probes)
    await sql`rollback to savepoint lifted`
    return failures.map((failure) => `with a guard lifted, ${failure}`)
  }
}

/** Policies bind owners no more: what a function's text says is all there is. */
async function liftForce(sql: Sql): Promise<string> {
  const forced = await sql<{ name: string }>`
    select c.relname as name from pg_class c
    where c.relnamespace = 'mindglue'::regnamespace and c.relforcerowsecurity`
  return forced.map(({ name }) => `alter table mindglue.${name} no force row level security;`).join('')
}

async function firstFailure(sql: Sql, probes: readonly Probe[]): Promise<string | undefined> {
  for (let start = 0; start < probes.length; start += batch) {
    const [failure] = await failuresOf(sql, probes.slice(start, start + batch))
    if (failure !== undefined) return failure
  }
  return undefined
}
