/** The operations `client.list` and `client.revoke`, for administrators: programs that members let in. */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Operation } from '../operation.ts'
import { readStoredClient, redirectPlace } from './client-metadata.ts'
import { listClients, revokeClient, type ListedRow } from './clients.sql.ts'
import { emailAddress } from './email.ts'

const pageMax = 500
const pageDefault = 100

/** What anybody who may end it is told of a client. */
export const describedClient = z.object({
  client: z.string().describe('Its id; of one that describes itself, the address of its document'),
  name: z.string().nullable().describe('As it calls itself; nobody has checked it'),
  redirects: z.array(z.string()).describe('Where it is called back'),
  scopes: z.array(z.string()),
  since: z.string(),
  used_at: z.string(),
})

export function describeClient(row: ListedRow): z.output<typeof describedClient> {
  const { client_name: name, redirect_uris: uris } = readStoredClient(row.metadata)
  return {
    client: row.client,
    name: name ?? null,
    redirects: [...new Set(uris.map((uri) => redirectPlace(uri)))],
    scopes: [...new Set(row.scopes.split(' '))].toSorted(),
    since: row.since.toISOString(),
    used_at: row.used_at.toISOString(),
  }
}

const described = describedClient.extend({ email: z.string(), agent: z.string() })
const listInput = z.strictObject({
  limit: z.int().min(1).max(pageMax).optional().describe('Clients of a page; 100 when left out'),
  after_email: z.string().max(254).optional().describe('Of the last entry of the page before'),
  after_client: z.string().max(512).optional().describe('Of the last entry of the page before'),
})
const listOutput = z.object({ clients: z.array(described) })

export function clientListOperation(): Operation<typeof listInput, typeof listOutput, undefined> {
  return {
    name: 'client.list',
    title: 'List clients',
    description:
      'Lists the programs that members let into this namespace with OAuth, by e-mail address of who did.',
    scope: 'admin',
    effect: 'read',
    input: listInput,
    output: listOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx }, _, { after_email: email, after_client: client = '', limit }) => {
      const after = email === undefined ? undefined : { email, client }
      const rows = await listClients(tx, after, limit ?? pageDefault)
      const clients = rows.map((row) => ({
        ...describeClient(row),
        email: row.email,
        agent: row.agent,
      }))
      return { output: { clients }, audit: { counts: { clients: clients.length } } }
    },
  }
}

const revokeInput = z.strictObject({
  client: z.string().min(1).max(512),
  email: emailAddress.optional().describe('Of one member; left out, of all of them'),
})
const revokeOutput = z.object({ client: z.string(), revoked: z.int() })

/** Acts within two seconds, on streams that are open within five. */
export function clientRevokeOperation(): Operation<
  typeof revokeInput,
  typeof revokeOutput,
  undefined
> {
  return {
    name: 'client.revoke',
    title: 'Revoke a client',
    description:
      'Shuts a program out that members let in, within five seconds; of one member, or of all. It can ' +
      'be let in again.',
    scope: 'admin',
    effect: 'write',
    input: revokeInput,
    output: revokeOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx }, _, { client, email }) => {
      const revoked = await revokeClient(tx, client, email)
      if (revoked > 0)
        return { output: { client, revoked }, audit: { counts: { clients: revoked } } }
      throw new AppError('not_found', 'Nobody let this client into this namespace.')
    },
  }
}
