/** Keys of an OAuth issuer: found through its metadata, fetched when they are needed, believed for a while. */
import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import { send } from '../egress.ts'
import { AppError } from '../errors.ts'

/** A key that the issuer takes back is refused after this time at the latest, while it can be asked. */
const freshMs = 600_000
/** Tokens with made-up key ids cost the issuer one look in this time, not one each. */
const coolDownMs = 30_000
const failureCoolDownMs = 5000
/** Longest that known keys are used while the issuer cannot be asked. */
const staleMs = 3_600_000
const timeoutMs = 5000
const metadataBytesMax = 65_536
const keysBytesMax = 262_144
const keysMax = 100

const metadataShape = z.object({ issuer: z.string().max(512), jwks_uri: z.url().max(2048) })
const keysShape = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(keysMax) })

export interface IssuerKeys {
  /** The key that a token's header names. Throws AppError `unavailable`, or what `jose` throws for no key. */
  readonly keyOf: JWTVerifyGetKey
  /** Asks the issuer now. Throws AppError `misconfigured` when it is another one, or `unavailable`. */
  refresh(): Promise<void>
}

/** `now`: milliseconds of a clock that never goes back. */
export function createIssuerKeys(
  issuer: string,
  now: () => number = () => performance.now(),
): IssuerKeys {
  let known: { readonly keyOf: JWTVerifyGetKey; readonly readAt: number } | undefined
  let failure: { readonly error: unknown; readonly at: number } | undefined
  let running: Promise<void> | undefined

  const read = async (): Promise<void> => {
    try {
      const keys = keysShape.parse(await readJson(await findKeys(issuer), keysBytesMax))
      known = { keyOf: createLocalJWKSet(keys), readAt: now() }
      failure = undefined
    } catch (error) {
      failure = { error, at: now() }
      throw error
    }
  }
  /** Requests that come at once share one look. */
  const refresh = async (): Promise<void> => {
    running ??= read().finally(() => (running = undefined))
    await running
  }
  const isOlder = (ms: number): boolean => known === undefined || now() - known.readAt > ms
  const refreshUnlessFailed = async (): Promise<void> => {
    if (failure !== undefined && now() - failure.at < failureCoolDownMs) throw failure.error
    await refresh()
  }

  return {
    refresh,
    async keyOf(header, token) {
      if (isOlder(freshMs)) {
        await refreshUnlessFailed().catch((cause: unknown) => {
          if (isOlder(staleMs)) throw asUnavailable(cause)
        })
      }
      const current = known
      if (current === undefined) throw asUnavailable(failure?.error)
      try {
        return await current.keyOf(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey) || !isOlder(coolDownMs)) throw error
        await refreshUnlessFailed().catch(() => undefined) // the keys of before still hold
        return await (known ?? current).keyOf(header, token)
      }
    },
  }
}

/** Where the keys are. RFC 8414 §3.1 puts the well-known part before the issuer's path, OpenID Connect after. */
async function findKeys(issuer: string): Promise<string> {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/u, '')
  const places = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/openid-configuration${path}`,
  ]
  let failure: unknown
  for (const place of new Set(places)) {
    let document: unknown
    try {
      document = await readJson(place, metadataBytesMax)
    } catch (error) {
      failure = error
      continue
    }
    const metadata = metadataShape.safeParse(document)
    // RFC 8414 §3.3: metadata of another issuer must not be used, or it could vouch for our users.
    if (!metadata.success || metadata.data.issuer !== issuer) {
      throw new AppError('misconfigured', otherIssuer, { cause: metadata.error })
    }
    const { jwks_uri: keys } = metadata.data
    const { protocol } = new URL(keys)
    const isProtected = protocol === 'https:' || new URL(issuer).protocol === 'http:'
    if (!isProtected) throw new AppError('misconfigured', otherIssuer)
    return keys
  }
  throw asUnavailable(failure)
}

const otherIssuer =
  'The metadata at MINDGLUE_OAUTH_ISSUER names another issuer or no keys; write the issuer exactly as it does.'

async function readJson(url: string, answerBytesMax: number): Promise<unknown> {
  const headers = { accept: 'application/json, application/jwk-set+json' }
  const { status, body } = await send({ url, headers, timeoutMs, answerBytesMax })
  if (status !== 200) throw new AppError('unavailable', unavailable, { details: { status } })
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw new AppError('unavailable', unavailable, { cause })
  }
}

const unavailable = 'The issuer of your token cannot be asked for its keys; try again later.'

/** Without the keys nobody can say whether a token is right, so it is neither served nor called wrong. */
function asUnavailable(cause: unknown): AppError {
  const retryAfterSeconds = failureCoolDownMs / 1000
  return new AppError('unavailable', unavailable, { cause, retryAfterSeconds })
}
