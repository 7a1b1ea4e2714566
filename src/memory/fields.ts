/** How the text of a memory becomes a column and back: as it is, or under the key of its version. */
import { envelopeFailure, open, seal } from '../crypto/envelope.ts'
import { contentKeySlot, type WrappedKey } from '../crypto/namespace-keys.ts'
import { ordinalOf } from '../namespaces/documents.ts'
import type { NamespaceSettings } from '../operation.ts'

/** The encoded columns of a memory; bound into the ciphertext, so a value fits its own column alone. */
export const fieldColumns = [
  'content',
  'raw_content',
  'metadata',
  'tags',
  'session_label',
  'speaker',
  'source_url',
  'source_client',
  'retire_reason',
] as const
export type FieldColumn = (typeof fieldColumns)[number]

/** What is encoded beside the columns: a vector, in profile `sealed`. */
type EncodedColumn = FieldColumn | 'embedding'

export interface FieldWriter {
  encode(column: FieldColumn, text: string): Buffer
  encodeOptional(column: FieldColumn, text: string | undefined): Buffer | null
  encodeBytes(column: 'embedding', bytes: Buffer): Buffer
}

export interface FieldReader {
  decode(column: FieldColumn, bytes: Buffer): string
  decodeOptional(column: FieldColumn, bytes: Buffer | null): string | undefined
  decodeBytes(column: 'embedding', bytes: Buffer): Buffer
}

/** One version of one memory: where its values live. */
export interface FieldPlace {
  readonly id: string
  readonly version: number
}

/** A stored version with the key that its values are under; null when it has none. */
export interface StoredPlace extends FieldPlace {
  readonly document: number
  readonly key_token: Buffer | null
}

/** How a new version is written. `key`: to be stored beside it; null in profile `off`. */
export function writeFields(
  { namespace, keys }: NamespaceSettings,
  { id, version }: FieldPlace,
): { readonly writer: FieldWriter; readonly key: WrappedKey | null } {
  if (keys === undefined) return { writer: writerOf((_column, bytes) => bytes), key: null }
  const { key, wrapped } = keys.newContentKey(contentKeySlot(id, version))
  const writer = writerOf((column, bytes) => seal(key, { namespace, id, version, column }, bytes))
  return { writer, key: wrapped }
}

/**
 * How a stored version is read. Throws AppError `internal`, here or when decoding, for a value that is
 * not this version's: another key, place or column, or plain where the namespace is encrypted.
 */
export function readFields(
  { namespace, keys, plainBelow }: NamespaceSettings,
  { id, version, document, key_token: token }: StoredPlace,
): FieldReader {
  if (token === null) {
    if (keys === undefined || ordinalOf(document) < (plainBelow ?? 0))
      return readerOf((_column, bytes) => bytes)
    throw envelopeFailure('version')
  }
  // A key in a namespace that says it is plain: its profile was changed behind our back.
  if (keys === undefined) throw envelopeFailure('key')
  const key = keys.openContentKey(contentKeySlot(id, version), token)
  return readerOf((column, bytes) => open(key, { namespace, id, version, column }, bytes))
}

/**
 * How a value is added to a version that is stored, under the key it has. Throws AppError `internal` for
 * one that has none: in an encrypted namespace nothing is added in plain.
 */
export function addFields(
  { namespace, keys }: NamespaceSettings,
  { id, version, key_token: token }: StoredPlace,
): FieldWriter {
  if (keys === undefined || token === null) throw envelopeFailure('key')
  const key = keys.openContentKey(contentKeySlot(id, version), token)
  return writerOf((column, bytes) => seal(key, { namespace, id, version, column }, bytes))
}

function writerOf(encode: (column: EncodedColumn, bytes: Buffer) => Buffer): FieldWriter {
  const write = (column: FieldColumn, text: string) => encode(column, Buffer.from(text, 'utf8'))
  return {
    encode: write,
    encodeOptional: (column, text) => (text === undefined ? null : write(column, text)),
    encodeBytes: encode,
  }
}

function readerOf(decode: (column: EncodedColumn, bytes: Buffer) => Buffer): FieldReader {
  const read = (column: FieldColumn, bytes: Buffer) => decode(column, bytes).toString('utf8')
  return {
    decode: read,
    decodeOptional: (column, bytes) => (bytes === null ? undefined : read(column, bytes)),
    decodeBytes: decode,
  }
}
