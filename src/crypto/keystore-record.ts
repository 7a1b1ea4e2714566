/** One namespace's epoch secrets as bytes of a keystore file, with a checksum against damage. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { EpochSecret } from './namespace-keys.ts'

export interface KeystoreRecord {
  readonly namespace: bigint
  /** Counts the changes of this namespace's secrets from 1. */
  readonly generation: number
  /** Newest first; empty once the namespace was destroyed. */
  readonly epochs: readonly EpochSecret[]
}

const secretText = z.string().regex(/^[A-Za-z0-9+/]{43}=$/)

/** The JSON form, in files and inside a backup. */
export const recordSchema = z.strictObject({
  format: z.literal('mindglue-epochs-1'),
  namespace: z.string().regex(/^\d{1,19}$/),
  generation: z.int().min(1),
  epochs: z.array(z.strictObject({ epoch: z.int().min(1), secret: secretText })).max(64),
})

export type RecordJson = z.infer<typeof recordSchema>

const fileSchema = z.strictObject({ record: recordSchema, checksum: z.string().length(64) })

export function recordToJson(record: KeystoreRecord): RecordJson {
  return {
    format: 'mindglue-epochs-1',
    namespace: record.namespace.toString(),
    generation: record.generation,
    epochs: record.epochs.map(({ epoch, secret }) => ({
      epoch,
      secret: Buffer.from(secret).toString('base64'),
    })),
  }
}

export function recordFromJson(json: RecordJson): KeystoreRecord {
  return {
    namespace: BigInt(json.namespace),
    generation: json.generation,
    epochs: json.epochs.map(({ epoch, secret }) => ({
      epoch,
      secret: Buffer.from(secret, 'base64'),
    })),
  }
}

/** SHA-256 of the record's JSON. Finds a torn or rotten file, not a forger: who writes here has the keys. */
function checksum(json: RecordJson): string {
  return createHash('sha256').update(JSON.stringify(json)).digest('hex')
}

export function formatRecord(record: KeystoreRecord): Buffer {
  const json = recordToJson(record)
  return Buffer.from(`${JSON.stringify({ record: json, checksum: checksum(json) })}\n`)
}

/** The record, or `undefined` when the bytes are not a whole one. */
export function parseRecord(bytes: Buffer): KeystoreRecord | undefined {
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
  const file = fileSchema.safeParse(json)
  if (!file.success) return undefined
  const record = recordFromJson(file.data.record)
  return checksum(recordToJson(record)) === file.data.checksum ? record : undefined
}
