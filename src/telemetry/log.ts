/**
 * The log: JSON lines of allow-listed fields under a constant phrase. Never holds memory content:
 * an unknown error is reported by type, code and stack frames, since its text may quote a value.
 */
import { pino, type DestinationStream, type Level } from 'pino'
import { AppError } from '../errors.ts'
import { describeError } from './describe-error.ts'
import { createRedactor, type Redactor } from './redact.ts'

/** Every field a line may carry. What is not listed here cannot be logged, by type and at run time. */
export interface LogFields {
  readonly request_id?: string
  readonly trace_id?: string
  readonly namespace?: string
  readonly agent?: string
  readonly operation?: string
  readonly transport?: string
  /** `ok`, or the code of the error. */
  readonly outcome?: string
  readonly error_code?: string
  readonly duration_ms?: number
  /** Milliseconds of each step of the pipeline. */
  readonly stage_ms?: Readonly<Record<string, number>>
  readonly rows?: number
  readonly bytes?: number
  /** Part of the program that speaks: `daemon`, `purge`, `migrate`. */
  readonly component?: string
  /** Name of a setting, never its value. */
  readonly setting?: string
  readonly version?: string
  readonly engine?: string
  readonly host?: string
  readonly port?: number
  readonly pid?: number
  readonly attempt?: number
  readonly count?: number
  readonly signal?: string
  /** Anything thrown; written as type, code and frames. */
  readonly error?: unknown
}

const textFields = [
  'request_id',
  'trace_id',
  'namespace',
  'agent',
  'operation',
  'transport',
  'outcome',
  'error_code',
  'component',
  'setting',
  'version',
  'engine',
  'host',
  'signal',
] as const satisfies readonly (keyof LogFields)[]

const numberFields = [
  'duration_ms',
  'rows',
  'bytes',
  'port',
  'pid',
  'attempt',
  'count',
] as const satisfies readonly (keyof LogFields)[]

/** Bounds of one line: a field's characters, and its stages. */
const textLengthMax = 200
const stagesMax = 32

export type LogLevel = Level | 'silent'

/**
 * Writes one line per call. `message` is a constant phrase, such as `request finished`: what varies
 * goes into fields.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A log whose lines all carry these fields. */
  child(fields: LogFields): Log
  /** Writes what is buffered; call before the process ends. */
  flush(): void
}

export interface LogOptions {
  readonly level: LogLevel
  /** Configured secrets, masked wherever they appear. */
  readonly secrets?: readonly string[]
  /** Path of a log file (mode 0600), or a stream; stderr when left out. Never stdout. */
  readonly destination?: string | DestinationStream
}

/** Makes the log of a process. Throws when its file cannot be opened. */
export function createLog(options: LogOptions): Log {
  const destination = options.destination ?? 2
  const stream =
    typeof destination === 'object'
      ? { write: (text: string) => destination.write(text), flushSync: () => undefined }
      : pino.destination({ dest: destination, sync: false, mkdir: true, mode: 0o600 })
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  )
  const redact = createRedactor(options.secrets)
  const flush = (): void => {
    try {
      stream.flushSync()
    } catch {
      // The stream is not open yet or closed already; there is nobody left to tell.
    }
  }
  const make = (bound: LogFields): Log => {
    const write = (level: Level, message: string, fields: LogFields = {}): void => {
      if (!logger.isLevelEnabled(level)) return
      logger[level](allowed({ ...bound, ...fields }, redact), redact(message))
    }
    return {
      debug: (message, fields) => write('debug', message, fields),
      info: (message, fields) => write('info', message, fields),
      warn: (message, fields) => write('warn', message, fields),
      error: (message, fields) => write('error', message, fields),
      child: (fields) => make({ ...bound, ...fields }),
      flush,
    }
  }
  return make({})
}

/** Copies the allowed fields and nothing else, each with its type and bound checked. */
function allowed(fields: LogFields, redact: Redactor): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const key of textFields) {
    const value = fields[key]
    if (typeof value === 'string') result[key] = redact(value).slice(0, textLengthMax)
  }
  for (const key of numberFields) {
    const value = fields[key]
    if (typeof value === 'number' && Number.isFinite(value)) result[key] = round(value)
  }
  if (fields.stage_ms !== undefined) result['stage_ms'] = stages(fields.stage_ms)
  if (fields.error !== undefined) {
    result['error'] = describeError(fields.error, redact)
    if (fields.error instanceof AppError) result['error_code'] ??= fields.error.code
  }
  return result
}

function stages(stageMs: Readonly<Record<string, number>>): Record<string, number> {
  const named = Object.entries(stageMs).filter(([name]) => /^[a-z][a-z0-9_.-]{0,40}$/u.test(name))
  return Object.fromEntries(named.slice(0, stagesMax).map(([name, ms]) => [name, round(ms)]))
}

/** Microseconds are noise in a log line. */
function round(value: number): number {
  return Math.round(value * 100) / 100
}
