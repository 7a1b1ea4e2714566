/** AppError → RFC 9457 problem document, with the challenges of RFC 6750 and RFC 9110. */
import { z } from 'zod'
import type { AppError } from '../errors.ts'

/** The document, for OpenAPI. */
export const problemDocument = z.object({
  type: z.string(),
  title: z.string().describe('The same for every problem of this code'),
  status: z.int(),
  detail: z.string().describe('What went wrong and what to do'),
  code: z.string(),
  retryable: z.boolean().describe('Whether the same request may succeed later'),
  request_id: z.uuid(),
  details: z.record(z.string(), z.unknown()).optional(),
})

/** Protection space named in every challenge (RFC 9110 §11.5). */
const realm = 'MindGlue'

/** What the server adds to a challenge for clients that can get another token. */
export interface Challenge {
  /** Scopes to ask for, in place of `details.scope`. */
  readonly scope?: string
  /** Address of the document that says who issues tokens (RFC 9728 §5.1). */
  readonly resourceMetadata?: string
}

/**
 * Body and headers for an expected failure. `details.challenge` (an RFC 6750 §3.1 error code) and
 * `details.scope` go into `WWW-Authenticate`, `details.allow` into `Allow`; other details are members of
 * the document.
 */
export function problemResponse(
  error: AppError,
  requestId: string,
  added: Challenge = {},
): Response {
  const { challenge, scope, allow, ...details } = error.details ?? {}
  const headers = new Headers({ 'content-type': 'application/problem+json' })
  if (error.httpStatus === 401 || scope !== undefined) {
    const { resourceMetadata } = added
    const fields = { error: challenge, scope: added.scope ?? scope, resourceMetadata }
    headers.set('www-authenticate', bearerChallenge(fields))
  }
  if (typeof allow === 'string') headers.set('allow', allow)
  if (error.retryAfterSeconds !== undefined) {
    headers.set('retry-after', String(Math.ceil(error.retryAfterSeconds)))
  }
  const body: z.output<typeof problemDocument> = {
    type: 'about:blank',
    title: titles[error.code],
    status: error.httpStatus,
    detail: error.publicMessage,
    code: error.code,
    retryable: error.retryable,
    request_id: requestId,
    ...(Object.keys(details).length > 0 && { details }),
  }
  const text = JSON.stringify(body)
  headers.set('content-length', String(Buffer.byteLength(text)))
  return new Response(text, { status: error.httpStatus, headers })
}

/** Short, constant summary of each code (RFC 9457 §3.1.3: it should not change between occurrences). */
const titles: Record<AppError['code'], string> = {
  invalid_input: 'The request is not valid',
  unauthenticated: 'Credentials are missing or wrong',
  insufficient_scope: 'The credentials do not allow this',
  not_found: 'Not found',
  method_not_allowed: 'This method is not served here',
  conflict: 'The request conflicts with the current state',
  confirmation_required: 'A confirmation is required',
  precondition_failed: 'The precondition does not hold',
  payload_too_large: 'The request is too large',
  unsupported_media_type: 'The media type is not supported',
  rate_limited: 'Too many requests',
  quota_exceeded: 'The plan allows no more',
  unsupported: 'Not supported',
  misconfigured: 'The server is misconfigured',
  unavailable: 'Temporarily unavailable',
  timeout: 'The request took too long',
  internal: 'Internal error',
}

/** RFC 6750 §3: no error code when no credentials were sent. */
function bearerChallenge(fields: {
  readonly error: unknown
  readonly scope: unknown
  readonly resourceMetadata: unknown
}): string {
  const parts = [`Bearer realm="${realm}"`]
  if (isToken(fields.error)) parts.push(`error="${fields.error}"`)
  if (isToken(fields.scope)) parts.push(`scope="${fields.scope}"`)
  if (isToken(fields.resourceMetadata)) parts.push(`resource_metadata="${fields.resourceMetadata}"`)
  return parts.join(', ')
}

/** Characters that need no escape inside a quoted string; anything else is left out, not escaped. */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\w:./[\] -]+$/u.test(value)
}
