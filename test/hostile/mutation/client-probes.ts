/** Functions of what people let in with OAuth, and of those who let it in. */
import { done, type Expected } from './probes.ts'
import { none, nothing, rowOf, uuid, wrote, hash, type Case } from './function-cases.ts'

export function clientCases(): readonly Case[] {
  const [ada, bob] = [uuid('a001'), uuid('a002')]
  const call = (text: string): string => `select oauth_${text} as r`
  const nobody = (text: string, expected: Expected): Case => ['nobody', text, expected]
  const found = (...values: readonly string[]): Expected => ({
    ...done,
    rows: values.map((r) => JSON.stringify({ r })),
  })
  const client = (id: string) => `select metadata as r from oauth_client_find('${id}')`
  const grant = (id: string) => `select client as r from oauth_grant_find(${uuid(id)})`
  const enter = (id: string, account: string, of = 'c-1') =>
    `select agent as r from oauth_enter(${uuid(id)}, ${account}, '${of}')`
  const add = (account: string) =>
    call(`grant_add(${uuid('e009')}, ${account}, 'c-1', 'read', 60, 60)`)
  const artifact = (code: string) =>
    `select is_consumed as r from oauth_artifact_find(${hash(code)})`
  const put = (of: string) =>
    call(`artifact_put(${hash('39')}, ${uuid(of)}, '\\x00', 60, null, null)`)
  const letIn = (account: string) =>
    `select client || namespace_name || scopes as r from oauth_clients_of(${account})`
  const list = `select email || scopes as r from client_list(null, null, 500)`
  const end = (account: string, of = 'c-1') => call(`client_end(${account}, '${of}')`)
  const idsOf = (...ends: readonly string[]) => ends.map((one) => uuid(one).slice(1, -1))
  const revoke = (email: string) => `select client_revoke('c-1', ${email}) as r`
  const goneOfHome = { oauth_grants: 2, oauth_artifacts: 1 }
  return [
    nobody(client('c-1'), found('{}')),
    nobody(client('c-2'), none),
    nobody(call(`client_put('c-5', '{}', 60, 100)`), wrote({ oauth_clients: 1 })),
    // Of those that nobody let in, the newest stays.
    nobody(call(`client_put('c-5', '{}', 60, 1)`), wrote({ oauth_clients: 2 })),
    nobody(grant('e001'), found('c-1')),
    nobody(grant('e004'), none),
    nobody(enter('e001', ada), found('ada')),
    nobody(enter('e003', bob), found('bob')),
    nobody(enter('e001', bob), none),
    nobody(enter('e001', ada, 'c-2'), none),
    nobody(enter('e004', ada), none),
    ['ada', add(ada), { ...rowOf(true), changed: { oauth_grants: 1, oauth_clients: 1 } }],
    ['ada', add(bob), nothing(false)],
    ['root', add(ada), nothing(false)],
    ['leavingRoot', add(ada), nothing(false)],
    nobody(add(ada), nothing(false)),
    [
      'ada',
      `select count(*)::int as r from generate_series(1, 199) n cross join lateral
        oauth_grant_add(gen_random_uuid(), ${ada}, 'c-1', 'read', n * 0 + 60, 60)`,
      // The two that were used longest ago go.
      {
        ...rowOf(199),
        changed: { oauth_grants: 201, oauth_clients: 199, oauth_artifacts: 1 },
      },
    ],
    nobody(call(`grant_end(${uuid('e001')})`), wrote({ oauth_grants: 1, oauth_artifacts: 1 })),
    nobody(put('e001'), { ...rowOf(true), changed: { oauth_artifacts: 1 } }),
    // A token that is renewed keeps its consent and its client, and no other.
    nobody(call(`artifact_put(${hash('39')}, ${uuid('e001')}, '\\x00', 60, 60, 60)`), {
      ...rowOf(true),
      changed: { oauth_artifacts: 1, oauth_grants: 1, oauth_clients: 1 },
    }),
    nobody(put('e009'), nothing(false)),
    nobody(artifact('31'), rowOf(false)),
    nobody(artifact('32'), none),
    nobody(call(`artifact_consume(${hash('31')})`), {
      ...rowOf(true),
      changed: { oauth_artifacts: 1 },
    }),
    nobody(artifact('34'), rowOf(true)),
    nobody(call(`artifact_consume(${hash('34')})`), nothing(false)),
    nobody(call(`artifact_drop(${hash('31')})`), wrote({ oauth_artifacts: 1 })),
    nobody(letIn(ada), found('c-1homeread', 'c-1readerread')),
    nobody(letIn(bob), found('c-1readerread', 'c-3readerread')),
    ['ada', end(ada), { ...found(...idsOf('e001', 'e004')), changed: goneOfHome }],
    ['ada', end(ada, 'c-2'), none],
    ['ada', end(bob), none],
    ['root', end(ada), none],
    nobody(end(ada), none),
    nobody(call('purge(10)'), {
      ...rowOf(3),
      changed: { oauth_artifacts: 1, oauth_grants: 1, oauth_clients: 1 },
    }),
    ['root', list, found('ada@example.orgread')],
    [
      'readerRoot',
      list,
      found('ada@example.orgread', 'bob@example.orgread', 'bob@example.orgread'),
    ],
    ['ada', list, none],
    ['nobody', list, none],
    ['root', revoke('null'), { ...rowOf(2), changed: goneOfHome }],
    ['root', `select client_revoke('c-2', null) as r`, nothing(0)],
    ['root', revoke(`'bob@example.org'`), nothing(0)],
    [
      'readerRoot',
      revoke(`'bob@example.org'`),
      { ...rowOf(1), changed: { oauth_grants: 1, oauth_artifacts: 1 } },
    ],
    ['ada', revoke('null'), nothing(0)],
    ['nobody', revoke('null'), nothing(0)],
  ]
}
