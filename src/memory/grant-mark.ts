/** The tag or entity that a grant asks for, as the administrator wrote it: kept under the namespace's index key. */
import { z } from 'zod'
import { deriveKey, keyInfo } from '../crypto/derive.ts'
import { EnvelopeKey, envelopeKeyBytes, open, seal } from '../crypto/envelope.ts'
import type { NamespaceSettings } from '../operation.ts'
import { entityKey, tagTerm } from './keys.ts'

const storedMark = z.union([
  z.strictObject({ tag: z.string() }),
  z.strictObject({ entity: z.string() }),
])
export type GrantMark = z.output<typeof storedMark>

/** What the lists of a memory hold when it has the tag or mentions the entity. */
export function markTerm({ indexKey }: NamespaceSettings, mark: GrantMark): bigint {
  return 'tag' in mark ? tagTerm(indexKey, mark.tag) : entityKey(indexKey, mark.entity)
}

/**
 * A setting and no memory: it needs no key of its own that forgetting destroys. The index key outlives
 * rotation and shredding and is wrapped as the profile says, so in `off` this hides nothing.
 */
export function sealMark(settings: NamespaceSettings, id: string, mark: GrantMark): Buffer {
  return withKey(settings, (key) =>
    seal(key, place(settings, id), Buffer.from(JSON.stringify(mark), 'utf8')),
  )
}

/** Throws AppError `internal` for a label that is not this grant's. */
export function openMark(settings: NamespaceSettings, id: string, label: Uint8Array): GrantMark {
  const text = withKey(settings, (key) => open(key, place(settings, id), label).toString('utf8'))
  return storedMark.parse(JSON.parse(text))
}

function place({ namespace }: NamespaceSettings, id: string) {
  return { namespace, id, version: 0, column: 'grant_mark' }
}

function withKey<T>({ indexKey }: NamespaceSettings, use: (key: EnvelopeKey) => T): T {
  const bytes = deriveKey(indexKey, keyInfo.grantMark, envelopeKeyBytes)
  const key = new EnvelopeKey(0, bytes)
  bytes.fill(0)
  try {
    return use(key)
  } finally {
    key.destroy()
  }
}
