/** What went wrong in an engine, as an AppError: SQLSTATE → code, and never SQL text or a value in it. */

import { AppError, type ErrorCode } from '../errors.ts'

/** The fields of a server error that hold no data of a row; `detail` and `hint` may, so they are not kept. */
export class DatabaseFault extends Error {
  override readonly name = 'DatabaseFault'
  /** Five characters, PostgreSQL appendix A; `undefined` when the engine itself could not be reached. */
  readonly sqlState: string | undefined
  readonly constraint: string | undefined
  readonly routine: string | undefined

  constructor(
    message: string,
    fields: { sqlState?: string | undefined; constraint?: string; routine?: string } = {},
  ) {
    super(message)
    this.sqlState = fields.sqlState
    this.constraint = fields.constraint
    this.routine = fields.routine
  }
}

/** The SQLSTATE behind an error of a Database, for the few callers that decide by it. */
export function sqlStateOf(error: unknown): string | undefined {
  const cause = error instanceof AppError ? error.cause : error
  return cause instanceof DatabaseFault ? cause.sqlState : undefined
}

const busy = 'The database is busy or restarting. Try again in a moment.'
const tooLarge = 'A number or a time is beyond what can be stored.'
const codeByState: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  '22003': ['invalid_input', tooLarge],
  '22008': ['invalid_input', tooLarge],
  '22021': ['invalid_input', 'Text must be well-formed Unicode without NUL characters.'],
  '23503': [
    'conflict',
    'Something this refers to was removed meanwhile. Read it again, then retry.',
  ],
  '23505': ['conflict', 'The same thing exists already.'],
  '25006': ['unavailable', 'The database accepts no writes right now. Try again in a moment.'],
  '25P03': ['timeout', 'The work took too long and was undone. Try again with less at once.'],
  '28000': ['misconfigured', 'The database refused the login. Check the user in DATABASE_URL.'],
  '28P01': ['misconfigured', 'The database refused the password in DATABASE_URL.'],
  '3D000': ['misconfigured', 'The database named in DATABASE_URL does not exist.'],
  '40001': ['conflict', 'Another change came first and this one was undone. Try again.'],
  '40P01': ['conflict', 'Another change came first and this one was undone. Try again.'],
  '55P03': ['timeout', 'Another change held the same rows for too long. Try again.'],
  '57014': ['timeout', 'The work took too long and was undone. Try again with less at once.'],
  '57P01': ['unavailable', busy],
  '57P02': ['unavailable', busy],
  '57P03': ['unavailable', busy],
  MG001: ['unauthenticated', 'The context of this request is not valid any more. Try again.'],
}
/** Connection exceptions and insufficient resources. */
const codeByClass: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  '08': ['unavailable', busy],
  '53': ['unavailable', busy],
}

/** Classes whose messages name objects of our own schema, not values of rows. */
const speakingClasses = new Set([
  '08',
  '25',
  '26',
  '28',
  '3D',
  '3F',
  '40',
  '42',
  '53',
  '55',
  '57',
  'MG',
  'P0',
  'XX',
])

interface ServerErrorFields {
  readonly code: string
  readonly message: string
  readonly severity: unknown
  readonly constraint?: unknown
  readonly constraint_name?: unknown
  readonly routine?: unknown
}

/** Both drivers put the server's fields on the error object under the same names. */
function isServerError(error: unknown): error is Error & ServerErrorFields {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^[0-9A-Z]{5}$/.test(error.code) &&
    'severity' in error
  )
}

function describe(error: Error & ServerErrorFields): DatabaseFault {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  const constraint = text(error.constraint_name ?? error.constraint)
  const routine = text(error.routine)
  const message = speakingClasses.has(error.code.slice(0, 2))
    ? error.message
    : `statement refused by ${routine}${constraint === '' ? '' : ` (${constraint})`}`
  return new DatabaseFault(`SQLSTATE ${error.code}: ${message}`, {
    sqlState: error.code,
    constraint,
    routine,
  })
}

/** Turns what a driver threw into an AppError; what is no server error passes through unchanged. */
export function toDatabaseError(error: unknown): unknown {
  if (!isServerError(error)) return error
  const cause = describe(error)
  const known = codeByState[error.code] ?? codeByClass[error.code.slice(0, 2)]
  // The plan of a prepared statement can outlive a migration; the connection is renewed on the way out.
  if (error.code === '0A000' && cause.routine === 'RevalidateCachedQuery') return unreachable(cause)
  if (known === undefined) {
    return new AppError('internal', 'Something went wrong on our side. Quote the request id.', {
      cause,
    })
  }
  const [code, publicMessage] = known
  return new AppError(code, publicMessage, {
    cause,
    ...(code === 'unavailable' || code === 'conflict' ? { retryAfterSeconds: 1 } : {}),
  })
}

const outcomeUnknown = { outcome: 'unknown' } as const

/**
 * What COMMIT ended with. An error that the server answered with has undone the transaction; when it did not
 * answer, or the session ended with its answer (FATAL), the change is there or it is not.
 */
export function toCommitError(error: unknown): unknown {
  const failure = toDatabaseError(error)
  if (isServerError(error) && error.severity === 'ERROR') return failure
  return new AppError(
    'unavailable',
    'The database was lost at the very end: what was asked may or may not have been done. Look before you repeat it; with an idempotency key repeating is safe.',
    {
      cause: failure instanceof AppError ? failure.cause : failure,
      details: outcomeUnknown,
      retryAfterSeconds: 1,
    },
  )
}

/** True when nobody can say whether the transaction was committed. */
export function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof AppError && error.details?.['outcome'] === outcomeUnknown.outcome
}

/** The engine cannot be reached or lost this connection; whether a commit under way took effect is unknown. */
export function unreachable(cause: unknown): AppError {
  return new AppError('unavailable', busy, { cause, retryAfterSeconds: 1 })
}

/** The connection went or could not be made; not an overfull queue, where trying at once makes it worse. */
export function isConnectionLoss(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.code === 'unavailable' &&
    error.cause instanceof DatabaseFault &&
    !(error.cause.sqlState ?? '').startsWith('53')
  )
}

/** More work waits than the engine may queue. */
export function overloaded(): AppError {
  return new AppError(
    'unavailable',
    'Too many requests wait for the database. Try again shortly.',
    {
      retryAfterSeconds: 1,
    },
  )
}

/** Our own limit cut the work, where the server's did not. */
export function tooSlow(reason: string): AppError {
  return new AppError(
    'timeout',
    'The work took too long and was undone. Try again with less at once.',
    {
      cause: new DatabaseFault(reason),
    },
  )
}
