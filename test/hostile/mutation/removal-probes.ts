/** Functions that take a namespace away, and those of its partition. */
import { nothing, rowOf, type Case } from './function-cases.ts'
import type { World } from './world.ts'

/** Guards of a partition when it has just been built; of rights there are none. */
export const guardsOfBuild = 'select public.partition_guards(vector_partition_build()) as r'
const context = '(namespace = ( SELECT context_namespace() AS context_namespace))'
export const guardsOfPartition = `1; true true; 0 0; own_namespace * ${context} ${context}`

export function removalCases(world: World): readonly Case[] {
  const count = (table: string, ...namespaces: readonly string[]) =>
    (world.rows.get(table) ?? []).filter(({ columns }) =>
      ['namespace', 'grantee'].some((column) => namespaces.includes(columns[column] ?? '')),
    ).length
  const forsake = 'select namespace_forsake()::text as r'
  const erase = 'select namespace_erase() as r'
  const events = 'select namespace_erase_events(1000) as r'
  const { homeId, leavingId } = world
  const eventsOfLeaving = count('audit_events', leavingId)
  const gone = {
    api_keys: 4,
    account_members: 1,
    account_invitations: 3,
    oauth_grants: 2,
    oauth_artifacts: 1,
  }
  const partitions: readonly Case[] = world.rows.has('vector_partitions')
    ? [
        [
          'job',
          'select vector_partition_drop() as r',
          { ...rowOf(true), changed: { vector_partitions: 1 } },
        ],
        ['noJob', 'select vector_partition_drop() as r', nothing(false)],
        ['leavingJob', 'select vector_partition_drop() as r', nothing(false)],
        ['ghostJob', 'select vector_partition_build() as r', nothing(null)],
        ['leavingNoJob', 'select vector_partition_build() as r', nothing(null)],
        [
          'leavingJob',
          'select vector_partition_build() as r',
          { ...rowOf(1), changed: { vector_partitions: 1 } },
        ],
        ['job', 'select vector_partition_build() as r', nothing(null)],
        ['leavingJob', guardsOfBuild, rowOf(guardsOfPartition)],
      ]
    : []
  return [
    [
      'job',
      forsake,
      {
        ...rowOf(homeId),
        changed: {
          namespaces: 1,
          grants: count('grants', homeId),
          namespace_names: 1,
          due: 1,
          ...gone,
        },
      },
    ],
    ['noJob', forsake, nothing(null)],
    ['jobOfNobody', forsake, nothing(null)],
    ['leavingJob', 'select namespace_erase_events(1) as r', rowOf(1)],
    ['ghostJob', forsake, nothing(null)],
    [
      'leavingJob',
      events,
      { ...rowOf(eventsOfLeaving), changed: { audit_events: eventsOfLeaving } },
    ],
    ['leavingNoJob', events, nothing(0)],
    ['job', events, nothing(0)],
    [
      'leavingJob',
      erase,
      {
        ...rowOf(true),
        changed: { audit_events: eventsOfLeaving, namespace_keys: 1, namespaces: 1, due: 1 },
      },
    ],
    ['leavingNoJob', erase, nothing(false)],
    ['job', erase, nothing(false)],
    ...partitions,
  ]
}
