/** Access tokens of our own: EdDSA keys that change by themselves, the same in every process without a store. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import {
  calculateJwkThumbprint,
  exportJWK,
  jwtVerify,
  SignJWT,
  type JWK,
  type JWTPayload,
} from 'jose'
import { z } from 'zod'
import { deriveKey, keyInfo } from '../crypto/derive.ts'
import { sessionSeconds } from './lifetimes.ts'

/** A key signs for thirty days; the one before stays known as long as its tokens live, and far longer. */
const keyDays = 30
const dayMs = 86_400_000
const clockSkewSeconds = 5
const algorithm = 'EdDSA'

/** PKCS #8 before the 32 bytes of an Ed25519 seed (RFC 8410 §7). */
const seedPrefix = Buffer.from('302e020100300506032b657004220420', 'hex')

export interface SigningKey {
  readonly id: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly publicJwk: JWK
}

export interface SigningKeys {
  /** What signs now. */
  current(): Promise<SigningKey>
  /** Everything a token in force may be signed with, and the next one. */
  known(): Promise<readonly SigningKey[]>
}

/**
 * `secret`: 32 bytes of the installation. Each key is derived from it and the number of its thirty days, so
 * processes agree without asking each other, and rotation cannot be forgotten.
 */
export function createSigningKeys(
  secret: Uint8Array,
  now: () => number = () => Date.now(),
): SigningKeys {
  const made = new Map<number, Promise<SigningKey>>()
  const epoch = (): number => Math.floor(now() / (keyDays * dayMs))
  const keyOf = (number: number): Promise<SigningKey> => {
    const known = made.get(number) ?? makeKey(secret, number)
    made.set(number, known)
    for (const old of made.keys()) if (old < epoch() - 1) made.delete(old)
    return known
  }
  return {
    current: () => keyOf(epoch()),
    known: () => Promise.all([epoch() - 1, epoch(), epoch() + 1].map(keyOf)),
  }
}

async function makeKey(secret: Uint8Array, number: number): Promise<SigningKey> {
  const seed = deriveKey(secret, keyInfo.tokenKey(number), 32)
  const der = Buffer.concat([seedPrefix, seed])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  seed.fill(0)
  der.fill(0)
  const publicKey = createPublicKey(privateKey)
  const bare = await exportJWK(publicKey)
  const id = await calculateJwkThumbprint(bare)
  return { id, privateKey, publicKey, publicJwk: { ...bare, kid: id, alg: algorithm, use: 'sig' } }
}

export interface Session {
  readonly id: string
  readonly account: string
}

/** What a token for one namespace says. */
export interface NamespaceClaim {
  readonly session: Session
  readonly namespaceName: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

export interface SessionTokens {
  /** For the account pages alone. */
  sign(session: Session): Promise<string>
  /** For the protocol and REST in one namespace. */
  signFor(session: Session, namespaceName: string): Promise<string>
  /** As `verify`, of a token for a namespace. */
  verifyFor(token: string): Promise<NamespaceClaim | undefined>
  /** Undefined for whatever is no token of ours in force. Says nothing of the session behind it. */
  verify(token: string): Promise<Session | undefined>
}

const sessionShape = z.object({ sub: z.uuid(), sid: z.uuid(), exp: z.number() })
const namespaceShape = sessionShape.extend({ mindglue_namespace: z.string().max(63) })

/** Tokens of `issuer`. Each names one audience (RFC 8707): the account pages, or what serves memories. */
export function createSessionTokens(
  issuer: string,
  keys: SigningKeys,
  now: () => number = () => Date.now(),
): SessionTokens {
  const accountAudience = `${issuer}/account`
  const memoryAudience = `${issuer}/mcp`

  const sign = async ({ id, account }: Session, audience: string, claims: JWTPayload) => {
    const { id: kid, privateKey } = await keys.current()
    const issuedAt = Math.floor(now() / 1000)
    return await new SignJWT({ ...claims, sid: id })
      .setProtectedHeader({ alg: algorithm, kid, typ: 'at+jwt' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(account)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + sessionSeconds)
      .sign(privateKey)
  }
  /** The claims of a token of ours in force for this audience; undefined for anything else. */
  const read = async <T>(token: string, audience: string, shape: z.ZodType<T>) => {
    const known = await keys.known()
    try {
      const { payload } = await jwtVerify(
        token,
        ({ kid }) => {
          const key = known.find(({ id }) => id === kid)
          if (key === undefined) throw new Error('no such key')
          return key.publicKey
        },
        {
          issuer,
          audience,
          algorithms: [algorithm],
          typ: 'at+jwt',
          requiredClaims: ['exp', 'iat', 'sub', 'sid'],
          maxTokenAge: sessionSeconds,
          clockTolerance: clockSkewSeconds,
          currentDate: new Date(now()),
        },
      )
      return shape.parse(payload)
    } catch {
      return undefined // for whatever reason: the caller is not logged in
    }
  }
  return {
    sign: (session) => sign(session, accountAudience, {}),
    signFor: (session, namespaceName) =>
      sign(session, memoryAudience, { mindglue_namespace: namespaceName }),
    async verify(token) {
      const claims = await read(token, accountAudience, sessionShape)
      return claims && { id: claims.sid, account: claims.sub }
    },
    async verifyFor(token) {
      const claims = await read(token, memoryAudience, namespaceShape)
      if (claims === undefined) return undefined
      const session = { id: claims.sid, account: claims.sub }
      const { mindglue_namespace: namespaceName, exp } = claims
      return { session, namespaceName, expiresAt: exp * 1000 }
    },
  }
}
