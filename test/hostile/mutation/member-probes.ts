/** Functions of members and invitations, which are the administrators’ of one namespace. */
import { hash, none, nothing, rowOf, uuid, type Case } from './function-cases.ts'
import { done } from './probes.ts'

export function memberCases(): readonly Case[] {
  const list = `select email as r from member_list(null, 500)`
  const role = (email: string) => `select member_set_role('${email}', 'admin') as r`
  const remove = (email: string) => `select member_remove('${email}') as r`
  const leave = (account: string) => `select member_leave(${uuid(account)}) as r`
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
    [
      'readerRoot',
      role('bob@example.org'),
      { ...rowOf(true), changed: { ...one, account_invitations: 1 } },
    ],
    ['ada', role('ada@example.org'), nothing(false)],
    ['nobody', role('ada@example.org'), nothing(false)],
    [
      'root',
      remove('ada@example.org'),
      { ...rowOf(true), changed: { ...one, oauth_grants: 2, oauth_artifacts: 1 } },
    ],
    ['root', remove('carl@example.org'), { ...rowOf(true), changed: { account_invitations: 1 } }],
    [
      'readerRoot',
      remove('bob@example.org'),
      {
        ...rowOf(true),
        changed: { ...one, account_invitations: 1, oauth_grants: 2, oauth_artifacts: 1 },
      },
    ],
    ['ada', remove('ada@example.org'), nothing(false)],
    ['nobody', remove('ada@example.org'), nothing(false)],
    // As the agent of the context alone, and not the last administrator.
    [
      'adaRoot',
      leave('a001'),
      { ...rowOf(true), changed: { ...one, oauth_grants: 2, oauth_artifacts: 1 } },
    ],
    ['adaRoot', leave('a002'), nothing(false)],
    ['root', leave('a001'), nothing(false)],
    ['ada', leave('a001'), nothing(false)],
    ['annieRoot', leave('a001'), nothing(false)],
    ['readerBobRoot', leave('a002'), nothing(false)],
    ['nobody', leave('a001'), nothing(false)],
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
