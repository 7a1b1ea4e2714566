/** HKDF-SHA256 and the labels of every key of the product: one use, one label, one place to see them all. */
import { createSecretKey, hkdfSync } from 'node:crypto'

const noSalt = new Uint8Array(0)

/** HKDF-SHA256 (RFC 5869) of `length` bytes; the caller owns and overwrites the result. */
export function deriveKey(
  keyMaterial: Uint8Array,
  info: string,
  length: number,
  salt: Uint8Array = noSalt,
): Buffer {
  // Imported first: OpenSSL 3.5 (Node 24) then needs 8 µs, with raw bytes 17 µs.
  const key = createSecretKey(keyMaterial)
  return Buffer.from(hkdfSync('sha256', key, salt, info, length))
}

/** Keys for one record of a namespace; the record's id is part of the label. */
export type RecordPurpose = 'connector' | 'webhook'

/** Keys for the whole installation, the same in every process that holds the root key. */
export type InstallationPurpose =
  'context' | 'cursor' | 'confirmation' | 'password' | 'token' | 'totp' | 'client'

/**
 * The `info` strings. A closed purpose never holds `|`, so no id can make one label read as another.
 * Changing a string loses every value under it: add `v2` beside `v1` instead.
 */
export const keyInfo = {
  rootKeyId: 'mindglue/key-id/v1',
  keyCheck: 'mindglue/key-check/v1',
  namespace: (namespace: bigint) => `mindglue/namespace/v1|${namespace}`,
  wrap: 'mindglue/wrap/v1',
  grantMark: 'mindglue/grant-mark/v1',
  record: (purpose: RecordPurpose, recordId: string) => `mindglue/${purpose}/v1|${recordId}`,
  artifact: 'mindglue/artifact/v1',
  tokenKey: (number: number) => `mindglue/token-key/v1|${number}`,
  tokenGeneration: (number: number) => `mindglue/token-generation/v1|${number}`,
  recoveryCode: 'mindglue/recovery-code/v1',
  form: 'mindglue/form/v1',
  installation: (purpose: InstallationPurpose) => `mindglue/installation/${purpose}/v1`,
} as const
