/** Everything of accounts and members: each function of theirs that sends a statement, once. */
import { randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import {
  addMail,
  addSession,
  changePassword,
  deleteAccount,
  dropTotp,
  endSessions,
  findAccount,
  findSession,
  forgiveAttempt,
  listSessions,
  readAccount,
  redeemMail,
  rehashAccount,
  setTotp,
  takeAttempt,
  useRecoveryCode,
  useTotp,
} from '../../src/accounts/accounts.sql.ts'
import {
  acceptInvitation,
  enterNamespace,
  inviteMember,
  isInvited,
  leaveNamespace,
  listMembers,
  listMemberships,
  listNeeded,
  ownNamespace,
  removeMember,
  setMemberRole,
} from '../../src/accounts/members.sql.ts'
import type { NamespaceScope } from '../../src/database/scope.ts'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import type { Namespaces } from '../../src/namespaces/namespaces.ts'
import type { TestMemory } from './memory.ts'

const email = 'ada@example.org'

export async function accountsAndMembers(
  scope: NamespaceScope,
  namespaces: Namespaces,
  memory: TestMemory,
): Promise<void> {
  const name = 'everything people'
  const namespace = await namespaces.create(name)
  const account = await signUp(scope)
  await attempts(scope, account)
  const session = uuidv7()
  await scope.withDirectory((sql) => addSession(sql, session, account, randomBytes(8), 60))
  await scope.withDirectory((sql) => findSession(sql, session))
  await members(scope, memory, { namespace, account })
  const owner = { namespace, agent: 'ada', scopes: new Set(['admin'] as const) }
  await scope.withNamespace(owner, {}, (tx) => ownNamespace(tx, account))
  await scope.withDirectory((sql) => listMemberships(sql, account))
  await scope.withDirectory((sql) => enterNamespace(sql, { id: session, account }, name))
  await scope.withDirectory((sql) => listSessions(sql, account))
  await scope.withDirectory((sql) => listNeeded(sql, account))
  await scope.withDirectory((sql) => endSessions(sql, account, session))
  await scope.withNamespace(owner, {}, (tx) => leaveNamespace(tx, account))
  await scope.withNamespace(jobPrincipal(namespace), {}, (tx) => removeMember(tx, email))
  await scope.withDirectory((sql) => dropTotp(sql, account))
  await scope.withDirectory((sql) => deleteAccount(sql, account))
}

async function signUp(scope: NamespaceScope): Promise<string> {
  const codeHash = randomBytes(32)
  const mail = { codeHash, kind: 'sign-up', email, lifeSeconds: 60, hourlyMax: 5 } as const
  await scope.withDirectory((sql) => addMail(sql, mail))
  const id = await scope.withDirectory((sql) => redeemMail(sql, codeHash, uuidv7(), 'hash 1'))
  if (id === undefined) throw new Error('no account was made')
  await scope.withDirectory((sql) => findAccount(sql, email, undefined))
  await scope.withDirectory((sql) => readAccount(sql, id))
  await scope.withDirectory((sql) => rehashAccount(sql, id, 'hash 1', 'hash 2'))
  await scope.withDirectory((sql) => changePassword(sql, id, 'hash 2', 'hash 3'))
  return id
}

async function attempts(scope: NamespaceScope, account: string): Promise<void> {
  const recoveryHashes = [randomBytes(32), randomBytes(32)]
  await scope.withDirectory((sql) =>
    setTotp(sql, account, { generation: 1, step: 1, recoveryHashes }),
  )
  const [code = randomBytes(32)] = recoveryHashes
  await scope.withDirectory((sql) => useRecoveryCode(sql, account, code))
  await scope.withDirectory((sql) => useTotp(sql, account, 2))
  const limits = [{ key: randomBytes(16), free: 3, secondsMax: 60 }]
  await scope.withDirectory((sql) => takeAttempt(sql, limits))
  await scope.withDirectory((sql) => forgiveAttempt(sql, limits))
}

async function members(
  scope: NamespaceScope,
  memory: TestMemory,
  { namespace, account }: { namespace: bigint; account: string },
): Promise<void> {
  const admin = jobPrincipal(namespace)
  const codeHash = randomBytes(32)
  // Invited by hand: what the same invitation is told elsewhere must differ from what it is told here.
  await memory.test.owner.ownerTransaction(
    (sql) => sql`
      insert into mindglue.account_invitations
        (code_hash, namespace, email, agent, role, invited_by, expires_at)
      values (${codeHash}, ${namespace}, ${email}, 'ada', 'reader', 'root', now() + interval '1 minute')`,
  )
  await scope.withDirectory((sql) => isInvited(sql, email))
  await scope.withDirectory((sql) => acceptInvitation(sql, codeHash, account))
  const again = { codeHash: randomBytes(32), email, agent: 'ada', role: 'reader' }
  await scope.withNamespace(admin, {}, (tx) =>
    inviteMember(tx, { ...again, lifeSeconds: 60, peopleMax: 9 }),
  )
  await scope.withNamespace(admin, { readOnly: true }, (tx) => listMembers(tx, undefined, 9))
  await scope.withNamespace(admin, {}, (tx) => setMemberRole(tx, email, 'member'))
}
