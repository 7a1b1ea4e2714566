/** How a statement on a table is probed: who sends it, under which context, and what is refused at once. */
import type { Context } from './contexts.ts'
import type { Model } from './model.ts'
import { done, refused, type Expected, type Probe, type Role } from './probes.ts'
import type { Row, World } from './world.ts'

export interface Case {
  readonly world: World
  readonly model: Model
  readonly table: string
  readonly role: Role
  readonly rights: string
  readonly context: Context
}

export const keysOf = (rows: readonly Row[]): string[] =>
  rows.map(({ key }) => JSON.stringify({ key }))

export function named({ table, role, context }: Case, what: string) {
  return {
    about: [table],
    name: `${role} as ${context.name}: ${what} ${table}`,
    role,
    context: context.signed,
  }
}

/** What is refused whatever the rows are. */
export function refusal({ context, rights }: Case, verb: string): Expected | undefined {
  const [verbs = '', more = ''] = rights.split(' ')
  if (!verbs.includes(verb) && !more.startsWith(verb)) return refused
  return context.isFalse === true ? { state: 'MG001' } : undefined
}

export function read(one: Case): Probe {
  const { world, model, table, context } = one
  return {
    ...named(one, 'read'),
    statement: `select ${world.keys.get(table)} as key from mindglue.${table} t`,
    expected: refusal(one, 's') ?? { ...done, rows: keysOf(model.visible(context, table)) },
  }
}

export const moved = (rows: readonly Row[]): Expected => (rows.length > 0 ? refused : done)
