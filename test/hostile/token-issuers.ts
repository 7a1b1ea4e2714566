/** Whoever signs access tokens that this server takes: an issuer outside, and the server itself for three ends. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, SignJWT, type JWTPayload } from 'jose'
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { createSigningKeys } from '../../src/accounts/session-tokens.ts'
import { toAppError } from '../../src/errors.ts'
import { bearerToken } from '../../src/http/bearer.ts'
import type { AccountsApp } from '../support/accounts.ts'
import type { TestApp } from '../support/app.ts'
import { authorize, joined, password, redeem, tokensOf } from '../support/authorization.ts'
import { callTool } from '../support/keys.ts'
import type { OAuthApp } from '../support/oauth-app.ts'

export type Header = Readonly<Record<string, unknown>>
/** Makes one forgery, another one each time. */
export type Forgery = readonly [kind: string, make: () => string | Promise<string>]

export interface TokenIssuer {
  /** In force: what is to be changed. */
  readonly genuine: string
  readonly header: { readonly alg: string; readonly kid: string; readonly typ: string }
  /** What a token must say. */
  readonly required: readonly string[]
  /** The audience of another end, which a token for it names. */
  readonly otherAudience: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** What the genuine token says, said now. */
  claims(): JWTPayload
  /** Signed as the issuer does; a claim or a field that is undefined is left out. */
  readonly sign: (claims?: object, header?: Header) => Promise<string>
  isAccepted(text: string): Promise<boolean>
  request(text: string): Promise<Response>
  /** What is wrong with tokens of this issuer alone. */
  readonly forgeries: readonly Forgery[]
  /** Addresses that the issuer was asked for. */
  asked(): readonly string[]
}

export const issuerNames = ['an issuer outside', 'an account', 'a member', 'a program'] as const
export type IssuerName = (typeof issuerNames)[number]

const now = () => Math.floor(Date.now() / 1000)

/** Of two servers: one with an issuer outside, one with accounts. */
export async function openTokenIssuers(
  outside: OAuthApp,
  own: AccountsApp,
): Promise<Readonly<Record<IssuerName, TokenIssuer>>> {
  return { 'an issuer outside': await outsideIssuer(outside), ...(await ownIssuers(own)) }
}

type Ends = Pick<TokenIssuer, 'required' | 'otherAudience' | 'isAccepted' | 'request'> &
  Partial<Pick<TokenIssuer, 'asked'>>

/** `forgeries`: made of the issuer as it is without them. */
function issuerOf(
  genuine: string,
  privateKey: KeyObject,
  ends: Ends,
  forgeries: (issuer: Pick<TokenIssuer, 'sign'>) => readonly Forgery[] = () => [],
): TokenIssuer {
  const { alg, kid, typ } = headerShape.parse(decodeProtectedHeader(genuine))
  const header = { alg, kid, typ }
  const claims = () => ({
    ...decodeJwt(genuine),
    jti: uuidv7(),
    iat: now(),
    exp: now() + 300,
  })
  const sign: TokenIssuer['sign'] = (more = {}, fields = {}) =>
    new SignJWT({ ...claims(), ...more })
      .setProtectedHeader({ ...header, ...fields })
      .sign(privateKey)
  return {
    asked: () => [],
    ...ends,
    genuine,
    header,
    privateKey,
    publicKey: createPublicKey(privateKey),
    claims,
    sign,
    forgeries: forgeries({ sign }),
  }
}

const headerShape = z.object({ alg: z.string(), kid: z.string(), typ: z.string() })

async function outsideIssuer(running: OAuthApp): Promise<TokenIssuer> {
  const { issuer, listener } = running
  const privateKey = createPrivateKey({ key: issuer.privateJwk, format: 'jwk' })
  return issuerOf(await issuer.sign(), privateKey, {
    required: ['exp', 'iat', 'sub', 'jti', 'client_id', 'aud', 'iss'],
    otherAudience: listener.origin,
    isAccepted: judgedBy(entersWith(running)),
    request: (text) => callTool(running, text, 'recall'),
    asked: () => issuer.asked,
  })
}

/** Ada is a member of `lab` with a program; Eve is somebody else. */
async function ownIssuers(running: AccountsApp) {
  const { app, origin } = running
  const { accounts } = app
  if (accounts === undefined) throw new Error('there are no accounts')
  const email = 'ada@example.org'
  await joined(running, email, 'lab')
  await running.signUp('eve@example.org', password)
  const eve = decodeJwt(await running.logIn('eve@example.org', password))
  const account = await running.logIn(email, password)
  const answer = await running.post('/token', { namespace: 'lab' }, { token: account })
  const { access_token: member } = tokenShape.parse(await answer.json())
  const allowed = await authorize(origin, { email, namespace: 'lab' })
  const { access_token: program } = await tokensOf(await redeem(origin, allowed))

  const { privateKey } = await accounts.signingKeys.current()
  const old = await createSigningKeys(app.secret('token'), () => Date.now() - oldMs).current()
  const kinds = [account, member, program]
  const ofOwn = (genuine: string, ends: Ends, forged: readonly (readonly [string, object])[]) =>
    issuerOf(genuine, privateKey, ends, ({ sign }) => [
      ...kinds
        .filter((kind) => decodeJwt(kind).aud === ends.otherAudience)
        .map((kind, index): Forgery => [`a genuine token for another end, ${index}`, () => kind]),
      ...forged.map(([kind, claims]): Forgery => [kind, () => sign(claims)]),
      [
        'signed by a key of long ago',
        () =>
          new SignJWT({ ...decodeJwt(genuine), iat: now(), exp: now() + 300 })
            .setProtectedHeader({ alg: 'EdDSA', kid: old.id, typ: 'at+jwt' })
            .sign(old.privateKey),
      ],
    ])
  const [forAccounts, forMemories] = [`${origin}/account`, `${origin}/mcp`]
  const ofSession = [
    ['of a session that is none', { sid: uuidv7() }],
    ['of the session of somebody else', { sid: eve['sid'] }],
    ['of somebody else in this session', { sub: eve.sub }],
    ['of a session that is no id', { sid: 7 }],
  ] as const
  const memories = {
    otherAudience: forAccounts,
    isAccepted: judgedBy(entersWith(running)),
    request: (text: string) => callTool(running, text, 'recall'),
  }
  const ofSessionClaims = ['exp', 'iat', 'sub', 'sid', 'aud', 'iss']
  return {
    'an account': ofOwn(
      account,
      {
        required: ofSessionClaims,
        otherAudience: forMemories,
        isAccepted: judgedBy(
          async (text = '') => (await accounts.accounts.session(text)) !== undefined,
        ),
        request: (text) => running.get('', { token: text }),
      },
      ofSession,
    ),
    'a member': ofOwn(
      member,
      { required: [...ofSessionClaims, 'mindglue_namespace'], ...memories },
      [
        ...ofSession,
        ['of a namespace that is not theirs', { mindglue_namespace: 'default' }],
        ['of a namespace that is no name', { mindglue_namespace: ['lab'] }],
        ['that says it is a program’s', { client_id: allowed.client }],
      ],
    ),
    'a program': ofOwn(
      program,
      {
        required: ['exp', 'iat', 'sub', 'jti', 'client_id', 'aud', 'iss', 'mindglue_grant'],
        ...memories,
      },
      [
        ['of what nobody agreed to', { mindglue_grant: uuidv7() }],
        ['of what somebody else agreed to', { sub: eve.sub }],
        ['of another program', { client_id: uuidv7() }],
        ['that says it is the member’s', { client_id: undefined, mindglue_namespace: 'lab' }],
      ],
    ),
  }
}

const tokenShape = z.object({ access_token: z.string() })
/** Twice as long as a key is known after it has signed. */
const oldMs = 120 * 86_400_000

type Judge = (credential: string | undefined) => Promise<boolean>

const entersWith =
  ({ app }: TestApp): Judge =>
  async (credential) => {
    const request = { channel: 'mcp-http', requestId: uuidv7() } as const
    await app.authenticator.authenticate(credential, request)
    return true
  }

/** As a request would bring it. */
const judgedBy = (judge: Judge) => async (text: string) => {
  try {
    return await judge(bearerToken(new Headers({ authorization: `Bearer ${text}` })))
  } catch (error) {
    if (error instanceof TypeError) return false // no header can hold such a text
    const { code } = toAppError(error)
    if (code !== 'unauthenticated' && code !== 'insufficient_scope') throw error
    return false
  }
}
