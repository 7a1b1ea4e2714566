/** One statement under a role and a context, and what the database must do with it. */
import type { Sql } from '../../../src/database/database.ts'
import { replayAll, type Outcome } from '../../support/replay.ts'
import { raw } from '../../support/statements.ts'

export type Role =
  'mindglue_app' | 'mindglue_job' | 'mindglue_audit' | 'mindglue_owner' | 'administrator'

export interface Probe {
  /** Tables and functions that it is about: probes of what a mutant touches run first. */
  readonly about: readonly string[]
  readonly name: string
  readonly role: Role
  readonly context: string
  readonly statement: string
  readonly expected: Expected
}

export interface Expected {
  /** SQLSTATE of the refusal; null: none. */
  readonly state: string | null
  /** Rows, each as JSON, in any order. */
  readonly rows?: readonly string[]
  /** Rows written, by table; tables that are not named have none. Partitions count as their table. */
  readonly changed?: Readonly<Record<string, number>>
  /** The only table whose count is compared: what goes with its rows is not asked. */
  readonly counted?: string
  /** It may be refused or answer with nulls, falsehoods and zeros, and writes nothing. */
  readonly isSilent?: boolean
}

export const refused = { state: '42501' } as const
export const done = { state: null } as const
export const silent: Expected = { state: null, changed: {}, isSilent: true }

/** Probes that went otherwise, in the transaction of `sql`. Leaves its role as it was. */
export async function failuresOf(sql: Sql, probes: readonly Probe[]): Promise<string[]> {
  const failures: string[] = []
  for (const role of new Set(probes.map((probe) => probe.role))) {
    const ofRole = probes.filter((probe) => probe.role === role)
    await sql`set local search_path = mindglue, public`
    if (role !== 'administrator') await sql`${raw(`set local role ${role}`)}`
    const outcomes = await replayAll(
      sql,
      ofRole.map(({ context, statement: text }) => ({ context, text })),
    )
    await sql`reset role`
    for (const [index, probe] of ofRole.entries()) {
      const why = difference(probe.expected, outcomes[index])
      if (why !== undefined) failures.push(`${probe.name}: ${why}`)
    }
  }
  return failures
}

function difference(expected: Expected, outcome: Outcome | undefined): string | undefined {
  if (outcome === undefined) return 'no outcome'
  if (expected.isSilent === true) {
    if (outcome.state === refused.state) return undefined
    if (!outcome.rows.every(isEmpty)) return `told ${outcome.rows.join()}`
  }
  if (outcome.state !== expected.state) return `state ${String(outcome.state)}`
  const rows = expected.rows && JSON.stringify([...expected.rows].toSorted())
  const found = JSON.stringify([...outcome.rows].toSorted())
  if (rows !== undefined && rows !== found) return `rows ${found} and not ${rows}`
  if (expected.changed === undefined) return undefined
  const { counted = '' } = expected
  const changed = countsOf(
    counted === '' ? outcome.changed : { [counted]: outcome.changed[counted] ?? 0 },
  )
  const wanted = countsOf(expected.changed)
  return changed === wanted ? undefined : `wrote ${changed} and not ${wanted}`
}

/** A row without anything that says something. */
function isEmpty(row: string): boolean {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- public.replay makes objects of rows
  const values = Object.values(JSON.parse(row) as Readonly<Record<string, unknown>>)
  return values.every((value) => [null, false, 0, ''].some((one) => one === value))
}

function countsOf(changed: Readonly<Record<string, number>>): string {
  const counts = new Map<string, number>()
  for (const [name, count] of Object.entries(changed)) {
    const table = name.replace(/_\d+$/u, '')
    counts.set(table, (counts.get(table) ?? 0) + count)
  }
  const sorted = [...counts]
    .filter(([, count]) => count !== 0)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify(Object.fromEntries(sorted))
}
