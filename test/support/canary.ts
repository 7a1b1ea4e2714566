/** Secrets and words that must appear nowhere but where they belong: in the store and in its answers. */
import { randomBytes } from 'node:crypto'

const word = (name: string): string => `canary${name}${randomBytes(6).toString('hex')}`

/** What a memory holds; each is one word, so that no analysis takes it apart. */
export const canaryContent = {
  content: word('content'),
  raw_content: word('raw'),
  tag: word('tag'),
  session: word('session'),
  speaker: word('speaker'),
  metadataKey: word('key'),
  metadataValue: word('value'),
  question: word('question'),
  idempotencyKey: word('repeat'),
} as const

/** What only the configuration holds. */
export const canarySecrets = {
  apiKey: randomBytes(32).toString('base64url'),
  installationSecret: randomBytes(32).toString('base64'),
  embedderKey: word('embedder'),
} as const

/** Names of the canaries that a text holds, as they are or in base64. */
export function canariesIn(text: string, canaries: Readonly<Record<string, string>>): string[] {
  return Object.entries(canaries)
    .filter(([, value]) => {
      const encoded = Buffer.from(value).toString('base64').replace(/=+$/u, '')
      return text.includes(value) || text.includes(encoded.slice(0, -2))
    })
    .map(([name]) => name)
}
