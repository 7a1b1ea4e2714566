/** Credentials at rest (connector tokens, webhook secrets): NaCl secretbox under a key per record. */
import nacl from 'tweetnacl'
import { randomBytes } from 'node:crypto'
import type { RecordPurpose } from './derive.ts'
import { envelopeFailure } from './envelope.ts'
import type { NamespaceKeys } from './namespace-keys.ts'

/** Not 0xC0 nor 0x80, so that a credential never passes for another kind of token. */
const credentialVersion = 0x5b
const nonceOffset = 5
const boxOffset = nonceOffset + nacl.secretbox.nonceLength

/**
 * Seals one credential: `0x5B | key id u32 | nonce 24 | secretbox`. The key comes from namespace,
 * purpose and `recordId`, so the bytes open nowhere else; the key id says which root key it came from.
 */
export function sealCredential(
  keys: NamespaceKeys,
  purpose: RecordPurpose,
  recordId: string,
  plaintext: Uint8Array,
): Buffer {
  const { keyId, bytes } = keys.recordKey(purpose, recordId)
  const header = Buffer.alloc(nonceOffset)
  header[0] = credentialVersion
  header.writeUInt32BE(keyId, 1)
  const nonce = randomBytes(nacl.secretbox.nonceLength)
  const box = nacl.secretbox(plaintext, nonce, bytes)
  bytes.fill(0)
  return Buffer.concat([header, nonce, box])
}

/**
 * Opens a credential of this record. Throws AppError `internal` with an EnvelopeError as cause for
 * another record, purpose or namespace, a changed byte, or a root key that is not in the ring.
 */
export function openCredential(
  keys: NamespaceKeys,
  purpose: RecordPurpose,
  recordId: string,
  sealed: Uint8Array,
): Buffer {
  const { bytes } = keys.recordKey(purpose, recordId, credentialKeyId(sealed))
  const nonce = sealed.subarray(nonceOffset, boxOffset)
  const opened = nacl.secretbox.open(sealed.subarray(boxOffset), nonce, bytes)
  bytes.fill(0)
  if (opened === null) throw envelopeFailure('authentication')
  return Buffer.from(opened)
}

/** Root key id of a sealed credential, to find what a rotation has to seal again. Not authenticated. */
export function credentialKeyId(sealed: Uint8Array): number {
  if (sealed[0] !== credentialVersion) throw envelopeFailure('version')
  if (sealed.length < boxOffset + nacl.secretbox.overheadLength) throw envelopeFailure('format')
  return Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength).readUInt32BE(1)
}
