/**
 * Forged and foreign access tokens: none is accepted, none makes the server ask anybody, and time does not
 * tell how far one came. `FULL=1` runs the size required; `SEED=…` repeats a run.
 */
import { createHmac, createPublicKey, sign as signBytes } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { v7 as uuidv7 } from 'uuid'
import { toAppError } from '../../src/errors.ts'
import { bearerToken } from '../../src/http/bearer.ts'
import { callTool } from '../support/keys.ts'
import { startOAuthApp, type OAuthApp } from '../support/oauth-app.ts'
import { seededRandom, seedOf } from '../support/random.ts'

const isFull = process.env['FULL'] === '1'
const size = isFull
  ? { forgeries: 5000, overHttp: 1000, pairs: 5000, timeoutMs: 1_800_000 }
  : { forgeries: 1000, overHttp: 80, pairs: 300, timeoutMs: 300_000 }
const seed = seedOf(process.env)
const random = seededRandom(seed)
const below = (bound: number): number => Math.floor(random() * bound)
function one<T>(items: readonly T[]): T {
  const item = items[below(items.length)]
  if (item === undefined) throw new Error('nothing to choose from')
  return item
}

let running: OAuthApp
/** In force, from the issuer: what is to be changed. */
let genuine: string
let forge: Forge
beforeAll(async () => {
  // Each is to be judged by itself, not refused for the ones before it.
  running = await startOAuthApp({ environment: { MINDGLUE_FAILED_KEYS_PER_MINUTE: '100000' } })
  genuine = await running.issuer.sign()
  forge = await openForge(running)
}, 120_000)
afterAll(() => running.close())

/** What an attacker has: keys of his own, the issuer's public key, and tokens for others. */
interface Forge {
  /** Signed with a key of the attacker. */
  foreign(claims?: JWTPayload, header?: Record<string, unknown>): Promise<string>
  /** Put together by hand, with the signature that `signer` makes. */
  byHand(header: object, payload: object, signer?: (input: string) => string): string
  /** The issuer's public key in the forms that a library may take for a secret. */
  readonly publicKeyTexts: readonly (string | Buffer)[]
  readonly jwk: object
}

async function openForge({ issuer }: OAuthApp): Promise<Forge> {
  const pair = await generateKeyPair('ES256', { extractable: true })
  const jwk = await exportJWK(pair.publicKey)
  const publicKey = createPublicKey({ key: { kty: 'EC', ...issuer.publicKey }, format: 'jwk' })
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  return {
    jwk,
    publicKeyTexts: [
      publicKey.export({ format: 'pem', type: 'spki' }),
      publicKey.export({ format: 'der', type: 'spki' }),
      JSON.stringify(issuer.publicKey),
      String(issuer.publicKey['x']),
      '',
    ],
    foreign: (claims = {}, header = {}) =>
      new SignJWT({ ...claimsNow(), ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: issuer.keyId, typ: 'at+jwt', ...header })
        .sign(pair.privateKey),
    byHand: (header, payload, signer = () => '') => {
      const input = `${encode(header)}.${encode(payload)}`
      return `${input}.${signer(input)}`
    },
  }
}

const now = () => Math.floor(Date.now() / 1000)
const claimsNow = () => ({
  iss: running.issuer.issuer,
  aud: running.resource,
  sub: 'ada',
  client_id: 'test-client',
  jti: uuidv7(),
  iat: now(),
  exp: now() + 300,
  scope: 'memory:read memory:write memory:forget admin',
})
const headerOf = (more: object = {}) => ({
  alg: 'ES256',
  kid: running.issuer.keyId,
  typ: 'at+jwt',
  ...more,
})
const parts = (): [string, string, string] => {
  const [header = '', payload = '', signature = ''] = genuine.split('.')
  return [header, payload, signature]
}
const hmac = (bits: string, key: string | Buffer) => (input: string) =>
  createHmac(`sha${bits}`, key).update(input).digest('base64url')
const signed = (claims: object = {}, header: Record<string, unknown> = {}) =>
  running.issuer.sign({ ...claims }, header)
const badKeyIds = [
  '../../../../dev/null',
  "' or '1'='1",
  "x' union select 'secret' --",
  '/proc/self/environ',
  'http://127.0.0.1:1/key',
  '__proto__',
  'constructor',
  '',
  '\u0000',
  'a'.repeat(4000),
]

/** Each makes one forgery; all of them, in turn, make up the run. */
const forgeries: readonly (readonly [string, () => string | Promise<string>])[] = [
  [
    'alg none',
    () => forge.byHand(headerOf({ alg: one(['none', 'None', 'nOnE', 'NONE']) }), claimsNow()),
  ],
  [
    'alg none with the genuine signature',
    () => forge.byHand(headerOf({ alg: 'none' }), claimsNow(), () => parts()[2]),
  ],
  [
    'HMAC under the public key',
    () => {
      const bits = one(['256', '384', '512'])
      const key = one(forge.publicKeyTexts)
      return forge.byHand(headerOf({ alg: `HS${bits}` }), claimsNow(), hmac(bits, key))
    },
  ],
  ['signed by another key under the right key id', () => forge.foreign()],
  ['signed by another key under a made-up key id', () => forge.foreign({}, { kid: uuidv7() })],
  ['a key id that is a path, a query or a trap', () => forge.foreign({}, { kid: one(badKeyIds) })],
  ['its own key in the header', () => forge.foreign({}, { jwk: forge.jwk })],
  [
    'its own key at an address',
    () => forge.foreign({}, { [one(['jku', 'x5u'])]: `${running.issuer.issuer}/jwks?evil` }),
  ],
  ['a certificate in the header', () => forge.foreign({}, { x5c: ['MIIB'] })],
  [
    'a critical extension, genuinely signed',
    () => signedByHand({ crit: [one(['x', 'exp', 'b64'])], x: 1, exp: 1, b64: false }),
  ],
  ['the wrong audience', () => signed({ aud: one(wrongAudiences()) })],
  ['the wrong issuer', () => signed({ iss: one(wrongIssuers()) })],
  ['expired', () => signed({ exp: now() - 31 - below(100_000) })],
  ['not in force yet', () => signed({ nbf: now() + 60 + below(100_000) })],
  ['issued in the future', () => signed({ iat: now() + 60 + below(100_000) })],
  ['issued more than a day ago', () => signed({ iat: now() - 86_500, exp: now() + 300 })],
  [
    'without a claim that it must have',
    () => signed({ [one(['exp', 'iat', 'sub', 'jti', 'client_id', 'aud', 'iss'])]: undefined }),
  ],
  ['an ID token', () => signed({ aud: 'test-client', nonce: 'n' }, { typ: 'JWT' })],
  [
    'an ID token that names us',
    () => signed({ nonce: 'n' }, { typ: one(['JWT', 'id_token+jwt']) }),
  ],
  ['another type', () => signed({}, { typ: one(['logout+jwt', 'dpop+jwt', 'at', '', 'jwt']) })],
  ['no type', () => signed({}, { typ: undefined })],
  [
    'claims of the wrong type',
    () => signed(one<object>([{ exp: '9999999999' }, { iat: null }, { aud: {} }, { sub: 7 }])),
  ],
  [
    'one character of the header or the claims changed',
    () => {
      const [header, payload, signature] = parts()
      const text = `${header}.${payload}`
      const at = below(text.length)
      return `${text.slice(0, at)}${one(['A', 'z', '_'])}${text.slice(at + 1)}x.${signature}`
    },
  ],
  [
    'other claims under the genuine signature',
    () => forge.byHand(headerOf(), claimsNow(), () => parts()[2]),
  ],
  ['no signature', () => `${parts()[0]}.${parts()[1]}.`],
  [
    'a signature of zeros',
    () => forge.byHand(headerOf(), claimsNow(), () => Buffer.alloc(64).toString('base64url')),
  ],
  ['a signature cut off or made longer', () => one([genuine.slice(0, -2), `${genuine}AA`])],
  ['two tokens at once', () => one([`${genuine}.${genuine}`, `${genuine}${genuine}`])],
  ['an encrypted token', () => `${parts()[0]}..${parts()[1]}.${parts()[2]}.AAAA`],
  ['no JSON', () => `eyJ${'x'.repeat(below(50))}.${parts()[1]}.${parts()[2]}`],
  [
    'another algorithm than the key',
    () =>
      forge.byHand(
        headerOf({ alg: one(['ES384', 'RS256', 'EdDSA', 'PS256', 'ES256K', 'dir', '']) }),
        claimsNow(),
        () => parts()[2],
      ),
  ],
]

function wrongAudiences(): readonly (string | string[])[] {
  const { resource } = running
  const { origin } = running.listener
  const near = [
    `${resource}x`,
    `${resource}//`,
    `${resource}/../mcp`,
    `${resource}?x`,
    `x${resource}`,
  ]
  return [...near, origin, 'test-client', '', '*', [], [origin, 'https://other.example/mcp']]
}

function wrongIssuers(): readonly string[] {
  const { issuer } = running.issuer
  return [`${issuer}/`, issuer.replace('127.0.0.1', 'localhost'), 'https://evil.example', '']
}

/** `jose` refuses to sign what nobody should. */
async function signedByHand(header: object): Promise<string> {
  const { privateJwk } = running.issuer
  return forge.byHand(headerOf(header), claimsNow(), (input) =>
    signBytes('sha256', Buffer.from(input), {
      key: privateJwk,
      format: 'jwk',
      dsaEncoding: 'ieee-p1363',
    }).toString('base64url'),
  )
}

async function isAccepted(text: string): Promise<boolean> {
  try {
    const credential = bearerToken(new Headers({ authorization: `Bearer ${text}` }))
    const request = { channel: 'mcp-http', requestId: uuidv7() } as const
    await running.app.authenticator.authenticate(credential, request)
    return true
  } catch (error) {
    if (error instanceof TypeError) return false // no header can hold such a text
    const { code } = toAppError(error)
    if (code !== 'unauthenticated' && code !== 'insufficient_scope') throw error
    return false
  }
}

test(
  `of ${size.forgeries} forged and foreign tokens none is accepted (seed ${seed})`,
  { timeout: size.timeoutMs },
  async () => {
    expect(await isAccepted(genuine)).toBe(true)
    const asked = running.issuer.asked.length
    const accepted: string[] = []
    for (let made = 0; made < size.forgeries; made++) {
      const [kind, make] = forgeries[made % forgeries.length] ?? one(forgeries)
      if (await isAccepted(await make())) accepted.push(kind)
    }
    expect(accepted).toEqual([])
    expect(await isAccepted(genuine)).toBe(true)
    // Made-up key ids: two documents each half minute, however many there are; addresses in headers: none.
    const looks = running.issuer.asked.slice(asked)
    expect(looks.length).toBeLessThan(20)
    expect(looks.filter((path) => path.includes('evil'))).toEqual([])
  },
)

test(
  `over HTTP ${size.overHttp} of them are 401 and tell nothing`,
  { timeout: size.timeoutMs },
  async () => {
    for (let run = 0; run < size.overHttp; run++) {
      const [kind, make] = forgeries[run % forgeries.length] ?? one(forgeries)
      const text = await make()
      const response = await callTool(running, text, 'recall').catch(() => undefined)
      if (response === undefined) continue // fetch sends no such header
      expect([kind, response.status]).toEqual([kind, text.length > 8192 ? 431 : 401])
      expect(await response.text()).not.toContain(text.slice(-30))
    }
  },
)

test(
  'a wrong signature takes the same time whatever the token says, within a millisecond',
  { timeout: size.timeoutMs },
  async () => {
    const kinds = {
      'another key': () => forge.foreign(),
      'a made-up key id': () => forge.foreign({}, { kid: uuidv7() }),
      'an unknown subject': () => forge.foreign({ sub: uuidv7() }),
      'a known subject': () => forge.foreign({ sub: 'ada' }),
    }
    const times = new Map<string, number[]>()
    for (let pair = 0; pair < size.pairs; pair++) {
      for (const [kind, make] of Object.entries(kinds)) {
        const text = await make()
        const started = performance.now()
        await isAccepted(text)
        const taken = performance.now() - started
        times.set(kind, times.get(kind)?.concat(taken) ?? [taken])
      }
    }
    const medians = new Map([...times].map(([kind, values]) => [kind, median(values)]))
    if (isFull) {
      const shown = [...medians].map(([kind, ms]) => `${kind} ${ms.toFixed(3)} ms`)
      process.stderr.write(`${shown.join(', ')}\n`)
    }
    expect(Math.max(...medians.values()) - Math.min(...medians.values())).toBeLessThan(1)
  },
)

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
