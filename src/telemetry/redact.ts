/** The second net under the log: removes what looks like a credential from text that slipped through. */

/** What replaces a credential. */
export const redacted = '[redacted]'

/** Shorter strings would blank out ordinary words. */
const secretLengthMin = 6

/**
 * Shapes of credentials. Each pattern is linear: no nested repetition, so hostile text cannot make
 * the log slow.
 */
const shapes: readonly { readonly pattern: RegExp; readonly replacement: string }[] = [
  { pattern: /\b([a-z][a-z0-9+.-]{1,15}:\/\/)[^\s/@]{1,512}@/giu, replacement: `$1${redacted}@` },
  { pattern: /\b(bearer|basic)\s+[\w.~+/=-]{6,}/giu, replacement: `$1 ${redacted}` },
  {
    pattern: /\b(password|passwd|secret|token|api[_-]?key|authorization)(["']?\s*[:=]\s*)\S+/giu,
    replacement: `$1$2${redacted}`,
  },
  { pattern: /-----BEGIN [A-Z ]{1,40}-----[\s\S]*?(?:-----END|$)/gu, replacement: redacted },
  { pattern: /\bey[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/gu, replacement: redacted },
  // Long unbroken runs are keys, digests or encoded content; ids with dashes and words are shorter.
  { pattern: /[\w+-]{40,}={0,2}/gu, replacement: redacted },
]

/** Removes credentials from a string. Idempotent. */
export type Redactor = (text: string) => string

/**
 * A redactor that also knows the configured secrets themselves; of a URL it knows the password too.
 */
export function createRedactor(secrets: readonly string[] = []): Redactor {
  const known = secrets
    .flatMap((secret) => [secret, ...urlPasswords(secret)])
    .filter((secret) => secret.length >= secretLengthMin)
    // The longest first: a password inside its URL must not hide the URL from the match.
    .toSorted((a, b) => b.length - a.length)
  return (text) => {
    let clean = text
    for (const secret of known) clean = clean.replaceAll(secret, redacted)
    for (const { pattern, replacement } of shapes) clean = clean.replace(pattern, replacement)
    return clean
  }
}

function urlPasswords(secret: string): readonly string[] {
  if (!URL.canParse(secret)) return []
  const { password } = new URL(secret)
  if (password === '') return []
  try {
    return [password, decodeURIComponent(password)]
  } catch {
    // A stray percent sign: only the raw form exists.
    return [password]
  }
}
