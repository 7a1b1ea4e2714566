/** The bearer credential in a request's `Authorization` header. Tokens in queries are never read. */
import { AppError } from '../errors.ts'

/** RFC 6750 §2.1: the scheme is case-insensitive, the token is one b64token. */
const bearerPattern = /^bearer +(?<token>[\w.~+/-]{1,8192}=*)$/iu

/**
 * Undefined when no credentials were sent. Throws AppError `unauthenticated` for another scheme and
 * for what is no token.
 */
export function bearerToken(headers: Headers): string | undefined {
  const header = headers.get('authorization')
  if (header === null || header === '') return undefined
  const token = bearerPattern.exec(header)?.groups?.['token']
  if (token === undefined) {
    throw new AppError('unauthenticated', 'Send the API key as `Authorization: Bearer KEY`.', {
      details: { challenge: 'invalid_token' },
    })
  }
  return token
}
