/** Functions of API keys: counted, listed, issued, changed, ended and found. */
import { hash, none, nothing, rowOf, uuid, wrote, type Case } from './function-cases.ts'
import { done } from './probes.ts'

export function keyCases(): readonly Case[] {
  const rotate = (key: string) =>
    `select rotated_at is not null as r from api_key_rotate(${uuid(key)}, ${hash('aa')}, 60)`
  const revoke = (key: string) => `select api_key_revoke(${uuid(key)}) is not null as r`
  const find = (key: string) => `select agent as r from api_key_find(${uuid(key)})`
  const issue = `select api_key_issue(${uuid('c009')}, 'ada', '', 'read', null, null,
    ${hash('09')}, null) is not null as r`
  const ids = `select id as r from api_key_list(null, 500)`
  const grace = `select previous_until is null as r from api_key_list(null, 500)`
  const row = (end: string) => JSON.stringify({ r: uuid(end).slice(1, -1) })
  return [
    ['root', 'select api_key_count() as r', rowOf(2)],
    ['readerRoot', 'select api_key_count() as r', rowOf(1)],
    ['ada', 'select api_key_count() as r', rowOf(0)],
    ['nobody', 'select api_key_count() as r', rowOf(0)],
    ['root', ids, { ...done, rows: ['c001', 'c002', 'c003', 'c004'].map(row) }],
    ['readerRoot', ids, { ...done, rows: [row('c005')] }],
    ['ada', ids, none],
    ['nobody', ids, none],
    ['root', issue, { ...rowOf(true), changed: { api_keys: 1 } }],
    ['ada', issue, nothing(false)],
    ['nobody', issue, nothing(false)],
    ['root', rotate('c001'), { ...rowOf(true), changed: { api_keys: 1 } }],
    ['root', rotate('c003'), none],
    ['root', rotate('c004'), none],
    ['ada', rotate('c001'), none],
    ['readerRoot', rotate('c001'), none],
    ['root', revoke('c001'), { ...rowOf(true), changed: { api_keys: 1 } }],
    ['ada', revoke('c001'), nothing(false)],
    ['readerRoot', revoke('c001'), nothing(false)],
    ['directory', find('c001'), rowOf('ada')],
    ['directory', find('c003'), none],
    ['directory', find('c004'), none],
    [
      'directory',
      `select previous_hash is null as r from api_key_find(${uuid('c002')})`,
      rowOf(true),
    ],
    [
      'directory',
      `select previous_hash is null as r from api_key_find(${uuid('c005')})`,
      rowOf(false),
    ],
    ['root', `${grace} where id = ${uuid('c002')}`, rowOf(true)],
    ['readerRoot', grace, rowOf(false)],
    [
      'root',
      `select id as r from api_key_list(${uuid('c003')}, 500)`,
      { ...done, rows: ['c001', 'c002'].map(row) },
    ],
    // It was used after that.
    ['directory', `select api_key_used(array[${uuid('c002')}]::uuid[], array[1]) as r`, wrote({})],
    [
      'directory',
      `select api_key_used(array[${uuid('c001')}]::uuid[], array[1]) as r`,
      wrote({ api_keys: 1 }),
    ],
    [
      'directory',
      `select api_key_used(array_fill(${uuid('c001')}::uuid, array[1001]), array[1]) as r`,
      { state: '22023' },
    ],
  ]
}
