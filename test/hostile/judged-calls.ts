/** Calls of the random run: something breaks in some of them, and whatever comes back is judged. */
import type { z } from 'zod'
import { AppError } from '../../src/errors.ts'
import { createExecute, type Execute } from '../../src/execute.ts'
import { createScope, type NamespaceScope } from '../../src/database/scope.ts'
import type { Profile } from '../../src/namespaces/namespaces.ts'
import type { Operation } from '../../src/operation.ts'
import type { Principal, Scope } from '../../src/principal.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { raw } from '../support/statements.ts'
import { agents, textOf, type Asking, type CanaryWorld } from './canary-world.ts'
import { faultKinds, faultyDatabase, type Fault, type FaultyDatabase } from './faulty-database.ts'
import { pick } from './mutations.ts'

/** Connections of the pool: fewer than workers, so that a connection serves everybody in turn. */
const poolMax = 4

export interface Started {
  readonly memory: TestMemory
  readonly world: CanaryWorld
  readonly database: FaultyDatabase
  readonly scope: NamespaceScope
  readonly execute: Execute
  readonly homes: readonly Home[]
  readonly counts: Counts
  /** What was wrong, with worker and step; the run ends with the first. */
  readonly findings: string[]
  close(): Promise<void>
}

export interface Home {
  readonly name: string
  readonly namespace: bigint
  readonly profile: Profile
  /** Handles that were given out here, for others to steal. */
  readonly cursors: string[]
  readonly tokens: string[]
}

export class Counts {
  readonly #counts = new Map<string, number>()
  add(name: string, times = 1): void {
    this.#counts.set(name, this.of(name) + times)
  }
  of(name: string): number {
    return this.#counts.get(name) ?? 0
  }
  all(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }
}

const profiles: readonly Profile[] = ['off', 'field', 'field', 'sealed', 'field']

/** Makes the namespaces, of every profile. */
export async function startOperations(world: CanaryWorld, namespaces: number): Promise<Started> {
  const memory = await openTestMemory({ poolMax })
  const database = faultyDatabase(memory.test.database)
  const scope = createScope(database, memory.test.contextKey)
  const execute = createExecute({
    scope,
    namespaces: memory.namespaces,
    log: createLog({ level: 'silent' }),
    metrics: memory.metrics,
    onChange: () => undefined,
  })
  const homes: Home[] = []
  for (let index = 0; index < namespaces; index++) {
    const name = `home-${index}`
    const profile = profiles[index % profiles.length] ?? 'field'
    const { namespace } = await memory.principal({ namespaceName: name, profile })
    homes.push({ name, namespace, profile, cursors: [], tokens: [] })
  }
  return {
    memory,
    world,
    database,
    scope,
    execute,
    homes,
    counts: new Counts(),
    findings: [],
    close: () => memory.close(),
  }
}

/** Every table with a policy that both engines have. */
export const tables = [
  'namespaces',
  'namespace_keys',
  'memories',
  'memory_keys',
  'embeddings',
  'sealed_embeddings',
  'postings',
  'entities',
  'mentions',
  'audit_events',
  'idempotency_keys',
  'confirmations',
  'feedback',
] as const

const agentScopes: readonly Scope[] = [
  'memory:read',
  'memory:write',
  'memory:forget',
  'memory:export',
  'audit:read',
]

/** One worker's hand: its own random numbers, and where its findings go. */
export class JudgedCalls {
  readonly started: Started
  readonly random: () => number
  readonly #worker: number
  /** Number of its operation under way. */
  made = 0

  constructor(started: Started, random: () => number, worker: number) {
    this.started = started
    this.random = random
    this.#worker = worker
  }

  find(what: string): void {
    this.started.findings.push(`worker ${this.#worker}, operation ${this.made}: ${what}`)
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }

  home(): Home {
    return pick(this.random, this.started.homes)
  }

  async principal(home: Home, agent: string = pick(this.random, agents), isAdmin = false) {
    const scopes: readonly Scope[] = isAdmin ? [...agentScopes, 'admin'] : agentScopes
    return await this.started.memory.principal({ namespaceName: home.name, agent, scopes })
  }

  /** The answer, judged; undefined when it was refused or a planned fault came between. */
  async judged<Input extends z.ZodType, Output extends z.ZodType, Prepared>(
    operation: Operation<Input, Output, Prepared>,
    asking: Asking & { readonly principal: Principal },
    input: object,
  ): Promise<z.output<Output> | undefined> {
    return await this.withFault(asking, () =>
      this.started.execute(operation, asking.principal, input),
    )
  }

  /** Each request and each run of a job is one; what is looked at besides is none. */
  count(): void {
    this.made += 1
    this.started.counts.add('operations')
  }

  /** Runs a call in which something may break; judges its answer or its error. */
  async withFault<T>(asking: Asking, call: () => Promise<T>): Promise<T | undefined> {
    const { counts, world, database } = this.started
    this.count()
    const fault: Fault | undefined = this.chance(0.08)
      ? { kind: pick(this.random, faultKinds), after: Math.floor(this.random() * 7) }
      : undefined
    try {
      const answer = fault ? (await database.during(fault, call)).value : await call()
      this.judge('answer', answer, asking)
      return answer
    } catch (error) {
      const isMet = error instanceof Error && 'fired' in error && error.fired === true
      if (isMet) counts.add('fault met')
      for (const leak of world.leaksIn(textOf(error), asking)) this.find(`error tells ${leak}`)
      const code = error instanceof AppError ? error.code : undefined
      counts.add(`error ${code ?? 'untyped'}`)
      const isProtocol = error instanceof Error && error.name.includes('Error') && 'code' in error
      const isExpected = isProtocol || (code !== undefined && code !== 'internal')
      if (!isMet && !isExpected) throw error
      return undefined
    } finally {
      // Whatever happened, the connection that comes next knows nothing of it.
      if (fault) await this.rawWithout()
    }
  }

  judge(what: string, answer: unknown, asking: Asking): void {
    for (const leak of this.started.world.leaksIn(textOf(answer), asking)) {
      this.find(
        `${what} to ${asking.principal.agent} of ${asking.principal.namespace} tells ${leak}`,
      )
    }
    const shown: unknown =
      typeof answer === 'object' && answer !== null && 'results' in answer ? answer.results : []
    for (const row of Array.isArray(shown) ? shown : []) {
      if (!isMemory(row)) continue
      this.started.counts.add('rows shown')
      if (!this.started.world.carriesCanary(row.content)) this.find(`${what}: a row of nobody`)
    }
  }

  /** The same pool, no context: no row, no role and no setting is left of whoever came before. */
  async rawWithout(): Promise<void> {
    this.started.counts.add('statements without a context')
    const table = pick(this.random, tables)
    const [row] = await this.started.memory.test.database.transaction(
      {},
      (sql) =>
        sql<{ context: string | null; role: string; rows: number }>`
        select nullif(current_setting('mindglue.context', true), '') as context,
          current_user::text as role, (select count(*)::int from ${raw(table)}) as rows`,
    )
    if (row?.context !== null || row.role !== 'mindglue_app' || row.rows !== 0) {
      this.find(`without a context: ${JSON.stringify({ table, ...row })}`)
    }
  }
}

function isMemory(row: unknown): row is { readonly content: string } {
  return (
    typeof row === 'object' && row !== null && 'content' in row && typeof row.content === 'string'
  )
}
