/** Keyed hashes under a namespace's index key: search terms and blind indexes. Knows no analyzer and no table. */
import assert from 'node:assert/strict'
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

/** Length of an index key in bytes; random per namespace, see keyring.ts. */
export const indexKeyBytes = 32

/** Length of a blind index in bytes: 128 bits, so that equal indexes mean equal values at any table size. */
export const blindIndexBytes = 16

const termDomain = 'term|'
/** A label never holds the separator, so no (label, value) pair can be read as another one or as a term. */
const labelPattern = /^[a-z][a-z0-9-]{0,31}$/

function keyObject(indexKey: Uint8Array): KeyObject {
  assert(indexKey.length === indexKeyBytes, 'an index key has 32 bytes')
  return createSecretKey(indexKey)
}

function hashUnder(key: KeyObject, term: string): bigint {
  return createHmac('sha256', key)
    .update(termDomain + term)
    .digest()
    .readBigInt64BE(0)
}

/**
 * One search term as a posting key: the first 8 bytes of HMAC-SHA256(index key, "term|" + term) read as
 * a signed big-endian integer, which is a Postgres `bigint`. Equal terms of one namespace are equal; two
 * namespaces share nothing. `indexKey`: 32 bytes.
 */
export function hashTerm(indexKey: Uint8Array, term: string): bigint {
  return hashUnder(keyObject(indexKey), term)
}

/** `hashTerm` of many terms, in their order; imports the key once (1,000 terms: see bench/crypto.ts). */
export function hashTerms(indexKey: Uint8Array, terms: readonly string[]): bigint[] {
  const key = keyObject(indexKey)
  return terms.map((term) => hashUnder(key, term))
}

/**
 * What stands beside an encrypted column so that it can be filtered by equality: the first 16 bytes of
 * HMAC-SHA256(index key, "blind|" + label + "|" + value). `label` names the use (`speaker`, `session`,
 * `tag`, `entity`, `dedupe`): the same value under two labels gives unrelated indexes. A string counts
 * as its UTF-8 bytes. Bring values to one form (case, NFKC) before; this function compares bytes.
 */
export function blindIndex(
  indexKey: Uint8Array,
  label: string,
  value: string | Uint8Array,
): Buffer {
  assert(labelPattern.test(label), 'a blind index label is a short lower-case word')
  return createHmac('sha256', keyObject(indexKey))
    .update(`blind|${label}|`)
    .update(value)
    .digest()
    .subarray(0, blindIndexBytes)
}
