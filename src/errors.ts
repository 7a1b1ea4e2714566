/** The one error type of the product, its closed list of codes, and how each code looks over HTTP. */

const httpStatusByCode = {
  invalid_input: 400,
  unauthenticated: 401,
  insufficient_scope: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  confirmation_required: 409,
  precondition_failed: 412,
  payload_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  quota_exceeded: 403,
  unsupported: 400,
  misconfigured: 500,
  unavailable: 503,
  timeout: 504,
  internal: 500,
} as const

/** Closed list: a new code is a change of the public interface. */
export type ErrorCode = keyof typeof httpStatusByCode

const retryable: ReadonlySet<ErrorCode> = new Set(['rate_limited', 'unavailable', 'timeout'])

export interface AppErrorOptions {
  /** What went wrong inside; logged by type and stack only, never sent to a client. */
  cause?: unknown
  /** Machine-readable and safe to show: field paths, counts, ids of the caller's own things. */
  details?: Readonly<Record<string, unknown>>
  retryAfterSeconds?: number
}

/**
 * An expected failure. `publicMessage` is shown to the client: it says what to do next and never
 * holds memory content, keys or SQL.
 */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly publicMessage: string
  readonly details: Readonly<Record<string, unknown>> | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, publicMessage: string, options: AppErrorOptions = {}) {
    super(publicMessage, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.publicMessage = publicMessage
    this.details = options.details
    this.retryAfterSeconds = options.retryAfterSeconds
  }

  get httpStatus(): number {
    return httpStatusByCode[this.code]
  }

  /** True when the same request may succeed later without a change. */
  get retryable(): boolean {
    return retryable.has(this.code)
  }
}

/** Turns anything thrown into an AppError; what is unknown becomes `internal` with its text hidden. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  return new AppError('internal', 'Something went wrong on our side. Quote the request id.', {
    cause: error,
  })
}
