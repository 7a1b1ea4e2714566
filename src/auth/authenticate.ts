/** Credential → Principal: the configured key, an issued API key, or an access token. Knows no transport. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { AppError } from '../errors.ts'
import type { Channel, Principal, Scope } from '../principal.ts'
import type { FoundApiKey } from './api-keys.sql.ts'
import type { FailedKeys } from './failed-keys.ts'
import type { TokenHolder } from './access-tokens.ts'
import { hashApiKey, looksLikeApiKey, readApiKey } from './api-keys.ts'

export interface AuthenticatorOptions {
  /** The one key of the configuration; undefined lets requests without credentials in. */
  readonly configuredKey: string | undefined
  /** Who holds the configured key, and who calls without any where that is allowed. */
  readonly configuredPrincipal: (request: AuthenticationRequest) => Promise<Principal>
  readonly pepper: string | undefined
  /** The row of an id in force; throws AppError when the database cannot say. */
  readonly find: (id: string) => Promise<FoundApiKey | undefined>
  /** Access tokens; left out: none is accepted. */
  readonly tokens?: AcceptedTokens | undefined
  /** Bounds wrong keys of one address; left out: they are not counted. */
  readonly failedKeys?: FailedKeys
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
}

export interface AcceptedTokens {
  /** True for what was meant as a token, right or wrong. */
  looksLikeToken(credential: string): boolean
  /** Throws AppError `unauthenticated` for a token that is not right. */
  verify(token: string): Promise<TokenHolder>
  /** Surrogate of the namespace that a right token names. */
  namespace(name: string): Promise<bigint>
}

export interface AuthenticationRequest {
  readonly channel: Channel
  readonly requestId: string
  /** Of the client; undefined when it is not known, or there is none. */
  readonly address?: string | undefined
}

export interface Authenticator {
  /** False when a request without credentials is accepted: such a server stays on loopback. */
  readonly required: boolean
  /**
   * Who holds `credential` (undefined: none was sent). Throws AppError `unauthenticated`, or
   * `rate_limited` for an address that sent too many wrong ones. Credentials that are wrong are refused
   * even where none is asked for: nobody is served as somebody else.
   */
  authenticate(credential: string | undefined, request: AuthenticationRequest): Promise<Principal>
  /** False once the credential that made this principal is no longer accepted. Throws as `find` does. */
  isCurrent(principal: Principal): Promise<boolean>
  /** Looks these keys up anew at their next use; called on every process when one is changed. */
  forget(ids: readonly string[]): void
  /** Keys used since the last call, with the age of their last use, at most 1,000; for a batched write. */
  takeUses(): readonly { readonly id: string; readonly secondsAgo: number }[]
}

/**
 * How long a process believes what it read of a key. With the five seconds that a revocation may take
 * in mind, and the interval at which open streams are looked at again (http/stream-end.ts).
 */
const freshMs = 2000
/** Keys a process remembers; the least recently verified goes first. */
const rememberedMax = 10_000
const usesPerBatch = 1000
const holdersMax = 1000
/** Compared where no row was found, so that both ways do the same work. */
const noHash = Buffer.alloc(32)

interface Remembered {
  readonly id: string
  readonly key: FoundApiKey
  readAt: number
}

/** One per process. Remembers keys by the hash of their whole text, so only a right one is ever found. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { configuredKey, configuredPrincipal, pepper, find, failedKeys, tokens } = options
  const now = options.now ?? (() => performance.now())
  const expected = configuredKey === undefined ? undefined : digest(configuredKey)
  const remembered = new Map<string, Remembered>()
  const pending = new Map<string, Promise<FoundApiKey | undefined>>()
  const usedAt = new Map<string, number>()
  /** Addresses from which the configured key came. */
  const holders = new Set<string>()
  /** Which secret of which key a principal was made of. */
  const origins = new WeakMap<Principal, { readonly id: string; readonly hash: Buffer }>()
  /** The token that a principal was made of. */
  const tokenHolders = new WeakMap<Principal, TokenHolder>()

  /** Looks the key up; a wrong secret and an unknown id take the same way. */
  const read = async (name: string, id: string, hash: Buffer): Promise<FoundApiKey | undefined> => {
    const readAt = now()
    const found = await find(id)
    const isCurrent = timingSafeEqual(hash, found?.secret_hash ?? noHash)
    const isPrevious = timingSafeEqual(hash, found?.previous_hash ?? noHash)
    remembered.delete(name)
    if (found === undefined || (!isCurrent && !isPrevious)) return undefined
    remembered.set(name, { id, key: found, readAt })
    dropOldest(remembered)
    return found
  }

  /** The key that has this hash now, or undefined. Requests that come at once share one look-up. */
  const verify = async (id: string, hash: Buffer): Promise<FoundApiKey | undefined> => {
    const name = nameOf(hash)
    const known = remembered.get(name)
    if (known !== undefined && now() - known.readAt < freshMs) return known.key
    const running = pending.get(name) ?? read(name, id, hash).finally(() => pending.delete(name))
    pending.set(name, running)
    return await running
  }

  const withApiKey = async (text: string, request: AuthenticationRequest): Promise<Principal> => {
    const id = readApiKey(text)
    if (id === undefined) {
      throw invalid('This API key was mistyped or cut off: its checksum does not fit.')
    }
    const hash = hashApiKey(text, pepper)
    // Who held a right key a moment ago goes on, whatever else comes from the same address.
    if (!remembered.has(nameOf(hash))) failedKeys?.refuse(request.address)
    const key = await verify(id, hash)
    if (key === undefined) throw invalid('This API key is not valid here; it may have expired.')
    usedAt.set(id, now())
    const principal = principalOf(id, key, request)
    origins.set(principal, { id, hash })
    return principal
  }

  const holderOf = async (
    credential: string,
    request: AuthenticationRequest,
  ): Promise<Principal> => {
    if (looksLikeApiKey(credential)) return await withApiKey(credential, request)
    if (tokens?.looksLikeToken(credential) === true) {
      const holder = await tokens.verify(credential)
      const namespace = holder.namespace ?? (await tokens.namespace(holder.namespaceName))
      const principal = tokenPrincipal(holder, namespace, request)
      tokenHolders.set(principal, holder)
      return principal
    }
    const { address } = request
    const isRight = expected !== undefined && timingSafeEqual(digest(credential), expected)
    // A person chose this key, so guessing it is bounded: beyond the limit right and wrong look alike,
    // but to the holder who called from this address before.
    const isHolder = isRight && address !== undefined && holders.has(address)
    if (!isHolder) failedKeys?.refuse(address)
    if (!isRight) throw invalid('This API key is not valid here.')
    if (address !== undefined && holders.size < holdersMax) holders.add(address)
    return await configuredPrincipal(request)
  }

  return {
    required: expected !== undefined || tokens !== undefined,
    async authenticate(credential, request) {
      if (credential === undefined) {
        if (expected === undefined && tokens === undefined) return configuredPrincipal(request)
        throw new AppError('unauthenticated', 'Send the API key as `Authorization: Bearer KEY`.')
      }
      try {
        return await holderOf(credential, request)
      } catch (error) {
        // A signature cannot be guessed, and many people's expired tokens come from one address of a host.
        const isCounted = tokens?.looksLikeToken(credential) !== true
        if (isCounted && error instanceof AppError && error.code === 'unauthenticated') {
          await failedKeys?.count(request.address)
        }
        throw error
      }
    },
    async isCurrent(principal) {
      const origin = origins.get(principal)
      const holder = tokenHolders.get(principal)
      if (holder !== undefined && holder.expiresAt <= Date.now()) return false
      if ((await holder?.isCurrent?.()) === false) return false
      return origin === undefined || (await verify(origin.id, origin.hash)) !== undefined
    },
    forget(ids) {
      const changed = new Set(ids)
      for (const key of remembered.values()) if (changed.has(key.id)) key.readAt = -Infinity
    },
    takeUses() {
      const batch = [...usedAt].slice(0, usesPerBatch)
      for (const [id] of batch) usedAt.delete(id)
      return batch.map(([id, at]) => ({ id, secondsAgo: (now() - at) / 1000 }))
    },
  }
}

function principalOf(id: string, key: FoundApiKey, request: AuthenticationRequest): Principal {
  return {
    namespace: key.namespace,
    namespaceName: key.namespace_name,
    agent: key.agent,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only `key.issue` writes them, from the closed list
    scopes: new Set(key.scopes.split(' ') as Scope[]),
    channel: request.channel,
    requestId: request.requestId,
    credential: {
      kind: 'api-key',
      id,
      requestsPerMinute: key.requests_per_minute ?? undefined,
      tools: key.tools === null ? undefined : new Set(key.tools.split(' ')),
    },
  }
}

function tokenPrincipal(
  holder: TokenHolder,
  namespace: bigint,
  { channel, requestId }: AuthenticationRequest,
): Principal {
  const { id, namespaceName, agent, scopes } = holder
  const rights = { requestsPerMinute: undefined, tools: undefined }
  const credential = { kind: 'access-token', id, ...rights } as const
  return { namespace, namespaceName, agent, scopes, channel, requestId, credential }
}

function nameOf(hash: Buffer): string {
  return hash.toString('base64')
}

/** RFC 6750 §3.1: one error code for what is malformed, wrong, expired or revoked. */
function invalid(message: string): AppError {
  return new AppError('unauthenticated', message, { details: { challenge: 'invalid_token' } })
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function dropOldest(remembered: Map<string, Remembered>): void {
  if (remembered.size <= rememberedMax) return
  const [oldest] = remembered.keys()
  if (oldest !== undefined) remembered.delete(oldest)
}
