/** People with an account, as rows: nobody has to sign up for what a test wants to know of them. */
import { v7 as uuidv7 } from 'uuid'
import { addSession } from '../../src/accounts/accounts.sql.ts'
import type { Role } from '../../src/accounts/roles.ts'
import type { Session } from '../../src/accounts/session-tokens.ts'
import type { TestMemory } from './memory.ts'

/** Somebody who is logged in. */
export async function person(memory: TestMemory): Promise<Session> {
  const { owner, scope } = memory.test
  const [id, account] = [uuidv7(), uuidv7()]
  await owner.ownerTransaction(
    (sql) => sql`
      insert into mindglue.accounts (id, email, password_hash)
      values (${account}::uuid, ${`${account}@example.org`}, 'hash')`,
  )
  await scope.withDirectory((sql) => addSession(sql, id, account, undefined, 3600))
  return { id, account }
}

/** Makes the person a member there, as this agent; the namespace. */
export async function join(
  memory: TestMemory,
  { account }: Session,
  namespaceName: string,
  { agent, role = 'member' }: { readonly agent: string; readonly role?: Role },
): Promise<bigint> {
  const { namespace } = await memory.principal({ namespaceName })
  await memory.test.owner.ownerTransaction(
    (sql) => sql`
      insert into mindglue.account_members (namespace, account, agent, role, added_by)
      values (${namespace}, ${account}::uuid, ${agent}, ${role}, 'root')`,
  )
  return namespace
}
