/** Every context reads and writes every guarded table, in each role, and gets what the model says. */
import { contextsOf, type Context } from './contexts.ts'
import { insertProbes } from './insert-probes.ts'
import { directoryTables, Model } from './model.ts'
import { ownerProbes } from './owner-probes.ts'
import { keysOf, moved, named, read, refusal, type Case } from './policy-cases.ts'
import { done, refused, type Expected, type Probe, type Role } from './probes.ts'
import { appRights, jobRights } from './rights.ts'
import type { Row, World } from './world.ts'

const roles: readonly (readonly [Role, Readonly<Record<string, string>> | undefined])[] = [
  ['mindglue_app', appRights],
  ['mindglue_job', jobRights],
  // FORCE binds the owner as well, who has every right.
  ['mindglue_owner', undefined],
]

/** Columns that a job may write, and values that change no key. */
const jobWrites: Readonly<Record<string, string>> = {
  memories: 'needs_embedding = false',
  memory_keys: 'epoch = 1',
  entities: 'epoch = 1',
  namespaces: 'memory_count = 0',
  vector_partitions: `state = 'ready'`,
}

export function policyProbes(world: World): Probe[] {
  const model = new Model(world)
  const contexts = contextsOf(world)
  const ofDirectory = directoryTables.flatMap((table) => ownerProbes(world, model, contexts, table))
  const ofNamespaces = guardedTables(world).flatMap((table) => [
    ...roles.flatMap(([role, rights]) =>
      contexts
        .filter((context) => role === 'mindglue_app' || isFew(context))
        .flatMap((context) => {
          const mine = rights === undefined ? 'sidu' : (rights[table] ?? '')
          const one = { world, model, table, role, rights: mine, context }
          return [read(one), ...writes(one)]
        }),
    ),
    ...insertProbes(world, contexts, table),
  ])
  return [...ofDirectory, ...ofNamespaces]
}

const isFew = ({ name }: Context): boolean =>
  [
    'nobody',
    'ada',
    'root who sees quarantine',
    'job',
    'reader job',
    'under grant all ',
    'directory',
  ].includes(name)

/** Those with a namespace that the application or a job may touch, and each partition. */
export function guardedTables(world: World): string[] {
  return [...world.rows.keys()].filter(
    (table) =>
      table !== 'migrations' && table.replace(/_\d+$/u, '') in { ...appRights, ...jobRights },
  )
}

function writes(one: Case): Probe[] {
  const { world, model, table, role, context } = one
  const own = context.own ?? world.homeId
  const jobs = role === 'mindglue_job' ? jobWrites[table] : undefined
  const set = table === 'grants' ? 'revoked_at = now()' : (jobs ?? `namespace = ${own}`)
  const other = own === world.homeId ? world.readerId : world.homeId
  // A partition refuses by its own check whatever is not its namespace's.
  const isMovable = table !== 'grants' && jobs === undefined && !/_\d+$/u.test(table)
  const seen = new Set(model.visible(context, table).map(({ key }) => key))
  const shown = (rows: readonly Row[]) => keysOf(rows.filter(({ key }) => seen.has(key)))
  const updated = model.changeable(context, table, 'update')
  const deleted = model.changeable(context, table, 'delete')
  const returning = `where t.namespace > 0 returning ${world.keys.get(table)} as key`
  const update = (to: string) => `update mindglue.${table} t set ${to}`
  const remove = `delete from mindglue.${table} t`
  // Each agent speaks for itself: what another one said is not to be written anew.
  const isAnothers = ({ columns }: Row) => columns['agent'] !== context.agent
  const isHeld = table === 'feedback' && !context.flags.includes('a') && updated.some(isAnothers)
  const noUpdate = refusal(one, 'u') ?? (isHeld ? refused : undefined)
  const noDelete = refusal(one, 'd') ?? heldBy(table, deleted)
  const probes: readonly (readonly [what: string, statement: string, expected: Expected])[] = [
    ['update blindly', update(set), noUpdate ?? changedIn(one, updated)],
    ['update', `${update(set)} ${returning}`, noUpdate ?? { ...done, rows: shown(updated) }],
    ['delete blindly', remove, noDelete ?? changedIn(one, deleted)],
    ['delete', `${remove} ${returning}`, noDelete ?? { ...done, rows: shown(deleted) }],
    ...(table === 'grants'
      ? [
          ['not end', update('revoked_at = null'), noUpdate ?? moved(updated)] as const,
          // Whoever ends a grant may not make it somebody else's on the way.
          [
            'end and give away',
            update(`revoked_at = now(), namespace = 5, grantee = 6`),
            hasColumn(one) ? moved(updated) : refused,
          ] as const,
        ]
      : []),
    ...(isMovable
      ? ([['move', update(`namespace = ${other}`), noUpdate ?? moved(updated)]] as const)
      : []),
  ]
  return probes.map(([what, statement, expected]) => ({
    ...named(one, what),
    statement,
    expected,
  }))
}

const hasColumn = ({ role }: Case): boolean => role === 'mindglue_owner'

/** A namespace with memories is held by their foreign keys. */
const heldBy = (table: string, rows: readonly Row[]): Expected | undefined =>
  table === 'namespaces' && rows.length > 0 ? { state: '23503' } : undefined

/** Vectors are written in the copy as well where a namespace has one. */
function changedIn({ world, table }: Case, rows: readonly Row[]): Expected {
  const copies = world.rows.get('partitioned_embeddings') ?? []
  const inCopy =
    table === 'embeddings'
      ? copies.filter(({ key }) => rows.some((row) => row.key === key)).length
      : 0
  const name = table.replace(/_\d+$/u, '')
  return {
    ...done,
    changed: {
      [name]: rows.length,
      partitioned_embeddings: inCopy,
      ...(name === 'partitioned_embeddings' && { [name]: rows.length }),
    },
  }
}
