/** Programs that use OAuth here: known by registration or by document, with what they hold: codes and tokens. */
import { createHash, randomBytes } from 'node:crypto'
import { deriveKey, keyInfo } from '../crypto/derive.ts'
import {
  EnvelopeKey,
  envelopeKeyBytes,
  open,
  seal,
  type EnvelopeContext,
} from '../crypto/envelope.ts'
import type { Sql } from '../database/database.ts'
import { fetchClientDocument, isDocumentId, type DocumentReach } from './client-documents.ts'
import { readClientMetadata, readStoredClient, type ClientMetadata } from './client-metadata.ts'
import {
  consumeArtifact,
  dropArtifact,
  endGrant,
  findArtifact,
  findClient,
  findGrant,
  putArtifact,
  putClient,
  type FoundGrant,
} from './clients.sql.ts'
import { grantSeconds, usedClientSeconds } from './lifetimes.ts'

/** Nobody let it in: a person who was interrupted comes back within days, and clients keep their id. */
const unusedSeconds = 30 * 86_400
const unusedMax = 10_000
/** A document is believed for an hour, and for a day while it cannot be read. */
const freshSeconds = 3600
const staleSeconds = 86_400

/** What the protocol library keeps of a code, a token or a question under way. */
export interface Artifact {
  readonly kind: string
  /** The secret itself, or what leads to it. */
  readonly id: string
}

export interface Clients {
  /** Makes a client of what one says of itself. Throws as `readClientMetadata` does. */
  register(document: unknown): Promise<ClientMetadata>
  /**
   * Undefined for an unknown one. `mayFetch`: reads a document that is not known, or not of late, from the
   * network, and throws as `fetchClientDocument` does.
   */
  find(id: string, mayFetch: boolean): Promise<ClientMetadata | undefined>
  /** What a person allowed (consents.ts). */
  grant(id: string): Promise<FoundGrant | undefined>
  endGrant(id: string): Promise<void>
  /** False when its grant has ended. `isUse`: it renews the grant. */
  keep(
    artifact: Artifact,
    content: { readonly payload: object; readonly grant?: string | undefined },
    lifeSeconds: number,
    isUse: boolean,
  ): Promise<boolean>
  read(artifact: Artifact): Promise<{ payload: object; isConsumed: boolean } | undefined>
  /** True once. */
  consume(artifact: Artifact): Promise<boolean>
  drop(artifact: Artifact): Promise<void>
}

export interface ClientsOptions {
  readonly inDirectory: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>
  /** 32 secret bytes of the installation. */
  readonly key: Uint8Array
  readonly documents: DocumentReach
}

export function createClients(options: ClientsOptions): Clients {
  const { inDirectory, documents } = options
  const bytes = deriveKey(options.key, keyInfo.artifact, envelopeKeyBytes)
  const key = new EnvelopeKey(0, bytes)
  bytes.fill(0)
  const reading = new Map<string, Promise<ClientMetadata>>()

  /** Requests that come at once share one look. */
  const fetched = async (id: string): Promise<ClientMetadata> => {
    const running =
      reading.get(id) ?? fetchClientDocument(id, documents).finally(() => reading.delete(id))
    reading.set(id, running)
    return await running
  }
  const put = (metadata: ClientMetadata) =>
    inDirectory((sql) =>
      putClient(sql, metadata.client_id, JSON.stringify(metadata), unusedSeconds, unusedMax),
    )
  const document = async (
    id: string,
    known: { metadata: ClientMetadata; age: number } | undefined,
  ): Promise<ClientMetadata> => {
    if (known !== undefined && known.age < freshSeconds) return known.metadata
    try {
      const metadata = await fetched(id)
      await put(metadata)
      return metadata
    } catch (error) {
      if (known !== undefined && known.age < staleSeconds) return known.metadata
      throw error
    }
  }

  return {
    async register(said) {
      const metadata = readClientMetadata(randomBytes(16).toString('base64url'), said)
      await put(metadata)
      return metadata
    },
    async find(id, mayFetch) {
      const row = await inDirectory((sql) => findClient(sql, id))
      const known = row && { metadata: readStoredClient(row.metadata), age: row.age }
      const isDocument = isDocumentId(id, documents)
      return isDocument && mayFetch ? await document(id, known) : known?.metadata
    },
    grant: (id) => inDirectory((sql) => findGrant(sql, id)),
    endGrant: (id) => inDirectory((sql) => endGrant(sql, id)),
    keep: (artifact, { payload, grant }, lifeSeconds, isUse) => {
      const idHash = hashOf(artifact)
      const text = Buffer.from(JSON.stringify(payload))
      const row = {
        idHash,
        grant,
        payload: seal(key, placeOf(artifact, idHash), text),
        lifeSeconds,
        ...(isUse && { keepSeconds: grantSeconds }),
        clientSeconds: usedClientSeconds,
      }
      return inDirectory((sql) => putArtifact(sql, row))
    },
    async read(artifact) {
      const idHash = hashOf(artifact)
      const row = await inDirectory((sql) => findArtifact(sql, idHash))
      if (row === undefined) return undefined
      const text = open(key, placeOf(artifact, idHash), row.payload).toString()
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- sealed here, from an object
      return { payload: JSON.parse(text) as object, isConsumed: row.is_consumed }
    },
    consume: (artifact) => inDirectory((sql) => consumeArtifact(sql, hashOf(artifact))),
    drop: (artifact) => inDirectory((sql) => dropArtifact(sql, hashOf(artifact))),
  }
}

/** Ids are secrets: who reads the table holds none. */
function hashOf({ kind, id }: Artifact): Buffer {
  return createHash('sha256').update(`${kind}|${id}`).digest()
}

function placeOf({ kind }: Artifact, idHash: Buffer): EnvelopeContext {
  return { namespace: 0n, id: idHash.toString('hex'), version: 0, column: kind }
}
