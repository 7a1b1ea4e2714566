/** Who calls over HTTP until identities arrive: whoever holds the one configured bearer key. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { AppError } from '../errors.ts'
import type { Principal } from '../principal.ts'
import type { Authenticator } from './listener.ts'

export interface BearerKeyOptions {
  /** The key; undefined lets everyone in, which the listener accepts on loopback only. */
  readonly apiKey: string | undefined
  /** Makes the principal that the key stands for. */
  readonly principal: (requestId: string) => Promise<Principal>
}

/** RFC 6750 §2.1: the scheme is case-insensitive, the token is one b64token. */
const bearerPattern = /^bearer +(?<token>[\w.~+/-]+=*)$/iu

/** An authenticator that compares one key in constant time. Tokens in queries are never read. */
export function bearerKey(options: BearerKeyOptions): Authenticator {
  const expected = options.apiKey === undefined ? undefined : digest(options.apiKey)
  return {
    required: expected !== undefined,
    async authenticate(request, requestId) {
      if (expected !== undefined) verify(request.headers.get('authorization'), expected)
      return options.principal(requestId)
    },
  }
}

function verify(header: string | null, expected: Buffer): void {
  if (header === null) {
    throw new AppError('unauthenticated', 'Send the API key as `Authorization: Bearer KEY`.')
  }
  const token = bearerPattern.exec(header)?.groups?.['token']
  // Digests have one length, so the comparison says nothing about the length of the key.
  if (token === undefined || !timingSafeEqual(digest(token), expected)) {
    throw new AppError('unauthenticated', 'This API key is not valid here.', {
      details: { challenge: 'invalid_token' },
    })
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
