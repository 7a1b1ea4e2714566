/** Tables that only functions reach, with their owner's rights: whom FORCE binds, and what each context shows them. */
import type { Context } from './contexts.ts'
import { uuid } from './function-cases.ts'
import { insert } from './insert-probes.ts'
import type { Model } from './model.ts'
import { keysOf, moved, named, read, type Case } from './policy-cases.ts'
import { done, refused, type Expected, type Probe } from './probes.ts'
import type { World } from './world.ts'

interface Table {
  /** Written blindly: no column is read. */
  readonly set: string
  /** What makes a copy of a row a new one. */
  readonly fresh: Readonly<Record<string, string>>
}

const bytes = `\\x${'f1'.repeat(32)}`
const fresh = uuid('f001').slice(1, -1)
const nobody = uuid('a003').slice(1, -1)

const tables: Readonly<Record<string, Table>> = {
  accounts: { set: 'totp_step = 0', fresh: { id: fresh, email: 'new@example.org' } },
  account_sessions: { set: 'expires_at = now()', fresh: { id: fresh } },
  account_networks: { set: 'seen_at = now()', fresh: { network: '\\xf1' } },
  account_mails: { set: 'expires_at = now()', fresh: { code_hash: bytes } },
  account_delays: { set: 'attempts = 1', fresh: { key: '\\xf1' } },
  account_recovery_codes: {
    set: 'code_hash = sha256(uuid_send(gen_random_uuid()))',
    fresh: { code_hash: bytes },
  },
  account_members: { set: `added_by = 'x'`, fresh: { account: nobody, agent: 'zoe' } },
  account_invitations: {
    set: `invited_by = 'x'`,
    fresh: { code_hash: bytes, email: 'new@example.org' },
  },
  api_keys: { set: `label = 'x'`, fresh: { id: fresh } },
  oauth_clients: { set: `metadata = '{}'`, fresh: { id: 'c-9' } },
  oauth_grants: { set: `scopes = 'read'`, fresh: { id: fresh } },
  oauth_artifacts: { set: 'expires_at = now()', fresh: { id_hash: bytes } },
  root_keys: { set: `key_check = '\\x01'`, fresh: { key_id: '97' } },
  namespace_names: { set: 'name = gen_random_uuid()', fresh: { name: 'new' } },
}

const who = new Set([
  'nobody',
  'ada',
  'bob',
  'root',
  'reader bob',
  'reader root',
  'job',
  'under grant all ',
  'directory',
  'ada with the mark of a directory',
])

export function ownerProbes(
  world: World,
  model: Model,
  contexts: readonly Context[],
  table: string,
): readonly Probe[] {
  return contexts
    .filter(({ name }) => who.has(name))
    .map((context): Case => ({
      world,
      model,
      table,
      role: 'mindglue_owner',
      rights: 'sidu',
      context,
    }))
    .flatMap((one) => [read(one), ...changes(one)])
}

function changes(one: Case): Probe[] {
  const { world, model, table, context } = one
  const { set = '' } = tables[table] ?? {}
  const updated = model.changeable(context, table, 'update')
  const deleted = model.changeable(context, table, 'delete')
  const count = (number: number): Expected => ({
    ...done,
    changed: { [table]: number },
    counted: table,
  })
  const returning = `returning ${world.keys.get(table)} as key`
  const other = context.own === world.homeId ? world.readerId : world.homeId
  const hasNamespace = world.rows.get(table)?.some(({ columns }) => 'namespace' in columns) === true
  const probes: readonly (readonly [what: string, statement: string, expected: Expected])[] = [
    ['update blindly', `update mindglue.${table} set ${set}`, count(updated.length)],
    ['delete blindly', `delete from mindglue.${table}`, count(deleted.length)],
    ['delete', `delete from mindglue.${table} t ${returning}`, { ...done, rows: keysOf(deleted) }],
    ...(hasNamespace && context.own !== undefined
      ? ([['move', `update mindglue.${table} set namespace = ${other}`, moved(updated)]] as const)
      : []),
    ...inserts(one, hasNamespace),
  ]
  return probes.map(([what, statement, expected]) => ({ ...named(one, what), statement, expected }))
}

function inserts(
  { world, table, context }: Case,
  hasNamespace: boolean,
): (readonly [what: string, statement: string, expected: Expected])[] {
  const isDirectory = context.own === undefined && context.flags === 'd'
  const namespace = context.own ?? world.homeId
  const elsewhere = namespace === world.homeId ? world.readerId : world.homeId
  const account = uuid(namespace === world.homeId ? 'a001' : 'a002').slice(1, -1)
  const one = {
    ...(table === 'oauth_grants' && { account }),
    ...tables[table]?.fresh,
    ...(hasNamespace && { namespace }),
  }
  const isOwn =
    context.own !== undefined &&
    (table === 'namespace_names' ||
      (['account_members', 'account_invitations', 'api_keys'].includes(table) &&
        context.flags.includes('a')) ||
      (table === 'oauth_grants' &&
        (context.flags.includes('a') ||
          ['ada', 'reader bob', 'ada with the mark of a directory'].includes(context.name))))
  // A namespace has one name.
  const added =
    table === 'namespace_names' ? { state: '23505' } : { ...done, changed: { [table]: 1 } }
  const expected = isDirectory || isOwn ? added : refused
  return [
    ['insert one into', insert(world, table, one), expected],
    ...(hasNamespace && !isDirectory
      ? [
          [
            'insert one elsewhere into',
            insert(world, table, { ...one, namespace: elsewhere }),
            refused,
          ] as const,
        ]
      : []),
  ]
}
