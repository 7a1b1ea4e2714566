/** Credentials by the way they are written down: keys in blocks, tokens with a header, addresses, assignments. */
import { hasJoseHeader, isBasicPair } from './checks.ts'
import { looksSecret, nameOfSecret } from './values.ts'
import type { Rule } from './rule.ts'

/** A block without its end is a paste that was cut off: what is there of it is a key all the same. */
const pemBlock =
  /-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s:,.\\()-]{0,16000}?(?:-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----|$|(?=\n(?!-----END)[^\n]{0,80}[^A-Za-z0-9+/=\s:,.\\()-]))/gu

/** What stands between a name and its value. */
const sign = String.raw`=>|->|→|:=|==?|[:：＝]`
const verb =
  "is|are|was|be|to|ist|lautet|war|auf|est|es|é|è|era|jest|on|olarak|это|c['’]est|là|adalah"
const adverb =
  'now|still|just|currently|called|set to|changed to|jetzt|nun|maintenant|ahora|agora|ora|теперь'
const said = String.raw`(?<![\p{L}])(?:${verb})(?:\s(?:${adverb}))?(?![\p{L}]):?|—|–|\s-\s|は|는|은|是|هي|هو|คือ`
const separator = String.raw`["'\x60*]{0,3}\s{0,4}(?:${sign}|${said})\s{0,4}`
const passwordNames = nameOfSecret.passwords.join('|')
/** A password is often said to be of something: `the password for the staging database is …`. */
const ofSomething = String.raw`(?:(?=[\s(,])[^\n:=.;]{0,40}?)?`
/** Of a longer name, or of a word in another case: `PASSWORD_STAGING`, `пароля`. */
const ending = String.raw`(?:[\w-]{0,20}|\p{L}{0,3})`
const quote = String.raw`["'\x60*]{0,3}`
const value = String.raw`[^\s"'\x60,;<>]`

export const shapeRules: readonly Rule[] = [
  { kind: 'private-key', hints: ['PRIVATE KEY'], pattern: pemBlock },
  {
    kind: 'private-key',
    hints: ['PuTTY-User-Key-File'],
    pattern: /PuTTY-User-Key-File-\d:[\s\S]{0,12000}?Private-MAC: ?[0-9a-f]{16,}/gu,
  },
  {
    kind: 'private-key',
    hints: ['BEGIN OpenVPN Static key'],
    pattern:
      /-----BEGIN OpenVPN Static key V1-----[\sa-f0-9]{0,2000}(?:-----END OpenVPN Static key V1-----)?/gu,
  },
  {
    // A PEM block in base64, as files for Kubernetes and variables for pipelines have it; certificates have it too.
    kind: 'private-key',
    hints: ['LS0tLS1CRUdJTi'],
    pattern: /LS0tLS1CRUdJTi[A-Za-z0-9+/]{40,16000}={0,2}/gu,
    accepts: (secret) => Buffer.from(secret, 'base64').subarray(0, 60).includes('PRIVATE KEY'),
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
      /(?<![a-z0-9])[a-z][a-z0-9+.-]{1,30}:\/\/[^\s:@/"'<>`]{0,128}:(?<secret>[^\s/?#"'<>`]{3,256}@?[^\s/"'<>`]{0,256}?)@(?=[\w[\].-]+)/giu,
    accepts: (secret) => !isPlaceholder(secret),
  },
  {
    // Databases' passwords are pasted as they are, slashes and all.
    kind: 'connection-string',
    hints: ['://'],
    pattern:
      /(?<![a-z0-9])(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|sqlserver|clickhouse|smtps?|s?ftps?|ldaps?):\/\/[^\s:@/"'<>`]{0,128}:(?<secret>[^\s"'<>`]{3,256})@(?=[\w[\].-]+)/giu,
    accepts: (secret) => !isPlaceholder(secret),
  },
  {
    // A token in the place of the name: `https://TOKEN@host`.
    kind: 'connection-string',
    hints: ['://'],
    pattern: /:\/\/(?<secret>[\w-]{20,256})@(?=[\w[\].-]+)/gu,
    accepts: (secret) => looksSecret(secret, 'key'),
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
    hints: ['mysql', 'mariadb', 'sshpass', 'redis-cli', 'docker login', 'mongosh'],
    pattern:
      /(?<![\w-])(?:mysql\w*|mariadb|sshpass|redis-cli|docker login|mongosh)\b[^\n|;]{0,200}?\s-(?:p ?|a )["']?(?<secret>[^\s"'-][^\s"']{3,127})/gu,
    accepts: (secret) => looksSecret(secret, 'password'),
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
      String.raw`(?:${passwordNames})${ending}${separator}${quote}(?<secret>${value}{5,200})`,
      'giu',
    ),
    accepts: (secret) => looksSecret(secret, 'password'),
  },
  {
    // Quotes say where it ends, and a passphrase has blanks.
    kind: 'password',
    hints: nameOfSecret.passwords,
    anyCase: true,
    pattern: new RegExp(
      String.raw`(?:${passwordNames})${ending}["'\x60]?(?:${ofSomething}${separator}|\s{1,4})(["'\x60])(?<secret>[^"'\x60\n]{5,200})\1`,
      'giu',
    ),
    accepts: (secret) => /\d/u.test(secret) && looksSecret(secret, 'password'),
  },
  {
    kind: 'password',
    hints: nameOfSecret.passwords,
    anyCase: true,
    pattern: new RegExp(
      String.raw`(?:${passwordNames})${ending}(?:${ofSomething}${separator}|\s{1,4})${quote}(?<secret>${value}{6,200})`,
      'giu',
    ),
    accepts: (secret) => /\d/u.test(secret) && looksSecret(secret, 'password'),
  },
  {
    // Digits alone; `PASSWORD_MAX=10000` is none.
    kind: 'password',
    hints: nameOfSecret.passwords,
    anyCase: true,
    pattern: new RegExp(
      String.raw`(?:${passwordNames})(?![\w-]*(?:max|min|len|limit|ttl|time|round|cost|count|size|age|expir|day|hour|second|version))${ending}(?:${ofSomething}${separator}|\s{1,4})${quote}(?<secret>\d{5,12})(?![\w%]|[.,]\d|\s(?:ms|bytes|times|users|iterations|rounds)\b)`,
      'giu',
    ),
  },
  {
    // Names that are words of their own as well.
    kind: 'password',
    hints: nameOfSecret.shortPasswords,
    anyCase: true,
    pattern: new RegExp(
      String.raw`(?<![\p{L}\d])(?:${nameOfSecret.shortPasswords.join('|')})(?:${separator}|\s{1,4}(?<!\b(?:pass|pin)\s{1,4}))${quote}(?<secret>${value}{5,200})`,
      'giu',
    ),
    accepts: (secret) =>
      /^\d{5,12}$/u.test(secret) || (/\d/u.test(secret) && looksSecret(secret, 'password')),
  },
  {
    // `login: admin / hunter2!`: what comes after the name of an account.
    kind: 'password',
    hints: ['login', 'log in', 'credential', 'creds', 'zugang', 'wifi', 'wi-fi', 'wlan', 'account'],
    anyCase: true,
    pattern: new RegExp(
      String.raw`(?:log ?in|credentials?|creds|zugang\w*|wi-?fi|wlan|account)\b[^\n/|]{0,40}?[\w.@-]{2,40}\s?[/|:]\s?${quote}(?<secret>${value}{6,64})`,
      'giu',
    ),
    accepts: (secret) => isMixed(secret) && looksSecret(secret, 'password'),
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

/** Letters, digits and signs: nobody writes that for anything but a password. */
function isMixed(secret: string): boolean {
  return /\p{L}/u.test(secret) && /\d/u.test(secret) && /[!#$%&*+=?^~]/u.test(secret)
}

function isPlaceholder(secret: string): boolean {
  return !looksSecret(secret, 'address')
}
