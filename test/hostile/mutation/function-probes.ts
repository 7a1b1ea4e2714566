/**
 * Each function that acts with its owner's rights, called by those it is for and by those it is not for. Once
 * as the database is and once with FORCE lifted: what the text of a function says must hold by itself.
 */
import { clientCases } from './client-probes.ts'
import { hash, none, nothing, rowOf, uuid, wrote, type Case } from './function-cases.ts'
import { done, type Expected, type Probe, type Role } from './probes.ts'
import { strayId, type World } from './world.ts'

export function functionProbes(world: World): readonly Probe[] {
  const { hostile, homeId, readerId, leavingId } = world
  const as = (namespace: string, who: string, flags: string) =>
    hostile.agent(BigInt(namespace), who, flags)
  const people: Readonly<Record<string, readonly [Role, string]>> = {
    nobody: ['mindglue_app', ''],
    ada: ['mindglue_app', as(homeId, 'ada', '-')],
    root: ['mindglue_app', as(homeId, 'root', 'aq')],
    readerRoot: ['mindglue_app', as(readerId, 'root', 'aq')],
    granted: ['mindglue_app', world.named('all')],
    job: ['mindglue_job', as(homeId, 'job', 'aqj')],
    noJob: ['mindglue_job', as(homeId, 'job', 'aq')],
    jobOfNobody: ['mindglue_job', ''],
    readerJob: ['mindglue_job', as(readerId, 'job', 'aqj')],
    ghostJob: ['mindglue_job', as('12345', 'job', 'aqj')],
    wrongReader: ['mindglue_app', world.under({ reader: leavingId, grant: world.grantId('all') })],
    wrongHome: ['mindglue_app', world.under({ home: leavingId, grant: world.grantId('all') })],
    wrongGrant: ['mindglue_app', world.under({ grant: strayId })],
    revoked: ['mindglue_app', world.named('revoked')],
    expired: ['mindglue_app', world.named('expired')],
    leavingRoot: ['mindglue_app', as(leavingId, 'root', 'aq')],
    leavingJob: ['mindglue_job', as(leavingId, 'job', 'aqj')],
    leavingNoJob: ['mindglue_job', as(leavingId, 'job', 'aq')],
  }
  const cases = [
    ...keyCases(),
    ...memberCases(),
    ...accountCases(world),
    ...directoryCases(world),
    ...removalCases(world),
    ...clientCases(),
  ]
  return cases.map(([who, call, expected]) => {
    const [role, context] = people[who] ?? ['mindglue_app', '']
    return {
      about: [
        ...(call.match(/\b[a-z]+_[a-z_]+(?=\()/gu) ?? []),
        ...(call.includes('context_granted') ? ['live_grant'] : []),
      ],
      name: `${who}: ${call}`,
      role,
      context,
      statement: call,
      expected,
    }
  })
}

function keyCases(): readonly Case[] {
  const rotate = (key: string) =>
    `select rotated_at is not null as r from api_key_rotate(${uuid(key)}, ${hash('aa')}, 60)`
  const revoke = (key: string) => `select api_key_revoke(${uuid(key)}) is not null as r`
  const find = (key: string) => `select agent as r from api_key_find(${uuid(key)})`
  const issue = `select api_key_issue(${uuid('c009')}, 'ada', '', 'read', null, false, null,
    ${hash('09')}, null) is not null as r`
  const ids = `select id as r from api_key_list(null, 500)`
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
    ['nobody', find('c001'), rowOf('ada')],
    ['nobody', find('c003'), none],
    ['nobody', find('c004'), none],
    [
      'nobody',
      `select api_key_used(array[${uuid('c001')}]::uuid[], array[1]) as r`,
      wrote({ api_keys: 1 }),
    ],
    [
      'nobody',
      `select api_key_used(array_fill(${uuid('c001')}::uuid, array[1001]), array[1]) as r`,
      { state: '22023' },
    ],
  ]
}

function memberCases(): readonly Case[] {
  const list = `select email as r from member_list(null, 500)`
  const role = (email: string) => `select member_set_role('${email}', 'admin') as r`
  const remove = (email: string) => `select member_remove('${email}') as r`
  const invite = (agent: string, email = 'dora@example.org', most = 9) =>
    `select member_invite(${hash('21')}, '${email}', '${agent}', 'member', 60, ${most}) as r`
  const people = (...emails: string[]) => ({
    ...done,
    rows: emails.map((name) => JSON.stringify({ r: `${name}@example.org` })),
  })
  const one = { account_members: 1 }
  return [
    ['root', list, people('ada', 'bob', 'carl')],
    ['readerRoot', list, people('ada', 'bob', 'carl')],
    ['ada', list, none],
    ['nobody', list, none],
    ['root', role('ada@example.org'), { ...rowOf(true), changed: one }],
    ['root', role('carl@example.org'), { ...rowOf(true), changed: { account_invitations: 1 } }],
    ['ada', role('ada@example.org'), nothing(false)],
    ['nobody', role('ada@example.org'), nothing(false)],
    [
      'root',
      remove('ada@example.org'),
      { ...rowOf(true), changed: { ...one, oauth_grants: 2, oauth_artifacts: 1 } },
    ],
    ['root', remove('carl@example.org'), { ...rowOf(true), changed: { account_invitations: 1 } }],
    ['ada', remove('ada@example.org'), nothing(false)],
    ['nobody', remove('ada@example.org'), nothing(false)],
    // The invitation that has run out goes with it.
    ['root', invite('dora'), { ...rowOf('invited'), changed: { account_invitations: 2 } }],
    [
      'root',
      invite('dora', 'carl@example.org'),
      { ...rowOf('invited'), changed: { account_invitations: 3 } },
    ],
    ['readerRoot', invite('dora'), { ...rowOf('invited'), changed: { account_invitations: 2 } }],
    [
      'readerRoot',
      invite('dora', 'dora@example.org', 4),
      { ...rowOf('invited'), changed: { account_invitations: 2 } },
    ],
    [
      'root',
      invite('dora', 'dora@example.org', 4),
      { ...rowOf('invited'), changed: { account_invitations: 2 } },
    ],
    ['root', invite('dora', 'dora@example.org', 3), rowOf('full')],
    ['root', invite('ada'), rowOf('agent')],
    ['root', invite('carl'), rowOf('agent')],
    ['root', invite('dora', 'ada@example.org'), rowOf('member')],
    // Known in another namespace alone.
    [
      'root',
      invite('dora', 'bob@example.org'),
      { ...rowOf('invited'), changed: { account_invitations: 3 } },
    ],
    ['root', invite('later'), { ...rowOf('invited'), changed: { account_invitations: 2 } }],
    ['leavingRoot', invite('ada'), { ...rowOf('invited'), changed: { account_invitations: 1 } }],
    ['ada', invite('dora'), nothing(null)],
    ['nobody', invite('dora'), nothing(null)],
  ]
}

function accountCases(world: World): readonly Case[] {
  const [ada, bob] = [uuid('a001'), uuid('a002')]
  const enter = (session: string, account: string, name = 'home') =>
    `select namespace::text || agent as r from account_enter(${uuid(session)}, ${account}, '${name}')`
  const accept = (code: string, account: string) =>
    `select account_accept(${hash(code)}, ${account}) as r`
  const call = (text: string): string => `select account_${text} as r`
  const nobody = (text: string, expected: Expected): Case => ['nobody', text, expected]
  return [
    nobody(enter('b001', ada), rowOf(`${world.homeId}ada`)),
    nobody(enter('b001', ada, 'reader'), rowOf(`${world.readerId}ada`)),
    nobody(enter('b001', bob, 'reader'), none),
    nobody(enter('b002', bob), none),
    nobody(enter('b003', ada), none),
    nobody(enter('b001', ada, 'leaving'), none),
    nobody(accept('12', bob), {
      ...rowOf('home'),
      changed: { account_invitations: 1, account_members: 1 },
    }),
    nobody(accept('12', ada), nothing(null)),
    nobody(accept('11', bob), nothing(null)),
    nobody(accept('14', bob), nothing(null)),
    nobody(accept('15', bob), nothing(null)),
    nobody(call(`is_invited('bob@example.org')`), rowOf(true)),
    nobody(call(`is_invited('ada@example.org')`), rowOf(false)),
    nobody(call(`is_invited('late@example.org')`), rowOf(false)),
    nobody(
      `select namespace_name || agent as r from account_memberships(${bob})`,
      rowOf('readerbob'),
    ),
    nobody(`select email as r from account_read(${ada})`, rowOf('ada@example.org')),
    nobody(
      `select is_known_network as r from account_find('ada@example.org', '\\x01')`,
      rowOf(true),
    ),
    nobody(
      `select is_known_network as r from account_find('ada@example.org', '\\x02')`,
      rowOf(false),
    ),
    nobody(call(`rehash(${ada}, 'hash', 'new')`), wrote({ accounts: 1 })),
    nobody(call(`rehash(${ada}, 'other', 'new')`), wrote({})),
    nobody(call(`change_password(${ada}, 'hash', 'new')`), {
      ...rowOf(true),
      changed: {
        oauth_grants: 3,
        oauth_artifacts: 2,
        accounts: 1,
        account_sessions: 2,
        account_mails: 2,
      },
    }),
    nobody(call(`change_password(${ada}, 'other', 'new')`), nothing(false)),
    nobody(call(`set_totp(${ada}, 2, 6)`), wrote({ accounts: 1 })),
    nobody(call(`use_totp(${ada}, 6)`), { ...rowOf(true), changed: { accounts: 1 } }),
    nobody(call(`use_totp(${ada}, 5)`), nothing(false)),
    nobody(call(`session_find(${uuid('b001')})`), rowOf(ada.slice(1, -1))),
    nobody(call(`session_find(${uuid('b003')})`), nothing(null)),
    nobody(call(`session_end(${ada}, null)`), wrote({ account_sessions: 2 })),
    nobody(call(`session_end(${ada}, ${uuid('b001')})`), wrote({ account_sessions: 1 })),
    nobody(call(`session_end(${bob}, ${uuid('b001')})`), wrote({})),
    nobody(call(`redeem(${hash('02')}, ${uuid('a009')}, 'new')`), nothing(null)),
    nobody(call(`redeem(${hash('01')}, ${uuid('a009')}, 'new')`), {
      ...rowOf(ada.slice(1, -1)),
      changed: {
        oauth_grants: 3,
        oauth_artifacts: 2,
        accounts: 1,
        account_mails: 1,
        account_sessions: 2,
      },
    }),
    nobody(call(`attempt(array['\\x01'::bytea], array[3], array[60]) > 0`), {
      ...rowOf(true),
      // One that is long over goes.
      changed: { account_delays: 1 },
    }),
    nobody(call(`attempt(array['\\x09'::bytea], array[3], array[60])`), {
      ...rowOf(0),
      changed: { account_delays: 3 },
    }),
    nobody(call(`attempt(array_fill('\\x09'::bytea, array[9]), array[3], array[60])`), {
      state: '22023',
    }),
    nobody(
      `select count(*)::int as r from generate_series(1, 101) n cross join lateral
        account_session_add(gen_random_uuid(), ${ada}, null, n * 0 + 60)`,
      // One that has ended goes, and the two oldest of more than a hundred.
      { ...rowOf(101), changed: { account_sessions: 104 } },
    ),
    nobody(
      `select count(*)::int as r from generate_series(1, 20) n cross join lateral
        account_session_add(gen_random_uuid(), ${ada}, int4send(n), 60)`,
      { ...rowOf(20), changed: { account_sessions: 21, account_networks: 22 } },
    ),
    nobody(
      `select account_own(${bob}, ${world.homeId}, 'bob') as r`,
      wrote({ account_members: 1 }),
    ),
    nobody(call(`attempt_right(array['\\x01'::bytea])`), wrote({ account_delays: 1 })),
    nobody(call(`mail_add(${hash('09')}, 'reset', 'bob@example.org', 60, 3)`), {
      ...rowOf(true),
      changed: { account_mails: 2 },
    }),
    nobody(call(`mail_add(${hash('09')}, 'reset', 'bob@example.org', 60, 1)`), nothing(false)),
  ]
}

function directoryCases(world: World): readonly Case[] {
  const page = `select namespace::text as r from due_page('embed', '2099-01-01', 100)`
  const dueDone = `select due_done('embed', '2099-01-01') as r`
  const names = `select namespace::text as r from namespace_page(0, 1000)`
  const add = `select due_add('statistics', '2026-01-01') as r`
  const event = `select audit_append(${uuid('aaaa')}, 'stdio', 'store', 'ok', ${uuid('aaab')}, '{}', 0, '') as r`
  const grantedHome = 'select context_granted_home()::text as r'
  const all = [world.homeId, world.readerId, world.leavingId].map((r) => JSON.stringify({ r }))
  const both = all.slice(0, 2)
  return [
    ['job', page, { ...done, rows: all }],
    ['noJob', page, none],
    ['jobOfNobody', page, none],
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
    ['nobody', `select namespace_find('home')::text as r`, rowOf(world.homeId)],
    ['nobody', `select namespace_find('absent') as r`, rowOf(null)],
    ['nobody', `select namespace_register('home', 5)::text as r`, nothing(world.homeId)],
    ['nobody', `select root_key_add(5, '\\x00') as r`, wrote({ root_keys: 1 })],
    ['job', `select root_key_remove(99) as r`, wrote({ root_keys: 1 })],
    ['noJob', `select root_key_remove(99) as r`, wrote({})],
  ]
}

function removalCases(world: World): readonly Case[] {
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
