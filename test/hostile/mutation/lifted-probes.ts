/**
 * What is derived from memories is shown by way of their policies. With those lifted the condition of the
 * namespace that stands beside them must hold by itself: no trace is shown by another namespace's memory.
 */
import { contextsOf } from './contexts.ts'
import { done, refused, type Probe } from './probes.ts'
import { insert } from './insert-probes.ts'
import { version } from './trigger-probes.ts'
import { strayId, type World } from './world.ts'

export const liftMemories = 'alter table mindglue.memories disable row level security'

/** Who reads under a grant sees nothing of what is held back, whatever agents may see. */
export const liftQuarantine = 'drop policy if exists not_quarantined on mindglue.memories'

/** For a database without that policy. */
export function heldBackProbes(world: World): readonly Probe[] {
  return ['all', 'shared'].map((grant) => ({
    about: ['memories'],
    name: `under grant ${grant}, without the policy of quarantine: what is held back`,
    role: 'mindglue_app',
    context: world.named(grant),
    statement: 'select 1 as r from mindglue.memories where quarantine <> 0',
    expected: { ...done, rows: [] },
  }))
}

const stray: Readonly<Record<string, string>> = {
  postings: 'document = -2000',
  embeddings: 'document = -2000',
  sealed_embeddings: 'document = -2000',
  mentions: 'document = -2000',
  feedback: `id = '${strayId}'`,
  memory_keys: `id = '${strayId}'`,
}

/** An agent sees all of these in its own namespace. */
const ofGrants = ['mentions', 'memory_keys']

/** For a database without the policies of memories. */
export function liftedProbes(world: World): readonly Probe[] {
  const contexts = contextsOf(world).filter(({ name }) =>
    ['ada', 'under grant shared '].includes(name),
  )
  const reads = contexts.flatMap((context) =>
    Object.entries(stray)
      .filter(([table]) => context.own === undefined || !ofGrants.includes(table))
      .map(([table, condition]) => ({
        about: [table],
        name: `${context.name}, without the policies of memories: stray rows of ${table}`,
        role: 'mindglue_app' as const,
        context: context.signed,
        statement: `select 1 as r from mindglue.${table} where ${condition}`,
        expected: { ...done, rows: [] },
      })),
  )
  const [ada] = contexts
  const adds = ['postings', 'embeddings', 'sealed_embeddings'].map((table) => ({
    about: [table],
    name: `ada, without the policies of memories: insert a stray row into ${table}`,
    role: 'mindglue_app' as const,
    context: ada?.signed ?? '',
    statement: insert(world, table, { namespace: world.homeId, document: '-2000', term: '79' }),
    expected: refused,
  }))
  const written = ofGrants.flatMap((table) =>
    [
      `update mindglue.${table} set namespace = ${world.homeId}`,
      `delete from mindglue.${table}`,
    ].map((change) => ({
      about: [table],
      name: `ada, without the policies of memories: ${change}`,
      role: 'mindglue_app' as const,
      context: ada?.signed ?? '',
      statement: `${change} where ${stray[table]}`,
      expected: { ...done, changed: {} },
    })),
  )
  // An id that another namespace has as well, where it is another agent's and trusted less.
  const versions = [
    { owner_agent: `'eve'`, version: '3' },
    { trust: '0', version: '3' },
    { source_kind: `'user'` },
  ].map((changes) => ({
    about: ['keep_access', 'memories'],
    name: `ada, without the policies of memories: a version as of another namespace ${JSON.stringify(changes)}`,
    role: 'mindglue_app' as const,
    context: ada?.signed ?? '',
    statement: version(world, 'fact', changes),
    expected: refused,
  }))
  return [...reads, ...adds, ...written, ...versions]
}
