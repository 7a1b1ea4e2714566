/** What may be said of anything thrown: its kind and where, never its text, which may quote a memory. */
import { AppError } from '../errors.ts'
import type { Redactor } from './redact.ts'

/** Bounds of one description. */
const framesMax = 12
const causesMax = 4

export interface ErrorDescription {
  readonly type: string
  readonly code?: string
  /** Only of an AppError: its public text is written to be shown. */
  readonly message?: string
  readonly frames?: readonly string[]
  readonly cause?: ErrorDescription
}

/**
 * What may be said of anything thrown: type, code (`ECONNREFUSED`, an SQLSTATE), stack frames and
 * the same of its causes. No message text but that of an AppError.
 */
export function describeError(error: unknown, redact: Redactor, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { type: error === null ? 'null' : typeof error }
  const code: unknown = 'code' in error ? error.code : undefined
  const frames = stackFrames(error)
  const hasCause = error.cause !== undefined && depth < causesMax
  return {
    type: identifier(error.constructor.name) ?? 'Error',
    ...(typeof code === 'string' && identifier(code) !== undefined && { code }),
    ...(error instanceof AppError && { message: redact(error.publicMessage).slice(0, 500) }),
    ...(frames.length > 0 && { frames: frames.map((frame) => redact(frame)) }),
    ...(hasCause && { cause: describeError(error.cause, redact, depth + 1) }),
  }
}

function identifier(text: string): string | undefined {
  return /^\w{1,60}$/u.test(text) ? text : undefined
}

/**
 * The frames of a stack without its heading. The heading repeats the message, which may itself hold
 * lines that look like frames: it is cut off by its own text, and when that text was changed after
 * the stack was taken, only the unbroken run of frames at the end is kept.
 */
function stackFrames(error: Error): readonly string[] {
  const stack = error.stack ?? ''
  const at = error.message === '' ? -1 : stack.indexOf(error.message)
  const body = at < 0 ? stack : stack.slice(at + error.message.length)
  const lines = body.split('\n')
  const firstOfRun = lines.findLastIndex((text) => !isFrame(text)) + 1
  return lines.slice(firstOfRun, firstOfRun + framesMax).map((text) => text.trim().slice(3, 203))
}

function isFrame(text: string): boolean {
  return /^ {4}at .{1,500}$/u.test(text)
}
