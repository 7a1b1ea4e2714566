/** Functions of what is known across namespaces: names, what is due, events, grants and root keys. */
import { none, nothing, rowOf, uuid, wrote, type Case } from './function-cases.ts'
import { done } from './probes.ts'
import type { World } from './world.ts'

export function directoryCases(world: World): readonly Case[] {
  const page = `select namespace::text as r from due_page('embed', '2099-01-01', 100)`
  const dueDone = `select due_done('embed', '2099-01-01') as r`
  const names = `select namespace::text as r from namespace_page(0, 1000)`
  const add = `select due_add('statistics', '2026-01-01') as r`
  const event = `select audit_append(${uuid('aaaa')}, 'stdio', 'store', 'ok', ${uuid('aaab')}, '{}', 0, '') as r`
  const grantedHome = 'select context_granted_home()::text as r'
  const find = (name: string) => `select namespace_find('${name}')::text as r`
  const register = (name: string) => `select namespace_register('${name}') as r`
  const rootKeys = 'select key_id as r from root_keys_known() where key_id > 97 and key_id < 100'
  const keys = ['{"r":98}', '{"r":99}']
  const all = [world.homeId, world.readerId, world.leavingId].map((r) => JSON.stringify({ r }))
  const both = all.slice(0, 2)
  return [
    ['job', page, { ...done, rows: all }],
    ['noJob', page, none],
    ['jobOfNobody', page, none],
    ['job', `select namespace::text as r from due_page('embed', '2025-12-31', 100)`, none],
    [
      'job',
      `select namespace::text as r from due_page('expiry', '2099-01-01', 100)`,
      rowOf(world.homeId),
    ],
    ['job', `select due_done('embed', '2026-01-01') as r`, wrote({ due: 1 })],
    ['job', dueDone, wrote({ due: 2 })],
    ['noJob', dueDone, wrote({})],
    ['readerJob', dueDone, wrote({ due: 1 })],
    ['job', names, { ...done, rows: [...both, all[2] ?? ''] }],
    ['noJob', names, none],
    ['ada', add, wrote({ due: 1 })],
    ['nobody', add, wrote({})],
    ['granted', add, wrote({})],
    ['ada', event, wrote({ audit_events: 1 })],
    ['nobody', event, { state: '42501' }],
    ['granted', event, { state: '42501' }],
    ['granted', grantedHome, rowOf(world.homeId)],
    ...['wrongReader', 'wrongHome', 'wrongGrant', 'revoked', 'expired', 'ada', 'nobody'].map(
      (who): Case => [who, grantedHome, rowOf(null)],
    ),
    ['directory', find('home'), rowOf(world.homeId)],
    ['directory', find('absent'), rowOf(null)],
    ['ghostAppJob', find('reader'), rowOf(world.readerId)],
    ['ada', find('home'), rowOf(world.homeId), rowOf(world.homeId)],
    ['ada', find('reader'), nothing(null), rowOf(world.readerId)],
    // For its own namespace alone, and no name of another one.
    ['ghostEve', register('new'), { ...rowOf(true), changed: { namespace_names: 1 } }],
    ['ghostEve', register('reader'), nothing(false)],
    ['ada', register('home'), nothing(false)],
    ['ada', register('new'), { state: '23505' }],
    ['granted', register('new'), nothing(false)],
    ['directory', register('home'), nothing(false)],
    ['directory', register('new'), nothing(false)],
    ['nobody', register('new'), nothing(false)],
    ['directory', `select root_key_add(5, '\\x00') as r`, wrote({ root_keys: 1 })],
    ['directory', rootKeys, { ...done, rows: keys }],
    ['ghostAppJob', rootKeys, { ...done, rows: keys }],
    ['ada', rootKeys, none, { ...done, rows: keys }],
    ['job', `select root_key_remove(99) as r`, wrote({ root_keys: 1 })],
    ['noJob', `select root_key_remove(99) as r`, wrote({})],
  ]
}
