/** Functions of what people let in with OAuth, and of those who let it in. */
import { done, type Expected } from './probes.ts'
import { none, nothing, rowOf, uuid, wrote, hash, type Case } from './function-cases.ts'

export function clientCases(): readonly Case[] {
  const [ada, bob] = [uuid('a001'), uuid('a002')]
  const call = (text: string): string => `select oauth_${text} as r`
  const directory = (text: string, expected: Expected): Case => ['directory', text, expected]
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
    directory(client('c-1'), found('{}')),
    directory(client('c-2'), none),
    directory(call(`client_put('c-5', '{}', 60, 100)`), wrote({ oauth_clients: 1 })),
    // Of those that nobody let in, the newest stays.
    directory(call(`client_put('c-5', '{}', 60, 1)`), wrote({ oauth_clients: 2 })),
    directory(grant('e001'), found('c-1')),
    directory(grant('e004'), none),
    directory(enter('e001', ada), found('ada')),
    directory(enter('e003', bob), found('bob')),
    directory(enter('e001', bob), none),
    directory(enter('e001', ada, 'c-2'), none),
    directory(enter('e004', ada), none),
    ['ada', add(ada), { ...rowOf(true), changed: { oauth_grants: 1, oauth_clients: 1 } }],
    ['ada', add(bob), nothing(false)],
    ['root', add(ada), nothing(false)],
    ['leavingRoot', add(ada), nothing(false)],
    ['annie', add(ada), nothing(false)],
    ['nobody', add(ada), nothing(false)],
    directory(add(ada), nothing(false)),
    [
      'ada',
      `select count(*)::int as r from generate_series(1, 199) n cross join lateral
        oauth_grant_add(gen_random_uuid(), ${ada}, 'c-1', 'read', n * 0 + 60, 60)`,
      // The one in this namespace that was used longest ago goes; of those in others nothing is seen.
      { ...rowOf(199), changed: { oauth_grants: 200, oauth_clients: 199 } },
      { ...rowOf(199), changed: { oauth_grants: 201, oauth_clients: 199, oauth_artifacts: 1 } },
    ],
    directory(call(`grant_end(${uuid('e001')})`), wrote({ oauth_grants: 1, oauth_artifacts: 1 })),
    directory(put('e001'), { ...rowOf(true), changed: { oauth_artifacts: 1 } }),
    // A token that is renewed keeps its consent and its client, and no other.
    directory(call(`artifact_put(${hash('39')}, ${uuid('e001')}, '\\x00', 60, 60, 60)`), {
      ...rowOf(true),
      changed: { oauth_artifacts: 1, oauth_grants: 1, oauth_clients: 1 },
    }),
    directory(put('e009'), nothing(false)),
    directory(artifact('31'), rowOf(false)),
    directory(artifact('32'), none),
    directory(call(`artifact_consume(${hash('31')})`), {
      ...rowOf(true),
      changed: { oauth_artifacts: 1 },
    }),
    directory(artifact('34'), rowOf(true)),
    directory(call(`artifact_consume(${hash('34')})`), nothing(false)),
    directory(call(`artifact_drop(${hash('31')})`), wrote({ oauth_artifacts: 1 })),
    directory(letIn(ada), found('c-1homeread', 'c-1readerread')),
    directory(letIn(bob), found('c-1readerread', 'c-3readerread')),
    ['ada', end(ada), { ...found(...idsOf('e001', 'e004')), changed: goneOfHome }],
    ['ada', end(ada, 'c-2'), none],
    ['ada', end(bob), none],
    ['root', end(ada), none],
    // What somebody else let in, in the same namespace.
    ['readerBob', end(ada), none],
    [
      'readerBob',
      end(bob),
      { ...found(...idsOf('e003')), changed: { oauth_grants: 1, oauth_artifacts: 1 } },
    ],
    ['annie', end(ada), none],
    ['nobody', end(ada), none],
    directory(end(ada), none),
    directory(call('purge(10)'), {
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
