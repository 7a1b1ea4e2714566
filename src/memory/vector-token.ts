/** A vector as a value at rest in profile `sealed`: float32, little-endian, under its memory's content key. */
import { envelopeFailure } from '../crypto/envelope.ts'
import type { NamespaceSettings } from '../operation.ts'
import { readFields, type FieldWriter } from './fields.ts'
import type { SealedEmbedding } from './sealed-embeddings.sql.ts'

const floatBytes = 4

export function sealVector(writer: FieldWriter, vector: Float32Array): Buffer {
  const bytes = Buffer.allocUnsafe(vector.length * floatBytes)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * floatBytes)
  const token = writer.encodeBytes('embedding', bytes)
  bytes.fill(0)
  return token
}

/** Throws AppError `internal` for a value that is not this memory's vector, of another length, or plain. */
export function openVector(
  settings: NamespaceSettings,
  row: SealedEmbedding,
  dimension: number,
): Float32Array {
  // Also while a namespace is being encrypted: a vector here has never been plain.
  if (row.key_token === null) throw envelopeFailure('version')
  const bytes = readFields(settings, row).decodeBytes('embedding', row.token)
  if (bytes.length !== dimension * floatBytes) throw envelopeFailure('format')
  return Float32Array.from({ length: dimension }, (_, index) =>
    bytes.readFloatLE(index * floatBytes),
  )
}
