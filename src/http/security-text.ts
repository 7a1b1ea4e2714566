/** `/.well-known/security.txt` (RFC 9116): where to report a vulnerability. */

/** RFC 9116 §2.5.5 recommends less than a year. */
const validDays = 180
const dayMs = 86_400_000

/** The file's text, valid from `now` for half a year. */
export function securityText(now: Date): string {
  const expires = new Date(now.getTime() + validDays * dayMs)
  return [
    'Contact: mailto:security@mindglue.ai',
    `Expires: ${expires.toISOString().slice(0, 19)}Z`,
    'Preferred-Languages: en',
    'Policy: https://github.com/mindglue/mindglue/blob/main/SECURITY.md',
    '',
  ].join('\n')
}
