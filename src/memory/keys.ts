/** Keyed hashes of everything a memory is filtered by; the same value always gives the same key. */
import { blindIndex, hashTerm } from '../crypto/term-hash.ts'

/** One form for labels that people type: NFKC, trimmed, single spaces, lower case; the two Turkish I's are one, as in words. */
export function normaliseLabel(text: string): string {
  const single = text.normalize('NFKC').trim().replace(/\s+/gu, ' ')
  return single.replaceAll('İ', 'i').toLowerCase().replaceAll('ı', 'i')
}

export function sessionKey(indexKey: Uint8Array, session: string): Buffer {
  return blindIndex(indexKey, 'session', normaliseLabel(session))
}

export function speakerKey(indexKey: Uint8Array, speaker: string): Buffer {
  return blindIndex(indexKey, 'speaker', normaliseLabel(speaker))
}

/** The name that a client gave of itself, without its version. */
export function clientKey(indexKey: Uint8Array, name: string): Buffer {
  return blindIndex(indexKey, 'client', normaliseLabel(name))
}

/** A tag is a posting like a word; the prefix keeps it apart from words (terms never hold a colon). */
export function tagTerm(indexKey: Uint8Array, tag: string): bigint {
  return hashTerm(indexKey, `tag:${normaliseLabel(tag)}`)
}

export function entityKey(indexKey: Uint8Array, name: string): bigint {
  return hashTerm(indexKey, `entity:${normaliseLabel(name)}`)
}

/** What makes two memories the same: their words and everything that decides who sees them and when. */
export interface DedupeIdentity {
  readonly content: string
  readonly ownerAgent: string
  readonly access: string
  readonly readers: readonly string[]
  readonly session: string | undefined
  readonly speaker: string | undefined
  readonly occurredAt: Date | undefined
}

/** HMAC over the identity: never across what the caller may not see, since owner and access are in it. */
export function dedupeKey(indexKey: Uint8Array, identity: DedupeIdentity): Buffer {
  const { content, ownerAgent, access, readers, session, speaker, occurredAt } = identity
  const parts = [content, ownerAgent, access, readers.toSorted(), session, speaker, occurredAt]
  return blindIndex(indexKey, 'dedupe', JSON.stringify(parts.map((part) => part ?? null)))
}
