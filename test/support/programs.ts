/** People with an account, and programs that they let in, by the ways of the database: nobody fills in a form. */
import { randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { addMail, redeemMail } from '../../src/accounts/accounts.sql.ts'
import { addGrant, putClient } from '../../src/accounts/clients.sql.ts'
import { invitationHash } from '../../src/accounts/member-operations.ts'
import { acceptInvitation } from '../../src/accounts/members.sql.ts'
import type { TestApp } from './app.ts'

export const program = 'https://a.example/client'

/** Id of a new account. */
export async function newAccount({ app: { scope } }: TestApp, email: string): Promise<string> {
  const codeHash = randomBytes(32)
  const mail = { codeHash, kind: 'sign-up', email, lifeSeconds: 60, hourlyMax: 5 } as const
  await scope.withDirectory((sql) => addMail(sql, mail))
  const id = await scope.withDirectory((sql) => redeemMail(sql, codeHash, uuidv7(), 'hash'))
  if (id === undefined) throw new Error('no account was made')
  return id
}

/** The account accepts an invitation, and lets `program` in as the agent that was invited. */
export async function acceptAndLetIn(
  { app }: TestApp,
  account: string,
  namespaceName: string,
  invited: { readonly code: string; readonly agent: string },
): Promise<void> {
  const { scope } = app
  const { agent } = invited
  const metadata = JSON.stringify({ client_name: 'A test', redirect_uris: ['https://a.example/b'] })
  await scope.withDirectory((sql) => putClient(sql, program, metadata, 3600, 100))
  const codeHash = invitationHash(invited.code)
  await scope.withDirectory((sql) => acceptInvitation(sql, codeHash, account))
  const member = await app.principal({ namespaceName, agent, channel: 'rest' })
  const lives = { lifeSeconds: 3600, clientSeconds: 3600 }
  const grant = { id: uuidv7(), account, client: program, scopes: 'memory:read', ...lives }
  const isIn = await scope.withNamespace(member, {}, (tx) => addGrant(tx, grant))
  if (!isIn) throw new Error('the person is no member')
}
