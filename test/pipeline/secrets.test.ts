/** What is found at the door and what is left alone: labelled texts, with the figures that the issue asks for. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { findPersonal } from '../../src/pipeline/personal.ts'
import { findSecrets, type Finding } from '../../src/pipeline/secrets.ts'
import { findSkipped } from '../../src/pipeline/skipped.ts'
import { seededRandom } from '../support/random.ts'
import { credentials, kinds } from './corpus/credentials.ts'
import { spokenCredentials } from './corpus/spoken.ts'
import { personalData } from './corpus/personal.ts'
import { ordinaryNotes } from '../hostile/corpus/corpus.ts'
import { ordinaryLines } from './corpus/ordinary-lines.ts'

const without = (text: string, findings: readonly Finding[]) =>
  findings
    .toReversed()
    .reduce((rest, { start, end }) => rest.slice(0, start) + rest.slice(end), text)
const partsOf = (text: string, findings: readonly Finding[]) =>
  findings.map(({ start, end }) => text.slice(start, end))

describe('a credential', () => {
  test('of 60 kinds and more is found in chat-like text, at least 98 of 100, whole', () => {
    const all = credentials(50)
    expect(Object.keys(kinds).length).toBeGreaterThanOrEqual(60)
    // A part would be enough to leak most of it: neither the middle nor the end may be left.
    const missed = all.filter(({ text, value }) => {
      const rest = without(text, findSecrets(text))
      return [value, value.slice(-12), value.slice(8, 20)].some((part) => rest.includes(part))
    })
    expect(missed.length / all.length).toBeLessThan(0.02)
    for (const kind of Object.keys(kinds)) {
      const ofKind = missed.filter((one) => one.kind === kind).length
      expect([kind, ofKind <= 5]).toEqual([kind, true])
    }
  })

  test('that nothing but its sentence gives away is found as well, whole', () => {
    const all = spokenCredentials(50)
    const missed = all.filter(({ text, value }) => {
      const rest = without(text, findSecrets(text))
      return [value, value.slice(-8), value.slice(0, 8)].some((part) => rest.includes(part))
    })
    expect(missed.length / all.length).toBeLessThan(0.02)
    for (const kind of new Set(all.map((one) => one.kind))) {
      const ofKind = missed.filter((one) => one.kind === kind).length
      expect([kind, ofKind <= 5]).toEqual([kind, true])
    }
  })

  test.each([
    ['the password is hunter2', 'hunter2'],
    ['password=123456', '123456'],
    ['Meeting 123 456 789, Passcode: 482913', '482913'],
    ['password: 4711abc', '4711abc'],
    ['password hunter22!', 'hunter22!'],
    ['password "hunter22!"', 'hunter22!'],
    ['the password of the router is "blue Horse 42"', 'blue Horse 42'],
    ['password -> hunter22!', 'hunter22!'],
    ['пароля hunter22! хватит', 'hunter22!'],
    ['user marta, pw: hunter22!', 'hunter22!'],
    ['pass=482913', '482913'],
    ['credentials: admin / Tr0ub4dor&3', 'Tr0ub4dor&3'],
    ['mysql -u root -pS3cretPw app', 'S3cretPw'],
    ['Twilio auth token 9f8e7d6c5b4a39281706f5e4d3c2b1a0', '9f8e7d6c5b4a39281706f5e4d3c2b1a0'],
    ['9f8e7d6c5b4a39281706f5e4d3c2b1a0 is the key', '9f8e7d6c5b4a39281706f5e4d3c2b1a0'],
    ['Datadog の鍵は9f8e7d6c5b4a39281706f5e4d3c2b1a0', '9f8e7d6c5b4a39281706f5e4d3c2b1a0'],
    ['heroku key 3f2a9c1d-4e5b-4a7f-8091-a2b3c4d5e6f7', '3f2a9c1d-4e5b-4a7f-8091-a2b3c4d5e6f7'],
    [
      'https://api.telegram.org/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe',
      '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw',
    ],
    ['postgres://app:p@ss:w/ord1@db.internal/app', 'p@ss:w/ord1'],
    [
      'https://3f2a9c1d4e5b6a7f8091a2b3c4d5e6f7@o1.ingest.example/42',
      '3f2a9c1d4e5b6a7f8091a2b3c4d5e6f7',
    ],
    ['Das Passwort lautet Sommer2026!', 'Sommer2026!'],
    ['пароль: Kbn4uv9z', 'Kbn4uv9z'],
    ['密码是 Qw3rty88，请保密', 'Qw3rty88，请保密'],
    ['DB_PASSWORD=s3cr3t-Val', 's3cr3t-Val'],
    ['"api_key": "9f8e7d6c5b4a39281706f5e4d3c2b1a0"', '9f8e7d6c5b4a39281706f5e4d3c2b1a0'],
    ['postgres://app:pa55word@db/app', 'pa55word'],
    ['curl -u marta:Tr0ub4dor https://example.org', 'Tr0ub4dor'],
    ['-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQ', undefined],
  ])('in %j', (text, secret) => {
    expect(partsOf(text, findSecrets(text))).toEqual([secret ?? text])
  })

  test.each([
    'The password is kept in the vault.',
    'password: see 1Password',
    'The password must have 12 characters.',
    'const token = await readToken(request2)',
    'export API_KEY=$OTHER_KEY',
    'api_key = "<your key here>"',
    'token: string',
    'The secret is HMAC-SHA256 of both.',
    'PASSWORD_MAX=100000 and password hashing takes 64 ms',
    'password: 30 days, since 2026-03-01',
    'Please pass 100000 rows to it, and pin depth-0.',
    'commit 3f2a9c1d4e5b6a7f8091a2b3c4d5e6f708192a3b fixes the token',
    'the token parser of commit 3f2a9c1d4e5b6a7f8091a2b3c4d5e6f708192a3b',
    'Spotify client id: 9f8e7d6c5b4a39281706f5e4d3c2b1a0',
    'idempotency key 019aaaaa-0000-7000-8000-000000000001',
    'cache key 9f8e7d6c5b4a39281706f5e4d3c2b1a0',
    'the api is at https://example.org/9f8e7d6c5b4a39281706f5e4d3c2b1a0/index.html',
    'key={`user-${index}-of-4-and-2-more`}',
    'https://registry.npmjs.org:443/@types/node',
    'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
    'commit 3f2a9c1d4e5b6a7f8091a2b3c4d5e6f708192a3b',
    'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    'integrity sha512-AbCdEf0123456789AbCdEf0123456789AbCdEf0123456789AbCdEf0123456789AbCdEf0123456789ABCDEg==',
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Y1f2g3h4j5k6l7m8n9o0p1q2r3s4t5u6v7w8x9y0z marta@larkspur',
    '019aaaaa-0000-7000-8000-000000000001',
    'https://example.org/a?b=c',
    '[redacted: github-token] and password: [redacted: password]',
  ])('is not what stands in %j', (text) => {
    expect(partsOf(text, findSecrets(text))).toEqual([])
  })

  test('is found in at most one of 1,000 ordinary lines', () => {
    const lines = [...ordinaryLines(), ...ordinaryNotes().map(({ text }) => text)]
    expect(lines.length).toBeGreaterThan(20_000)
    const touched = lines.filter((line) => findSecrets(line).length > 0)
    expect(touched.length / lines.length).toBeLessThanOrEqual(0.001)
  })
})

describe('personal data', () => {
  test('is found with its kind, at least 95 of 100 of each', () => {
    const all = personalData(60)
    for (const kind of new Set(all.map((one) => one.kind))) {
      const ofKind = all.filter((one) => one.kind === kind)
      const found = ofKind.filter(({ text, value }) => {
        const findings = findPersonal(text)
        return findings.some((one) => one.kind === kind) && !without(text, findings).includes(value)
      })
      expect([kind, found.length / ofKind.length >= 0.95]).toEqual([kind, true])
    }
  })

  test.each(['4111 1111 1111 1111', '4242424242424242', '5555-5555-5555-4444'])(
    'the card %s of two digits is one all the same',
    (card) => {
      expect(partsOf(`card ${card} please`, findPersonal(`card ${card} please`))).toEqual([card])
    },
  )

  test('with a wrong check digit is no card, account or number of a state', () => {
    const random = seededRandom(5)
    const checked = personalData(60).filter(
      ({ kind, value }) => ['card', 'iban'].includes(kind) || /^\d{8}[A-Z]$|^756/u.test(value),
    )
    const wrong = checked.map(({ text, value }) => {
      const last = value.at(-1) ?? ''
      const other = /\d/u.test(last)
        ? String((Number(last) + 1 + Math.floor(random() * 8)) % 10)
        : String.fromCharCode(65 + ((last.charCodeAt(0) - 64) % 26))
      return text.replace(value, value.slice(0, -1) + other)
    })
    const still = wrong.filter((text) =>
      findPersonal(text).some(({ kind }) => ['card', 'iban', 'national-id'].includes(kind)),
    )
    expect(still).toEqual([])
  })

  test.each([
    'git@github.com:larkspur/quill.git',
    'Version 10.2.3.4 of 2026-11-25 12:30:05',
    'Order 4711 0815, invoice 20261125',
    'Card 0000 0000 0000 0000',
    'Timestamp 1764060000000',
    'UUID 019aaaaa-0000-7000-8000-000000000001',
    'The @types/node package',
    'Mix 3 to 5 eggs with 200 g of flour.',
    'Section 7.2, page 415',
  ])('is not what stands in %j', (text) => {
    expect(findPersonal(text)).toEqual([])
  })
})

describe('a marked passage', () => {
  test.each([
    ['wifi: #skip hunter2 #endskip, room 4', ['#skip hunter2 #endskip']],
    ['#SKIP\nall of\nthis\n#EndSkip\nkept', ['#SKIP\nall of\nthis\n#EndSkip']],
    ['no end #skip the rest goes', ['#skip the rest goes']],
    ['a #skip b #endskip c #skip d #endskip e', ['#skip b #endskip', '#skip d #endskip']],
    ['see page#skip and <a href="#skip">', []],
    ['write `#skip` to mark it', []],
    ['#skipping stones, #skip-link', []],
  ])('in %j', (text, expected) => {
    expect(partsOf(text, findSkipped(text))).toEqual(expected)
  })
})

describe('time stays bounded', () => {
  const bytes = 64 * 1024
  test.each(
    [
      'password: ',
      'password is ',
      'password to ',
      'password "',
      'pw ',
      'login a/',
      'key ',
      'key a1B2c3',
      'a1B2c3d4e5f6g7h8 ',
      'mysql -p',
      'LS0tLS1CRUdJTi',
      'postgres://a:b/@',
      'infura.io/v3/',
      'secret',
      'eyJ',
      'eyJ.',
      'a:b@',
      '://',
      'x://y:',
      '-----BEGIN PRIVATE KEY-----',
      'aws ',
      'AAAAA',
      'sk-',
      '5',
      '1',
      '1 ',
      '+1',
      'a@',
      'a.',
      '@a.',
      'DE12 ',
      '#skip ',
      'Rue ',
      'Calle ',
      'A ',
      'tel ',
      'bearer ',
      'basic aa',
      'curl -u ',
      'machine a login b ',
      'PuTTY-User-Key-File-2:',
      '"d":"',
      '-',
      '_',
      '0x',
      '11-11-',
      '1.',
      '密码',
      'M'.repeat(24) + '.',
    ].map((piece) => [piece]),
  )('on %j over and over', (piece) => {
    const text = piece.repeat(Math.ceil(bytes / Buffer.byteLength(piece)))
    const started = performance.now()
    findSecrets(text)
    findPersonal(text)
    findSkipped(text)
    // Measured: some 20 ms, up to 300; what backtracks takes minutes.
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})

test('the corpus of credentials holds no value twice and nothing real', () => {
  const values = credentials(50).map(({ value }) => value)
  expect(new Set(values).size).toBe(values.length)
  expect(readFileSync(new URL('./corpus/credentials.ts', import.meta.url), 'utf8')).not.toMatch(
    /ghp_[A-Za-z0-9]{36}/u,
  )
})
