/** Everything of clients that people let in: each function of theirs that sends a statement, once. */
import { randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import {
  addGrant,
  consumeArtifact,
  dropArtifact,
  endGrant,
  endOwnClient,
  enterAsClient,
  findArtifact,
  findClient,
  findGrant,
  listClients,
  listOwnClients,
  putArtifact,
  putClient,
  revokeClient,
} from '../../src/accounts/clients.sql.ts'
import type { NamespaceScope } from '../../src/database/scope.ts'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import type { Namespaces } from '../../src/namespaces/namespaces.ts'
import type { Scope } from '../../src/principal.ts'
import type { TestMemory } from './memory.ts'

export async function clientsOfPeople(
  scope: NamespaceScope,
  namespaces: Namespaces,
  memory: TestMemory,
): Promise<void> {
  const namespaceName = 'everything clients'
  const namespace = await namespaces.create(namespaceName)
  const account = uuidv7()
  await memory.test.owner.ownerTransaction(async (sql) => {
    await sql`
      insert into mindglue.accounts (id, email, password_hash)
      values (${account}::uuid, 'carl@example.org', 'hash')`
    await sql`
      insert into mindglue.account_members (namespace, account, agent, role, added_by)
      values (${namespace}, ${account}::uuid, 'carl', 'member', 'root')`
  })
  const client = 'a client'
  const id = uuidv7()
  const grant = { account, client, scopes: 'memory:read' }
  const carl = { namespace, agent: 'carl', scopes: new Set<Scope>() }
  const lives = { lifeSeconds: 60, clientSeconds: 60 }
  const idHash = randomBytes(32)
  await scope.withDirectory((sql) => putClient(sql, client, '{"client_name":"a"}', 60, 9))
  await scope.withDirectory((sql) => findClient(sql, client))
  await scope.withNamespace(carl, {}, (tx) => addGrant(tx, { id: uuidv7(), ...grant, ...lives }))
  await scope.withNamespace(carl, {}, (tx) => endOwnClient(tx, account, client))
  await scope.withNamespace(carl, {}, (tx) => addGrant(tx, { id, ...grant, ...lives }))
  await scope.withDirectory((sql) => findGrant(sql, id))
  await scope.withDirectory((sql) => enterAsClient(sql, id, account, client))
  const artifact = { idHash, grant: id, payload: randomBytes(80), keepSeconds: 60, ...lives }
  await scope.withDirectory((sql) => putArtifact(sql, artifact))
  await scope.withDirectory((sql) => findArtifact(sql, idHash))
  await scope.withDirectory((sql) => consumeArtifact(sql, idHash))
  await scope.withDirectory((sql) => dropArtifact(sql, idHash))
  const admin = jobPrincipal(namespace)
  await scope.withNamespace(admin, { readOnly: true }, (tx) => listClients(tx, undefined, 9))
  await scope.withDirectory((sql) => listOwnClients(sql, account))
  await scope.withNamespace(admin, {}, (tx) => revokeClient(tx, client, 'carl@example.org'))
  await scope.withDirectory((sql) => endGrant(sql, id))
}
