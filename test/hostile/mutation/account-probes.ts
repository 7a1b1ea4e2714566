/** Functions of accounts, their sessions, mails and attempts, which the program calls under the mark of a directory. */
import { hash, none, nothing, rowOf, uuid, wrote, type Case } from './function-cases.ts'
import type { Expected } from './probes.ts'
import type { World } from './world.ts'

export function accountCases(world: World): readonly Case[] {
  const [ada, bob] = [uuid('a001'), uuid('a002')]
  const enter = (session: string, account: string, name = 'home') =>
    `select namespace::text || agent as r from account_enter(${uuid(session)}, ${account}, '${name}')`
  const accept = (code: string, account: string) =>
    `select account_accept(${hash(code)}, ${account}) as r`
  const own = `select namespace as r from account_own(${bob})`
  const call = (text: string): string => `select account_${text} as r`
  const directory = (text: string, expected: Expected): Case => ['directory', text, expected]
  return [
    directory(enter('b001', ada), rowOf(`${world.homeId}ada`)),
    directory(enter('b001', ada, 'reader'), rowOf(`${world.readerId}ada`)),
    directory(enter('b001', bob, 'reader'), none),
    directory(enter('b002', bob), none),
    directory(enter('b003', ada), none),
    directory(enter('b002', bob, 'leaving'), none),
    directory(accept('12', bob), {
      ...rowOf('home'),
      changed: { account_invitations: 1, account_members: 1 },
    }),
    directory(accept('12', ada), nothing(null)),
    directory(accept('11', bob), nothing(null)),
    directory(accept('14', bob), nothing(null)),
    directory(accept('15', bob), nothing(null)),
    directory(call(`is_invited('bob@example.org')`), rowOf(true)),
    directory(call(`is_invited('ada@example.org')`), rowOf(false)),
    directory(call(`is_invited('late@example.org')`), rowOf(false)),
    directory(
      `select namespace_name || agent as r from account_memberships(${bob})`,
      rowOf('readerbob'),
    ),
    directory(`select email as r from account_read(${ada})`, rowOf('ada@example.org')),
    directory(
      `select is_known_network as r from account_find('ada@example.org', '\\x01')`,
      rowOf(true),
    ),
    directory(
      `select is_known_network as r from account_find('ada@example.org', '\\x02')`,
      rowOf(false),
    ),
    // An administrator is told who its members are, and no more of them.
    ['root', `select password_hash as r from account_read(${ada})`, none],
    ['root', `select password_hash as r from account_find('ada@example.org', null)`, none],
    directory(call(`rehash(${ada}, 'hash', 'new')`), wrote({ accounts: 1 })),
    directory(call(`rehash(${ada}, 'other', 'new')`), wrote({})),
    directory(call(`change_password(${ada}, 'hash', 'new')`), {
      ...rowOf(true),
      changed: {
        oauth_grants: 3,
        oauth_artifacts: 2,
        accounts: 1,
        account_sessions: 2,
        account_mails: 2,
      },
    }),
    directory(call(`change_password(${ada}, 'other', 'new')`), nothing(false)),
    directory(
      call(`set_totp(${ada}, 2, 6, array[${hash('44')}])`),
      wrote({ accounts: 1, account_recovery_codes: 3 }),
    ),
    directory(
      call(`set_totp(${ada}, null, 0, '{}')`),
      wrote({ accounts: 1, account_recovery_codes: 2 }),
    ),
    directory(`select recovery_codes as r from account_read(${ada})`, rowOf(2)),
    directory(call(`use_recovery_code(${ada}, ${hash('41')})`), {
      ...rowOf(1),
      changed: { account_recovery_codes: 1 },
    }),
    directory(call(`use_recovery_code(${ada}, ${hash('43')})`), nothing(null)),
    directory(call(`use_totp(${ada}, 6)`), { ...rowOf(true), changed: { accounts: 1 } }),
    directory(call(`use_totp(${ada}, 5)`), nothing(false)),
    directory(call(`session_find(${uuid('b001')})`), rowOf(ada.slice(1, -1))),
    directory(call(`session_find(${uuid('b003')})`), nothing(null)),
    directory(call(`session_end(${ada}, null)`), wrote({ account_sessions: 2 })),
    directory(call(`session_end(${ada}, ${uuid('b001')})`), wrote({ account_sessions: 1 })),
    directory(call(`session_end(${bob}, ${uuid('b001')})`), wrote({})),
    directory(`select id as r from account_session_list(${ada})`, rowOf(uuid('b001').slice(1, -1))),
    directory(`select namespace_name || others as r from account_needed(${bob})`, rowOf('reader1')),
    directory(`select namespace_name as r from account_needed(${ada})`, rowOf('leaving')),
    directory(call(`delete(${uuid('a003')})`), { ...rowOf(true), changed: { accounts: 1 } }),
    directory(call(`delete(${ada})`), nothing(false)),
    directory(call(`redeem(${hash('02')}, ${uuid('a009')}, 'new')`), nothing(null)),
    directory(call(`redeem(${hash('01')}, ${uuid('a009')}, 'new')`), {
      ...rowOf(ada.slice(1, -1)),
      changed: {
        oauth_grants: 3,
        oauth_artifacts: 2,
        accounts: 1,
        account_mails: 1,
        account_sessions: 2,
      },
    }),
    directory(call(`attempt(array['\\x01'::bytea], array[3], array[60]) > 0`), {
      ...rowOf(true),
      // One that is long over goes.
      changed: { account_delays: 1 },
    }),
    directory(call(`attempt(array['\\x09'::bytea], array[3], array[60])`), {
      ...rowOf(0),
      changed: { account_delays: 3 },
    }),
    // Beyond what is free, one more change: the wait.
    directory(call(`attempt(array['\\x09'::bytea], array[0], array[60])`), {
      ...rowOf(0),
      changed: { account_delays: 4 },
    }),
    directory(call(`attempt(array_fill('\\x09'::bytea, array[9]), array[3], array[60])`), {
      state: '22023',
    }),
    directory(
      `select count(*)::int as r from generate_series(1, 101) n cross join lateral
        account_session_add(gen_random_uuid(), ${ada}, null, n * 0 + 60)`,
      // One that has ended goes, and the two oldest of more than a hundred.
      { ...rowOf(101), changed: { account_sessions: 104 } },
    ),
    directory(
      `select count(*)::int as r from generate_series(1, 20) n cross join lateral
        account_session_add(gen_random_uuid(), ${ada}, int4send(n), 60)`,
      { ...rowOf(20), changed: { account_sessions: 21, account_networks: 22 } },
    ),
    // Somebody is a member already.
    ['root', own, none],
    ['ada', own, none],
    ['nobody', own, none],
    ['ghostRoot', own, { state: '23503' }],
    ['ghostAppJob', own, { state: '23503' }],
    directory(own, none),
    directory(call(`attempt_right(array['\\x01'::bytea])`), wrote({ account_delays: 1 })),
    directory(call(`mail_add(${hash('09')}, 'reset', 'bob@example.org', 60, 3)`), {
      ...rowOf(true),
      changed: { account_mails: 2 },
    }),
    directory(call(`mail_add(${hash('09')}, 'reset', 'bob@example.org', 60, 1)`), nothing(false)),
    // A code of another kind stays good.
    directory(call(`mail_add(${hash('09')}, 'sign-up', 'bob@example.org', 60, 3)`), {
      ...rowOf(true),
      changed: { account_mails: 1 },
    }),
  ]
}
