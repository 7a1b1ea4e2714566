/** A failed tool call as a tool result: what went wrong, what to do, which request. Never a stack. */
import type { CallToolResult } from '@modelcontextprotocol/server'
import { toAppError } from '../errors.ts'
import { cleanLine } from '../pipeline/clean.ts'
import { firstTokens } from '../pipeline/tokens.ts'

/** Key of the machine-readable form in the result's `_meta`. */
export const errorMetaKey = 'io.github.mindglue/error'

/**
 * The result for a failure. Structured content stays absent, since it would have to match the
 * tool's output schema; programs read `_meta` instead.
 */
export function toolError(thrown: unknown, requestId: string): CallToolResult {
  const error = toAppError(thrown)
  const said = bounded(error.publicMessage, messageTokens)
  const issues = issuesOf(error.details?.['issues'])
  const outcome = error.details?.['outcome']
  const retry =
    error.retryAfterSeconds === undefined
      ? 'The same call may succeed later.'
      : `The same call may succeed in ${Math.ceil(error.retryAfterSeconds)} s.`
  const lines = [
    `${error.code}: ${said}`,
    ...issues.map(({ path, message }) => `- ${path === '' ? 'arguments' : path}: ${message}`),
    // Where nobody knows whether it was done, the message says what to look at first.
    ...(error.retryable && outcome === undefined ? [retry] : []),
    `request ${requestId}`,
  ]
  return {
    isError: true,
    content: [{ type: 'text', text: lines.join('\n') }],
    _meta: {
      [errorMetaKey]: {
        code: error.code,
        message: said,
        retryable: error.retryable,
        request_id: requestId,
        ...(typeof outcome === 'string' && { outcome }),
        ...(error.retryAfterSeconds !== undefined && {
          retry_after_seconds: error.retryAfterSeconds,
        }),
        ...(issues.length > 0 && { issues }),
      },
    },
  }
}

interface Issue {
  readonly path: string
  readonly message: string
}

/** A bad batch can have thousands; a model needs the first few. */
const issuesMax = 20
/** Messages repeat names that came with the call, and those may be of any length. */
const messageTokens = 400
const issueTokens = { path: 20, message: 40 }

/** One line of at most `tokens` and the sign that it was longer. */
function bounded(text: string, tokens: number): string {
  const line = cleanLine(text)
  const first = firstTokens(line, tokens)
  return first === line ? line : `${first}…`
}

function issuesOf(value: unknown): Issue[] {
  if (!Array.isArray(value)) return []
  return value.slice(0, issuesMax).flatMap((item: unknown) => {
    if (typeof item !== 'object' || item === null) return []
    const { path, message }: { path?: unknown; message?: unknown } = item
    return [
      {
        path: bounded(pathText(path), issueTokens.path),
        message: bounded(String(message), issueTokens.message),
      },
    ]
  })
}

function pathText(path: unknown): string {
  return Array.isArray(path) ? path.join('.') : typeof path === 'string' ? path : ''
}
