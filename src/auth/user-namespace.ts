/** The namespace that belongs to one subject of one issuer, and to nobody else. */
import { createHash } from 'node:crypto'

/** `docs/auth.md` says how an operator finds it. */
export function userNamespace(issuer: string, subject: string): string {
  return `user-${identityDigest(issuer, subject).toString('hex').slice(0, 40)}`
}

/** JSON keeps the parts apart, whatever is in them. */
export function identityDigest(...parts: readonly string[]): Buffer {
  return createHash('sha256').update(JSON.stringify(parts)).digest()
}
