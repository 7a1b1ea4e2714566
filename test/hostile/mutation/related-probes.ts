/**
 * Policies that ask another table see no more of it than its own policies show. With those lifted, what they ask
 * of it must hold by itself.
 */
import { uuid } from './function-cases.ts'
import { done, type Expected, type Probe, type Role } from './probes.ts'
import type { World } from './world.ts'

type Lifted = readonly [lift: () => Promise<string>, probes: readonly Probe[]]

const lift = (table: string): string => `alter table mindglue.${table} disable row level security;`

export function relatedProbes(world: World): readonly Lifted[] {
  const { hostile, homeId, readerId, leavingId } = world
  const ada = hostile.agent(BigInt(homeId), 'ada', '-')
  const root = hostile.agent(BigInt(homeId), 'root', 'aq')
  const ids = (...ends: readonly string[]): Expected => ({
    ...done,
    rows: ends.map((end) => JSON.stringify({ r: uuid(end).slice(1, -1) })),
  })
  const probe = (
    lifted: string,
    table: string,
    context: string,
    statement: string,
    expected: Expected,
    role: Role = 'mindglue_owner',
  ): Probe => ({
    about: [table],
    name: `without the policies of ${lifted}: ${statement}`,
    role,
    context,
    statement,
    expected,
  })
  // Somebody who is another one elsewhere, and somebody of elsewhere alone.
  const people = `
    set local session_replication_role = replica;
    insert into mindglue.accounts (id, email, password_hash)
      values (${uuid('a004')}, 'yan@example.org', 'hash');
    insert into mindglue.account_members (namespace, account, agent, role, added_by) values
      (${homeId}, ${uuid('a002')}, 'bob', 'member', 'root'),
      (${leavingId}, ${uuid('a002')}, 'ada', 'member', 'root'),
      (${readerId}, ${uuid('a004')}, 'yan', 'member', 'root');
    insert into mindglue.oauth_grants (id, account, client, namespace, scopes, expires_at)
      values (${uuid('e006')}, ${uuid('a002')}, 'c-1', ${homeId}, 'read', now() + interval '1 hour');
    set local session_replication_role = origin;`
  const members = 'account_members'
  const grants = 'oauth_grants'
  return [
    [
      () => Promise.resolve(lift(members) + people),
      [
        probe(members, grants, ada, `select id as r from mindglue.${grants}`, ids('e001', 'e004')),
        probe(
          members,
          'accounts',
          root,
          'select id as r from mindglue.accounts',
          ids('a001', 'a002'),
        ),
      ],
    ],
    [
      () => Promise.resolve(lift(grants)),
      [
        probe(grants, 'oauth_clients', ada, 'select id as r from mindglue.oauth_clients', {
          ...done,
          rows: ['{"r":"c-1"}'],
        }),
        probe(grants, 'oauth_clients', ada, `update mindglue.oauth_clients set metadata = '{}'`, {
          ...done,
          changed: { oauth_clients: 1 },
        }),
      ],
    ],
    [
      () => Promise.resolve(lift('mentions')),
      [
        probe(
          'mentions',
          'entities',
          ada,
          'delete from mindglue.entities where entity = 900',
          { ...done, changed: { entities: 1 } },
          'mindglue_app',
        ),
      ],
    ],
  ]
}
