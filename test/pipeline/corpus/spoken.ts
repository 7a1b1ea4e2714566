/**
 * Made-up credentials that nothing but what is said of them gives away, as people write them in a chat: a value
 * without a shape of its own, or a password that somebody chose. Random values, the same in every run.
 */
import { seededRandom } from '../../support/random.ts'
import type { Labelled } from './credentials.ts'

const digits = '0123456789'
const lower = 'abcdefghijklmnopqrstuvwxyz'
const upper = lower.toUpperCase()
const alphanumeric = digits + lower + upper
const hexDigits = '0123456789abcdef'

type Draw = (alphabet: string, length: number) => string

/** Who issues it, what it is called there, and what it looks like. */
const issued: readonly (readonly [string, string, (draw: Draw) => string])[] = [
  ['Mistral', 'API key', (draw) => draw(alphanumeric, 32)],
  ['Cohere', 'API key', (draw) => draw(alphanumeric, 40)],
  ['Datadog', 'API key', (draw) => draw(hexDigits, 32)],
  ['Datadog', 'application key', (draw) => draw(hexDigits, 40)],
  ['Twilio', 'auth token', (draw) => draw(hexDigits, 32)],
  ['Algolia', 'admin key', (draw) => draw(hexDigits, 32)],
  ['Azure OpenAI', 'key', (draw) => draw(hexDigits, 32)],
  ['Heroku', 'API key', (draw) => uuid(draw)],
  ['Cloudflare', 'token', (draw) => draw(`${alphanumeric}-_`, 40)],
  ['Cloudflare', 'global API key', (draw) => draw(hexDigits, 37)],
  ['AWS', 'secret access key', (draw) => draw(`${alphanumeric}+/`, 40)],
  ['ElevenLabs', 'key', (draw) => draw(hexDigits, 32)],
  ['Deepgram', 'API key', (draw) => draw(hexDigits, 40)],
  ['Together AI', 'key', (draw) => draw(hexDigits, 64)],
  ['Weights & Biases', 'key', (draw) => draw(hexDigits, 40)],
  ['Vercel', 'token', (draw) => draw(alphanumeric, 24)],
  ['Hetzner', 'API token', (draw) => draw(alphanumeric, 64)],
  ['Linode', 'token', (draw) => draw(hexDigits, 64)],
  ['Railway', 'token', (draw) => uuid(draw)],
  ['Azure DevOps', 'PAT', (draw) => draw('abcdefghijklmnopqrstuvwxyz234567', 52)],
  ['CircleCI', 'token', (draw) => draw(hexDigits, 40)],
  ['Codecov', 'token', (draw) => uuid(draw)],
  ['Snyk', 'token', (draw) => uuid(draw)],
  ['PagerDuty', 'API key', (draw) => `u+${draw(alphanumeric, 18)}`],
  ['Gitea', 'token', (draw) => draw(hexDigits, 40)],
  ['GitHub OAuth', 'client secret', (draw) => draw(hexDigits, 40)],
  ['Auth0', 'client secret', (draw) => draw(`${alphanumeric}-_`, 64)],
  ['Okta', 'token', (draw) => `00${draw(`${alphanumeric}-_`, 40)}`],
  ['Spotify', 'client secret', (draw) => draw(hexDigits, 32)],
  ['PayPal', 'secret', (draw) => `E${draw(`${alphanumeric}-_`, 79)}`],
  ['Binance', 'secret key', (draw) => draw(alphanumeric, 64)],
  ['Wise', 'API token', (draw) => uuid(draw)],
  ['Trello', 'token', (draw) => draw(hexDigits, 64)],
  ['Zendesk', 'API token', (draw) => draw(alphanumeric, 40)],
  ['Segment', 'write key', (draw) => draw(alphanumeric, 32)],
  ['Postmark', 'server token', (draw) => uuid(draw)],
  ['SparkPost', 'API key', (draw) => draw(hexDigits, 40)],
  ['OpenWeather', 'key', (draw) => draw(hexDigits, 32)],
  ['LINE', 'channel access token', (draw) => `${draw(`${alphanumeric}+/`, 171)}=`],
  ['WireGuard', 'private key', (draw) => `${draw(`${alphanumeric}+/`, 43)}=`],
]

/** `P`: who issues it; `K`: what it is called; `@`: the value. */
const saidOfKeys: readonly string[] = [
  'my P K is @',
  'P K: @',
  'here is the P K: `@` please keep it safe',
  'use @ as the P K from now on',
  'P K @',
  'the P K for production (do not share it): @',
  'Marta sent the P K yesterday:\n\n@\n\nIt is valid until May.',
  '@ is our P K, Jonas made it',
  'P K → @',
  'remember the new P K = @, the old one is revoked',
  'export P_K=@',
  '{"P": {"K": "@"}}',
  'P: @ (that is the K)',
  'I rotated the K of P, it is now @.',
  'Der P K lautet @, bitte nicht weitergeben.',
  'Le P K est @',
  'El P K es @',
  'P の K は @ です。',
  'P K：@',
  'вот P K - @',
  '- P K\n  @',
  'ok so for P the K should be "@" right?',
]

/** A password that somebody chose. */
const chosen: readonly ((draw: Draw) => string)[] = [
  (draw) => draw('123456789', 6) + draw(digits, 2),
  (draw) => draw(lower, 6) + draw(digits, 2) + draw('!#&*?$', 1),
  (draw) => draw(upper, 1) + draw(lower, 5) + draw(digits, 4),
  (draw) => draw('123456789', 4) + draw(lower, 4),
  (draw) => draw(alphanumeric, 11) + draw(digits, 1),
  (draw) => `${draw(lower, 4)}-${draw(lower, 4)}-${draw(digits, 4)}`,
]

const saidOfPasswords: readonly string[] = [
  'the password is @',
  'password: @',
  'password @',
  'password "@"',
  'password -> @',
  'pw: @',
  'pass: @',
  'Passcode: @',
  'the wifi password for the office is @',
  'password for the staging database: @',
  'user admin, password @, port 5432',
  'I changed the password to @ this morning',
  'log in with marta and password `@`',
  'my new password will be @',
  'PASSWORD=@',
  '--password @',
  '{"password": "@"}',
  'Das Passwort für das WLAN ist @',
  'le mot de passe est @',
  'la contraseña del wifi es @',
  'a senha é @',
  'пароль от почты: @',
  'Wi-Fi 密码：@',
  'パスワードは @ です',
]

const uuid = (draw: Draw) => [8, 4, 4, 4, 12].map((length) => draw(hexDigits, length)).join('-')

/** So many of each kind; each in a sentence of its own. */
export function spokenCredentials(perKind: number, seed = 23): Labelled[] {
  const random = seededRandom(seed)
  const draw: Draw = (alphabet, length) =>
    Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join('')
  const keys = issued.flatMap(([issuer, name, make], kind) =>
    Array.from({ length: perKind }, (_, index) => {
      const value = make(draw)
      const around = saidOfKeys[(index + kind) % saidOfKeys.length] ?? '@'
      const text = around
        .replace('P_K', `${issuer}_${name}`.toUpperCase().replaceAll(/[^A-Z\d]+/gu, '_'))
        .replace(/\bP\b/u, () => issuer)
        .replace(/\bK\b/u, () => name)
      return { kind: `${issuer} ${name}`, value, text: text.replace('@', () => value) }
    }),
  )
  const passwords = saidOfPasswords.flatMap((around) =>
    Array.from({ length: perKind }, (_, index) => {
      const value = (chosen[index % chosen.length] ?? uuid)(draw)
      return { kind: around, value, text: around.replace('@', () => value) }
    }),
  )
  return [...keys, ...passwords]
}
