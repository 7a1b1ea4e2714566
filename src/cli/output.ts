/** What commands print: text, tables and JSON on stdout, failures on stderr; colours where they help. */
import type { WriteStream } from 'node:tty'
import { AppError, toAppError } from '../errors.ts'
import { describeError } from '../telemetry/describe-error.ts'
import { createRedactor } from '../telemetry/redact.ts'

export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly cyan: (text: string) => string
}

/** SGR parameters (ECMA-48 §8.3.117): what switches an attribute on and off. */
const attributes = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const

/** Colours for a stream: none unless it is a terminal that shows them and `NO_COLOR` is unset. */
export function styleFor(stream: Pick<WriteStream, 'isTTY'> & Partial<WriteStream>): Style {
  // hasColors asks NO_COLOR, FORCE_COLOR and TERM; a pipe has no such method.
  const hasColours = stream.isTTY && (stream.hasColors?.() ?? false)
  const paint =
    ([on, off]: readonly [number, number]) =>
    (text: string): string =>
      hasColours ? `\u001b[${on}m${text}\u001b[${off}m` : text
  return {
    bold: paint(attributes.bold),
    dim: paint(attributes.dim),
    red: paint(attributes.red),
    green: paint(attributes.green),
    yellow: paint(attributes.yellow),
    cyan: paint(attributes.cyan),
  }
}

/** Writes a line to stdout. */
export function print(text = ''): void {
  process.stdout.write(`${text}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2))
}

/** Rows as aligned columns, two spaces apart. The last column is as long as it is. */
export function columns(rows: readonly (readonly string[])[]): string {
  const count = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)))
    .map((cells) => cells.join('  ').trimEnd())
    .join('\n')
}

/**
 * Tells a person why a command failed: the public text of our own errors with what they list; of
 * anything else its kind and place, since its text may quote a memory or a secret.
 */
export function printFailure(error: unknown): void {
  const style = styleFor(process.stderr)
  const failure = toAppError(error)
  const lines = [`${style.red('mindglue:')} ${failure.publicMessage}`, ...listed(failure)]
  if (!(error instanceof AppError)) {
    const { type, code, frames = [] } = describeError(error, createRedactor())
    const kind = code === undefined ? type : `${type} ${code}`
    lines[0] = `${style.red('mindglue:')} unexpected ${kind}; please report it with these lines:`
    lines.push(...frames.map((frame) => style.dim(`  at ${frame}`)))
  }
  process.stderr.write(`${lines.join('\n')}\n`)
}

/** Lists such as pending migrations, which an error carries as details. */
function listed({ details = {} }: AppError): readonly string[] {
  return Object.values(details)
    .filter((value): value is readonly unknown[] => Array.isArray(value))
    .flatMap((items) => items.filter((item) => typeof item === 'string'))
    .map((item) => `  ${item}`)
}
