/** New rows of one's own, of another namespace and in another's name. */
import type { Context } from './contexts.ts'
import { done, refused, type Expected, type Probe, type Role } from './probes.ts'
import { appRights, jobRights } from './rights.ts'
import type { World } from './world.ts'

type Columns = Readonly<Record<string, string | boolean | null | readonly string[]>>

/** What makes a copy of a row a new one. */
const fresh: Readonly<Record<string, Columns>> = {
  memories: {
    id: '01890000-0000-7000-8000-00000000f001',
    version: '1',
    document: '900001',
    dedupe_key: '\\xff',
    access: 'shared',
    readers: null,
    is_current: true,
  },
  memory_keys: { id: '01890000-0000-7000-8000-00000000f001' },
  embeddings: { document: '900001', is_current: true },
  sealed_embeddings: { document: '900001' },
  partitioned_embeddings: { document: '900001' },
  postings: { document: '900001', term: '900001' },
  mentions: { document: '900001' },
  entities: { entity: '900001' },
  audit_events: { id: '01890000-0000-7000-8000-00000000f001' },
  idempotency_keys: { key_hash: '\\xff' },
  confirmations: { token_hash: '\\xff' },
  feedback: { id: '01890000-0000-7000-8000-00000000f001' },
  grants: { id: '01890000-0000-7000-8000-00000000f001', revoked_at: null, expires_at: null },
}

/** Columns that name an agent. */
const agentColumns: Readonly<Record<string, string>> = {
  memories: 'owner_agent',
  feedback: 'agent',
  idempotency_keys: 'agent',
  confirmations: 'agent',
  grants: 'created_by',
}

export function insertProbes(
  world: World,
  contexts: readonly Context[],
  table: string,
): readonly Probe[] {
  const partition = /_(?<of>\d+)$/u.exec(table)?.groups?.['of']
  if (partition !== undefined) return partitionProbes(world, contexts, table, partition)
  const roles = rolesOf(table)
  return contexts
    .filter(({ isFalse }) => isFalse !== true)
    .flatMap((context) =>
      cases(world, context, table).flatMap(([what, columns, expected]) =>
        roles.map((role) => ({
          about: [table],
          name: `${role} as ${context.name}: insert ${what} into ${table}`,
          role,
          context: context.signed,
          statement: insert(world, table, columns),
          expected,
        })),
      ),
    )
}

/** A partition takes its namespace's rows alone; its policy asks who brings them, its owner included. */
function partitionProbes(
  world: World,
  contexts: readonly Context[],
  table: string,
  namespace: string,
): readonly Probe[] {
  const statement = insert(world, table, { ...fresh['partitioned_embeddings'], namespace })
  return contexts
    .filter(({ isFalse }) => isFalse !== true)
    .map((context) => ({
      about: [table],
      name: `mindglue_owner as ${context.name}: insert one into ${table}`,
      role: 'mindglue_owner',
      context: context.signed,
      statement,
      expected: context.own === namespace ? done : refused,
    }))
}

function rolesOf(table: string): readonly Role[] {
  if (table === 'audit_events') return ['mindglue_audit']
  if (appRights[table]?.includes('i') === true) return ['mindglue_app']
  return jobRights[table]?.includes('i') === true ? ['mindglue_job'] : []
}

function cases(
  world: World,
  context: Context,
  table: string,
): readonly (readonly [what: string, columns: Columns, expected: Expected])[] {
  const { own, agent = 'ada', flags } = context
  const isAdmin = flags.includes('a')
  const namespace = own ?? world.homeId
  const elsewhere = namespace === world.homeId ? world.readerId : world.homeId
  const agentColumn = agentColumns[table]
  const grantee = world.leavingId
  const mine = {
    ...fresh[table],
    namespace,
    grantee,
    ...(agentColumn && { [agentColumn]: agent }),
    ...(table === 'memories' && { source_agent: agent }),
  }
  const mayAdd = own !== undefined && (table !== 'grants' || isAdmin)
  const isThere = !(table in fresh)
  const added = isThere ? { state: '23505' } : { ...done, changed: added1(world, table, namespace) }
  const list: (readonly [string, Columns, Expected])[] = [
    ['one', mine, mayAdd ? added : refused],
    ['one elsewhere', { ...mine, namespace: elsewhere }, refused],
  ]
  if (agentColumn !== undefined) {
    const isAllowed = mayAdd && isAdmin && table !== 'grants'
    list.push(['carl’s', { ...mine, [agentColumn]: 'carl' }, isAllowed ? added : refused])
  }
  if (table === 'grants')
    list.push(['an ended one', { ...mine, revoked_at: '2026-01-01' }, refused])
  if (['postings', 'embeddings', 'sealed_embeddings'].includes(table)) {
    // Of a private memory of eve's.
    const isHome = own === world.homeId
    const isEves = isAdmin || (isHome && agent === 'eve')
    const beside = table === 'postings' || !isHome ? done : { state: '23505' }
    list.push([
      'a private one',
      { ...mine, document: '-1000' },
      mayAdd && isEves ? beside : refused,
    ])
  }
  return list
}

function added1(world: World, table: string, namespace: string): Record<string, number> {
  const copies = world.rows.get('vector_partitions') ?? []
  const isCopied =
    table === 'embeddings' && copies.some(({ columns }) => columns['namespace'] === namespace)
  return { [table]: 1, ...(isCopied && { partitioned_embeddings: 1 }) }
}

export function insert(world: World, table: string, columns: Columns): string {
  const rows = world.rows.get(table) ?? []
  const like = rows.find((row) => row.columns['namespace'] === world.homeId) ?? rows[0]
  const lists = { common_terms: [], resource_ids: [] }
  const json = JSON.stringify({ ...like?.columns, ...lists, ...columns }).replaceAll("'", "''")
  return `insert into mindglue.${table}
    select r.* from jsonb_populate_record(null::mindglue.${table}, '${json}') r`
}
