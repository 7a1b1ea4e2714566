/** Forged and foreign tokens of an issuer: what an attacker makes of keys of his own, the public key and other tokens. */
import { createHmac, sign as signBytes, type KeyObject } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT, type JWK, type JWTPayload } from 'jose'
import { v7 as uuidv7 } from 'uuid'
import type { Forgery, Header, TokenIssuer } from './token-issuers.ts'

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

const algorithms = ['ES256', 'ES384', 'RS256', 'EdDSA', 'Ed25519', 'PS256', 'ES256K', 'dir', '']

export interface Forge {
  /** All of them, in turn, make up a run. */
  readonly forgeries: readonly Forgery[]
  /** Signed with a key of the attacker. */
  readonly foreign: (claims?: JWTPayload, header?: Header) => Promise<string>
}

interface Tools extends Pick<Forge, 'foreign'> {
  readonly issuer: TokenIssuer
  /** Of the attacker. */
  readonly jwk: JWK
  readonly below: (bound: number) => number
  readonly one: <T>(items: readonly T[]) => T
  /** The claims put together by hand, with the signature that `signer` makes. */
  readonly byHand: (header: Header, signer?: (input: string) => string) => string
}

export async function openForge(issuer: TokenIssuer, random: () => number): Promise<Forge> {
  const { alg } = issuer.header
  const pair = await generateKeyPair(alg, { extractable: true })
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const below: Tools['below'] = (bound) => Math.floor(random() * bound)
  const tools: Tools = {
    issuer,
    jwk: await exportJWK(pair.publicKey),
    below,
    one: (items) => {
      const item = items[below(items.length)]
      if (item === undefined) throw new Error('nothing to choose from')
      return item
    },
    foreign: (claims = {}, header = {}) =>
      new SignJWT({ ...issuer.claims(), ...claims })
        .setProtectedHeader({ ...issuer.header, ...header })
        .sign(pair.privateKey),
    byHand: (header, signer = () => '') => {
      const input = `${encode({ ...issuer.header, ...header })}.${encode(issuer.claims())}`
      return `${input}.${signer(input)}`
    },
  }
  return {
    foreign: tools.foreign,
    forgeries: [
      ...bySignature(tools),
      ...byKey(tools),
      ...byClaims(tools),
      ...byText(tools),
      ...issuer.forgeries,
    ],
  }
}

function bySignature({ issuer, one, byHand }: Tools): readonly Forgery[] {
  const { genuine, publicKey, header } = issuer
  const [, , signature = ''] = genuine.split('.')
  const others = algorithms.filter((name) => name !== header.alg)
  const publicJwk = publicKey.export({ format: 'jwk' })
  /** The public key in the forms that a library may take for a secret. */
  const publicKeyTexts = [
    publicKey.export({ format: 'pem', type: 'spki' }),
    publicKey.export({ format: 'der', type: 'spki' }),
    JSON.stringify(publicJwk),
    String(publicJwk.x),
    '',
  ]
  const hmac = (bits: string, key: string | Buffer) => (input: string) =>
    createHmac(`sha${bits}`, key).update(input).digest('base64url')
  return [
    ['alg none', () => byHand({ alg: one(['none', 'None', 'nOnE', 'NONE']) })],
    ['alg none with the genuine signature', () => byHand({ alg: 'none' }, () => signature)],
    [
      'HMAC under the public key',
      () => {
        const bits = one(['256', '384', '512'])
        return byHand({ alg: `HS${bits}` }, hmac(bits, one(publicKeyTexts)))
      },
    ],
    ['another algorithm than the key', () => byHand({ alg: one(others) }, () => signature)],
    ['other claims under the genuine signature', () => byHand({}, () => signature)],
    ['a signature of zeros', () => byHand({}, () => Buffer.alloc(64).toString('base64url'))],
    [
      'a critical extension, genuinely signed',
      () =>
        byHand({ crit: [one(['x', 'exp', 'b64'])], x: 1, exp: 1, b64: false }, (input) =>
          genuinely(issuer.privateKey, input),
        ),
    ],
  ]
}

/** `jose` refuses to sign what nobody should. */
function genuinely(key: KeyObject, input: string): string {
  const digest = key.asymmetricKeyType === 'ec' ? 'sha256' : null
  const signature = signBytes(digest, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return signature.toString('base64url')
}

function byKey({ issuer, jwk, one, foreign }: Tools): readonly Forgery[] {
  const address = `${issuer.claims().iss}/jwks?evil`
  return [
    ['signed by another key under the right key id', () => foreign()],
    ['signed by another key under a made-up key id', () => foreign({}, { kid: uuidv7() })],
    ['a key id that is a path, a query or a trap', () => foreign({}, { kid: one(badKeyIds) })],
    ['its own key in the header', () => foreign({}, { jwk })],
    ['its own key at an address', () => foreign({}, { [one(['jku', 'x5u'])]: address })],
    ['a certificate in the header', () => foreign({}, { x5c: ['MIIB'] })],
  ]
}

/** Each genuinely signed: as the issuer does for others, or did, or never would. */
function byClaims({ issuer, below, one }: Tools): readonly Forgery[] {
  const { sign, required, otherAudience } = issuer
  const { aud, iss = '' } = issuer.claims()
  const audience = String(aud)
  const elsewhere = iss.replace('127.0.0.1', 'localhost')
  const near = ['x', '//', '/../mcp', '?x'].map((end) => `${audience}${end}`)
  const audiences: readonly unknown[] = [
    ...near,
    `x${audience}`,
    otherAudience,
    `${elsewhere}/mcp`,
    'test-client',
    '',
    '*',
    [],
    [otherAudience, 'https://other.example/mcp'],
  ]
  const issuers = [`${iss}/`, elsewhere, 'https://evil.example', '']
  const now = () => Math.floor(Date.now() / 1000)
  return [
    ['the wrong audience', () => sign({ aud: one(audiences) })],
    ['the wrong issuer', () => sign({ iss: one(issuers) })],
    ['expired', () => sign({ exp: now() - 31 - below(100_000) })],
    ['not in force yet', () => sign({ nbf: now() + 60 + below(100_000) })],
    ['issued in the future', () => sign({ iat: now() + 60 + below(100_000) })],
    ['issued more than a day ago', () => sign({ iat: now() - 86_500, exp: now() + 300 })],
    ['without a claim that it must have', () => sign({ [one(required)]: undefined })],
    ['an ID token', () => sign({ aud: 'test-client', nonce: 'n' }, { typ: 'JWT' })],
    [
      'an ID token that names us',
      () => sign({ nonce: 'n' }, { typ: one(['JWT', 'id_token+jwt']) }),
    ],
    ['another type', () => sign({}, { typ: one(['logout+jwt', 'dpop+jwt', 'at', '', 'jwt']) })],
    ['no type', () => sign({}, { typ: undefined })],
    [
      'claims of the wrong type',
      () => sign(one<object>([{ exp: '9999999999' }, { iat: null }, { aud: {} }, { sub: 7 }])),
    ],
  ]
}

function byText({ issuer, below, one }: Tools): readonly Forgery[] {
  const { genuine } = issuer
  const [header = '', payload = '', signature = ''] = genuine.split('.')
  return [
    [
      'one character of the header or the claims changed',
      () => {
        const text = `${header}.${payload}`
        const at = below(text.length)
        return `${text.slice(0, at)}${one(['A', 'z', '_'])}${text.slice(at + 1)}x.${signature}`
      },
    ],
    ['no signature', () => `${header}.${payload}.`],
    ['a signature cut off or made longer', () => one([genuine.slice(0, -2), `${genuine}AA`])],
    ['two tokens at once', () => one([`${genuine}.${genuine}`, `${genuine}${genuine}`])],
    ['an encrypted token', () => `${header}..${payload}.${signature}.AAAA`],
    ['no JSON', () => `eyJ${'x'.repeat(below(50))}.${payload}.${signature}`],
  ]
}
