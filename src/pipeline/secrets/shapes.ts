/** Credentials by the way they are written down: keys in blocks, tokens with a header, addresses, assignments. */
import { hasJoseHeader, isBasicPair } from './checks.ts'
import { looksSecret, nameOfSecret } from './values.ts'
import type { Rule } from './rule.ts'

/** A block without its end is a paste that was cut off: what is there of it is a key all the same. */
const pemBlock =
  /-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s:,.\\()-]{0,16000}?(?:-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----|$|(?=\n(?!-----END)[^\n]{0,80}[^A-Za-z0-9+/=\s:,.\\()-]))/gu

const separator = String.raw`["'\x60*]{0,3}\s{0,4}(?:=>|:=|==?|[:：＝]|\b(?:is|are|was|ist|lautet|est|es|é|è|jest|on)\b:?|是|は|는|은)\s{0,4}`

export const shapeRules: readonly Rule[] = [
  { kind: 'private-key', hints: ['PRIVATE KEY'], pattern: pemBlock },
  {
    kind: 'private-key',
    hints: ['PuTTY-User-Key-File'],
    pattern: /PuTTY-User-Key-File-\d:[\s\S]{0,12000}?Private-MAC: ?[0-9a-f]{16,}/gu,
  },
  {
    kind: 'private-key',
    hints: ['"d"'],
    pattern: /"d"\s{0,2}:\s{0,2}"(?<secret>[\w-]{40,700})"/gu,
  },
  {
    kind: 'jwt',
    hints: ['eyJ'],
    pattern:
      /(?<![\w-])eyJ[\w-]{8,4000}\.[\w-]{2,16000}\.[\w-]{16,2000}(?:\.[\w-]{2,16000}\.[\w-]{16,200})?(?![\w-])/gu,
    accepts: hasJoseHeader,
  },
  {
    // The password alone: where it leads is what makes the memory useful.
    kind: 'connection-string',
    hints: ['://'],
    pattern:
      /(?<![a-z0-9])[a-z][a-z0-9+.-]{1,30}:\/\/[^\s:@/"'<>`]{0,128}:(?<secret>[^\s/"'<>`]{3,256}?)@(?=[\w[\].-]+)/giu,
    accepts: (secret) => !isPlaceholder(secret),
  },
  {
    kind: 'basic-auth',
    hints: ['basic '],
    anyCase: true,
    pattern: /\bbasic\s{1,4}(?<secret>[A-Za-z0-9+/]{8,400}={0,2})(?![A-Za-z0-9+/=])/giu,
    accepts: isBasicPair,
  },
  {
    kind: 'basic-auth',
    hints: ['"auth"'],
    pattern: /"auth"\s{0,2}:\s{0,2}"(?<secret>[A-Za-z0-9+/]{8,400}={0,2})"/gu,
    accepts: isBasicPair,
  },
  {
    kind: 'basic-auth',
    hints: ['curl '],
    pattern:
      /\bcurl\b[^\n]{0,300}?\s(?:-u|--user)\s{0,2}["']?[^\s:"']{1,64}:(?<secret>[^\s"']{3,128})/gu,
    accepts: (secret) => !isPlaceholder(secret),
  },
  {
    kind: 'password',
    hints: ['machine '],
    pattern:
      /\bmachine\s{1,3}\S{1,200}\s{1,4}login\s{1,3}\S{1,200}\s{1,4}password\s{1,3}(?<secret>\S{3,200})/gu,
    accepts: (secret) => !isPlaceholder(secret),
  },
  {
    kind: 'bearer-token',
    hints: ['bearer '],
    anyCase: true,
    pattern: /\bbearer\s{1,4}(?<secret>[\w.~+/-]{16,2000}={0,2})/giu,
    accepts: (secret) => looksSecret(secret, 'key'),
  },
  {
    kind: 'aws-secret-key',
    hints: ['aws', 'secret'],
    anyCase: true,
    pattern:
      /(?:aws|secret)[^\n]{0,40}?(?<![A-Za-z0-9/+])(?<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])/giu,
    accepts: (secret) =>
      /\d/u.test(secret) &&
      /[a-z]/u.test(secret) &&
      /[A-Z]/u.test(secret) &&
      looksSecret(secret, 'key'),
  },
  {
    kind: 'password',
    hints: nameOfSecret.passwords,
    anyCase: true,
    pattern: new RegExp(
      String.raw`(?:${nameOfSecret.passwords.join('|')})[\w-]{0,20}${separator}["'\x60*]{0,3}(?<secret>[^\s"'\x60,;<>]{5,200})`,
      'giu',
    ),
    accepts: (secret) => looksSecret(secret, 'password'),
  },
  {
    kind: 'secret',
    hints: nameOfSecret.keys,
    anyCase: true,
    pattern: new RegExp(
      String.raw`(?:${nameOfSecret.keys.join('|')})[\w-]{0,20}${separator}["'\x60*]{0,3}(?<secret>[^\s"'\x60,;<>]{8,400})`,
      'giu',
    ),
    accepts: (secret) => looksSecret(secret, 'key'),
  },
]

function isPlaceholder(secret: string): boolean {
  return !looksSecret(secret, 'address')
}
