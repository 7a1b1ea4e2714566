/** What the OAuth library keeps, as rows of clients, grants and sealed artifacts. */
import type { Adapter, AdapterPayload, errors } from 'oidc-provider'
import type { Artifact, Clients } from '../accounts/clients.ts'
import { AppError } from '../errors.ts'

export interface StorageOptions {
  /** Of the library, which is loaded late. */
  readonly errors: typeof errors
  readonly clients: Clients
  /** The resource that grants are for, in every spelling that is accepted. */
  readonly resources: readonly string[]
  /** Whether a client's document may be read from the network for the request that is being served. */
  readonly mayFetch: () => boolean
}

/** By the library's name of what is kept. */
export function oauthStorage(options: StorageOptions): (kind: string) => Adapter {
  return (kind) => {
    if (kind === 'Session') return nothing
    if (kind === 'Client') return clientStorage(options)
    if (kind === 'Grant') return grantStorage(options)
    return artifactStorage(kind, options)
  }
}

const found = (): Promise<undefined> => Promise.resolve(undefined)

/** Who is logged in is asked of the account's own session, each time; the library holds no other. */
const nothing: Adapter = {
  find: found,
  findByUid: found,
  findByUserCode: found,
  upsert: found,
  consume: found,
  destroy: found,
  revokeByGrantId: found,
}

function clientStorage({ clients, mayFetch, errors: { InvalidClient } }: StorageOptions): Adapter {
  return {
    ...nothing,
    async find(id) {
      try {
        const metadata = await clients.find(id, mayFetch())
        return metadata && payload(metadata)
      } catch (error) {
        if (!(error instanceof AppError) || error.code === 'internal') throw error
        throw new InvalidClient(error.publicMessage)
      }
    },
  }
}

/** Made by the consent page; the library reads and ends them. */
function grantStorage({ clients, resources }: StorageOptions): Adapter {
  return {
    ...nothing,
    async find(id) {
      const grant = await clients.grant(id)
      if (grant === undefined) return undefined
      const { account, client, scopes, created_at: made, expires_at: until } = grant
      return payload({
        jti: id,
        kind: 'Grant',
        iat: seconds(made),
        exp: seconds(until),
        accountId: account,
        clientId: client,
        openid: { scope: 'offline_access' },
        resources: Object.fromEntries(resources.map((resource) => [resource, scopes])),
      })
    },
    destroy: (id) => clients.endGrant(id),
  }
}

function artifactStorage(
  kind: string,
  { clients, errors: { InvalidGrant } }: StorageOptions,
): Adapter {
  const artifact = (id: string): Artifact => ({ kind, id })
  return {
    ...nothing,
    async find(id) {
      const row = await clients.read(artifact(id))
      return row && payload({ ...row.payload, ...(row.isConsumed && { consumed: true }) })
    },
    async upsert(id, content, lifeSeconds = 0) {
      const isKept = await clients.keep(
        artifact(id),
        { payload: content, grant: kind === 'Interaction' ? undefined : content.grantId },
        lifeSeconds,
        kind === 'RefreshToken',
      )
      if (!isKept) throw new InvalidGrant('what was allowed was taken back')
    },
    async consume(id) {
      // Of two at once one comes first; the other did nothing wrong that is known.
      if (!(await clients.consume(artifact(id)))) throw new InvalidGrant('already used')
    },
    destroy: (id) => clients.drop(artifact(id)),
    revokeByGrantId: (id) => clients.endGrant(id),
  }
}

function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}

/** The library's type names every field of every kind, and some of them wrongly. */
function payload(content: object): AdapterPayload {
  return { ...content }
}
