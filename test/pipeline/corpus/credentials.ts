/**
 * Made-up credentials of many kinds in text as people and agents write it: the same in every run. Shapes are
 * the issuers', values random; none of them opens anything.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { createApiKey } from '../../../src/auth/api-keys.ts'
import { seededRandom } from '../../support/random.ts'

export interface Labelled {
  readonly kind: string
  readonly text: string
  /** What must not be kept. */
  readonly value: string
}

type Random = () => number

const digits = '0123456789'
const lower = 'abcdefghijklmnopqrstuvwxyz'
const upper = lower.toUpperCase()
const alphanumeric = digits + lower + upper
const hexDigits = '0123456789abcdef'
const url = `${alphanumeric}-_`
const base64 = `${alphanumeric}+/`

interface Draw {
  (alphabet: string, length: number): string
}

const hex = (draw: Draw, length: number) => draw(hexDigits, length)
const uuid = (draw: Draw) => [8, 4, 4, 4, 12].map((length) => hex(draw, length)).join('-')

/** Base 62 of the CRC-32, as GitHub and npm append it. */
function checksummed(prefix: string, body: string): string {
  const characters = digits + upper + lower
  let value = crc32(body)
  let sum = ''
  for (let count = 0; count < 6; count += 1) {
    sum = (characters[value % 62] ?? '') + sum
    value = Math.floor(value / 62)
  }
  return prefix + body + sum
}

function base58Check(payload: Buffer): string {
  const characters = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
  let value = BigInt(
    `0x${Buffer.concat([payload, hash(hash(payload)).subarray(0, 4)]).toString('hex')}`,
  )
  let text = ''
  for (; value > 0n; value /= 58n) text = (characters[Number(value % 58n)] ?? '') + text
  return text
}

const pem = (draw: Draw, name: string, lines: number) =>
  [
    `-----BEGIN ${name}-----`,
    ...Array.from({ length: lines }, () => draw(base64, 64)),
    `${draw(base64, 42)}==`,
    `-----END ${name}-----`,
  ].join('\n')

const jwt = (draw: Draw, claims: object) =>
  [
    Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'JWT' })).toString('base64url'),
    Buffer.from(JSON.stringify({ sub: draw(digits, 10), ...claims })).toString('base64url'),
    draw(url, 43),
  ].join('.')

const chosen = (draw: Draw) =>
  `${draw(upper, 1)}${draw(lower, 6)}${draw(digits, 3)}${draw('!#%&*?', 1)}`

/** A kind: its value, and text around it where it has none of its own to be known by. */
type Kind = (draw: Draw) => string | { readonly text: string; readonly value: string }

const within = (value: string, text: (value: string) => string) => ({ text: text(value), value })

export const kinds: Readonly<Record<string, Kind>> = {
  'own API key': (draw) => createApiKey(uuid(draw)),
  'own secret key': (draw) => `mindglue-secret-${draw(url, 43)}`,
  'AWS access key': (draw) => `AKIA${draw(`${upper}234567`, 16)}`,
  'AWS temporary key': (draw) => `ASIA${draw(`${upper}234567`, 16)}`,
  'AWS secret key': (draw) =>
    within(`${draw(base64, 36)}aB3x`, (value) => `aws_secret_access_key = ${value}`),
  'AWS session token': (draw) => `IQoJb3JpZ2lu${draw(base64, 200)}`,
  'Google API key': (draw) => `AIza${draw(url, 35)}`,
  'Google OAuth token': (draw) => `ya29.${draw(url, 120)}`,
  'Google client secret': (draw) => `GOCSPX-${draw(url, 28)}`,
  'Azure client secret': (draw) => `${draw(alphanumeric, 3)}8Q~${draw(alphanumeric, 34)}`,
  'Azure storage key': (draw) =>
    within(
      `${draw(base64, 86)}==`,
      (value) =>
        `DefaultEndpointsProtocol=https;AccountName=larkspur;AccountKey=${value};EndpointSuffix=core.windows.net`,
    ),
  'Azure SAS': (draw) =>
    within(
      `${draw(alphanumeric, 43)}%3D`,
      (value) =>
        `https://larkspur.blob.core.windows.net/c/f?sv=2024-11-04&se=2026-12-01&sr=b&sig=${value}`,
    ),
  DigitalOcean: (draw) => `dop_v1_${hex(draw, 64)}`,
  Cloudflare: (draw) => within(draw(url, 40), (value) => `CLOUDFLARE_API_TOKEN=${value}`),
  Heroku: (draw) => `HRKU-AA${draw(url, 58)}`,
  Alibaba: (draw) => `LTAI5t${draw(alphanumeric, 18)}`,
  Databricks: (draw) => `dapi${hex(draw, 32)}`,
  Supabase: (draw) => `sbp_${hex(draw, 40)}`,
  Tailscale: (draw) => `tskey-auth-${draw(alphanumeric, 17)}-${draw(alphanumeric, 32)}`,
  'GitHub classic': (draw) => checksummed('ghp_', draw(alphanumeric, 30)),
  'GitHub app': (draw) => checksummed('ghs_', draw(alphanumeric, 30)),
  'GitHub fine-grained': (draw) => `github_pat_${draw(alphanumeric, 22)}_${draw(alphanumeric, 59)}`,
  GitLab: (draw) => `glpat-${draw(url, 20)}`,
  Bitbucket: (draw) => `ATBB${draw(alphanumeric, 32)}`,
  Atlassian: (draw) => `ATATT3xFfGF0${draw(url, 171)}=${draw('0123456789ABCDEF', 8)}`,
  npm: (draw) => checksummed('npm_', draw(alphanumeric, 30)),
  PyPI: (draw) => `pypi-AgEIcHlwaS5vcmc${draw(url, 150)}`,
  RubyGems: (draw) => `rubygems_${hex(draw, 48)}`,
  'crates.io': (draw) => `cio${draw(alphanumeric, 32)}`,
  Docker: (draw) => `dckr_pat_${draw(url, 27)}`,
  Vault: (draw) => `hvs.${draw(url, 90)}`,
  Terraform: (draw) => `${draw(alphanumeric, 14)}.atlasv1.${draw(url, 67)}`,
  Pulumi: (draw) => `pul-${hex(draw, 40)}`,
  Doppler: (draw) => `dp.pt.${draw(alphanumeric, 43)}`,
  age: (draw) => `AGE-SECRET-KEY-1${draw('QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L', 58)}`,
  '1Password': (draw) => `ops_eyJ${draw(url, 260)}`,
  'Stripe live': (draw) => `sk_live_${draw(alphanumeric, 24)}`,
  'Stripe restricted': (draw) => `rk_live_${draw(alphanumeric, 99)}`,
  'Stripe webhook': (draw) => `whsec_${draw(alphanumeric, 32)}`,
  Square: (draw) => `sq0csp-${draw(url, 43)}`,
  Braintree: (draw) => `access_token$production$${draw(digits + lower, 16)}$${hex(draw, 32)}`,
  Shopify: (draw) => `shpat_${hex(draw, 32)}`,
  Plaid: (draw) => `access-production-${uuid(draw)}`,
  Razorpay: (draw) => `rzp_live_${draw(alphanumeric, 14)}`,
  'Bitcoin key': (draw) => base58Check(Buffer.from(`80${hex(draw, 64)}`, 'hex')),
  'Slack bot': (draw) => `xoxb-${draw(digits, 12)}-${draw(digits, 13)}-${draw(alphanumeric, 24)}`,
  'Slack app': (draw) => `xapp-1-A${draw(upper + digits, 10)}-${draw(digits, 13)}-${hex(draw, 64)}`,
  'Slack webhook': (draw) =>
    within(
      `T${draw(upper + digits, 8)}/B${draw(upper + digits, 10)}/${draw(alphanumeric, 24)}`,
      (value) => `https://hooks.slack.com/services/${value}`,
    ),
  Discord: (draw) => `M${draw(alphanumeric, 25)}.${draw(url, 6)}.${draw(url, 38)}`,
  Telegram: (draw) => `${draw('123456789', 10)}:AA${draw(url, 33)}`,
  Twilio: (draw) => `SK${hex(draw, 32)}`,
  SendGrid: (draw) => `SG.${draw(url, 22)}.${draw(url, 43)}`,
  Mailgun: (draw) => `key-${hex(draw, 32)}`,
  Mailchimp: (draw) => `${hex(draw, 32)}-us${draw('123456789', 1)}`,
  Brevo: (draw) => `xkeysib-${hex(draw, 64)}-${draw(alphanumeric, 16)}`,
  OpenAI: (draw) => `sk-${draw(alphanumeric, 20)}T3BlbkFJ${draw(alphanumeric, 20)}`,
  'OpenAI project': (draw) => `sk-proj-${draw(url, 74)}T3BlbkFJ${draw(url, 74)}`,
  Anthropic: (draw) => `sk-ant-api03-${draw(url, 93)}AA`,
  'Hugging Face': (draw) => `hf_${draw(lower + upper, 34)}`,
  Replicate: (draw) => `r8_${draw(alphanumeric, 37)}`,
  Groq: (draw) => `gsk_${draw(alphanumeric, 52)}`,
  Perplexity: (draw) => `pplx-${draw(alphanumeric, 48)}`,
  xAI: (draw) => `xai-${draw(alphanumeric, 80)}`,
  OpenRouter: (draw) => `sk-or-v1-${hex(draw, 64)}`,
  LangSmith: (draw) => `lsv2_pt_${hex(draw, 32)}_${hex(draw, 10)}`,
  Pinecone: (draw) => `pcsk_${draw(alphanumeric, 6)}_${draw(alphanumeric, 63)}`,
  Grafana: (draw) => `glsa_${draw(alphanumeric, 32)}_${hex(draw, 8)}`,
  Sentry: (draw) => `sntryu_${hex(draw, 64)}`,
  'New Relic': (draw) => `NRAK-${draw(upper + digits, 27)}`,
  Linear: (draw) => `lin_api_${draw(alphanumeric, 40)}`,
  Notion: (draw) => `ntn_${draw(alphanumeric, 46)}`,
  Figma: (draw) => `figd_${draw(url, 40)}`,
  Airtable: (draw) => `pat${draw(alphanumeric, 14)}.${hex(draw, 64)}`,
  HubSpot: (draw) => `pat-na1-${uuid(draw)}`,
  Postman: (draw) => `PMAK-${hex(draw, 24)}-${hex(draw, 34)}`,
  'RSA private key': (draw) => pem(draw, 'RSA PRIVATE KEY', 12),
  'OpenSSH private key': (draw) => pem(draw, 'OPENSSH PRIVATE KEY', 5),
  'PGP private key': (draw) => pem(draw, 'PGP PRIVATE KEY BLOCK', 8),
  JWT: (draw) => jwt(draw, { name: 'Marta', iat: 1_764_000_000 }),
  'Postgres address': (draw) =>
    within(
      encodeURIComponent(chosen(draw)),
      (value) => `postgres://larkspur:${value}@db.internal:5432/app`,
    ),
  'MongoDB address': (draw) =>
    within(
      draw(alphanumeric, 16),
      (value) => `mongodb+srv://app:${value}@cluster0.ab1cd.mongodb.net/prod`,
    ),
  'Redis address': (draw) =>
    within(draw(alphanumeric, 24), (value) => `redis://:${value}@cache:6379/0`),
  'Basic header': (draw) =>
    within(
      Buffer.from(`marta:${chosen(draw)}`).toString('base64'),
      (value) => `Authorization: Basic ${value}`,
    ),
  'Bearer header': (draw) => within(draw(url, 40), (value) => `Authorization: Bearer ${value}`),
  'password in words': (draw) => within(chosen(draw), (value) => `the password is ${value}`),
  'password in an environment': (draw) => within(chosen(draw), (value) => `DB_PASSWORD="${value}"`),
  'password in other languages': (draw) =>
    within(
      chosen(draw),
      (value) =>
        `${['Passwort', 'mot de passe', 'contraseña', 'senha', 'пароль', '密码'][value.length % 2 === 0 ? 0 : value.charCodeAt(2) % 6]}: ${value}`,
    ),
  'secret in JSON': (draw) =>
    within(draw(alphanumeric, 32), (value) => `{"client_secret": "${value}", "retries": 3}`),
}

/** How it comes up; `@` is where it stands. */
const surroundings: readonly string[] = [
  '@',
  'here you go: @',
  'Use @ for the staging server, Marta made it yesterday.',
  'I pasted it: `@` - please keep it safe',
  'export KEY=@\nnpm run deploy',
  '{"note": "@"}',
  'Deploy failed.\n\n> @\n\nCan you look, Jonas?',
  '- item one\n- @\n- item three',
  'Der neue Zugang lautet @, bitte nicht weitergeben.',
  'これを使ってください：@。',
  '(@)',
  'curl -H "X-Key: @" https://api.example/v1',
  '<td>@</td>',
  'old @ new',
  "config.key = '@';",
]

/** So many of each kind. */
export function credentials(perKind: number, seed = 11): Labelled[] {
  const random: Random = seededRandom(seed)
  const draw: Draw = (alphabet, length) =>
    Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join('')
  return Object.entries(kinds).flatMap(([kind, make]) =>
    Array.from({ length: perKind }, (_, index) => {
      const made = make(draw)
      const { text, value } = typeof made === 'string' ? { text: made, value: made } : made
      const around = surroundings[index % surroundings.length] ?? '@'
      return { kind, value, text: around.replace('@', () => text) }
    }),
  )
}
