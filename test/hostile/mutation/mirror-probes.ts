/** The copy of vectors in partitions, written by somebody whom no policy binds: each namespace's rows by themselves. */
import { done, type Probe } from './probes.ts'
import type { World } from './world.ts'

export function mirrorProbes(world: World): readonly Probe[] {
  const copies = world.rows.get('partitioned_embeddings')
  if (!copies) return []
  const { homeId, readerId, leavingId } = world
  const probe = (statement: string, embeddings: number, partitioned: number): Probe => ({
    about: ['mirror_embeddings'],
    name: `administrator: ${statement}`,
    role: 'administrator',
    context: '',
    statement,
    expected: { ...done, changed: { embeddings, partitioned_embeddings: partitioned } },
  })
  const documents = (namespace: string) =>
    copies
      .filter(({ columns }) => columns['namespace'] === namespace)
      .map(({ columns }) => columns['document'])
  const [shared = '1'] = documents(readerId)
  const other = documents(homeId).find((document) => document !== shared) ?? '2'
  const pair = `(namespace = ${homeId} and document = ${other}) or (namespace = ${readerId} and document = ${shared})`
  const one = `namespace = ${homeId} and document = ${shared}`
  const all = world.rows.get('embeddings')?.length ?? 0
  const table = 'mindglue.embeddings'
  return [
    probe(`update ${table} set embedding = embedding`, all, copies.length),
    probe(`delete from ${table} where ${pair}`, 2, 2),
    probe(`delete from ${table} where ${one}`, 1, 1),
    probe(`update ${table} set is_current = false where ${pair}`, 2, 2),
    probe(`update ${table} set is_current = false where ${one}`, 1, 1),
    probe(`update ${table} set embedding = embedding where namespace = ${leavingId}`, 3, 0),
  ]
}
