/** Values to and from Postgres text format, by type id: one table, so that both engines agree exactly. */

import type { SqlScalar } from './database.ts'

/** Turns the text of one value into what the program sees. */
export type Parser = (text: string) => unknown

// Type ids are fixed in PostgreSQL's pg_type.dat; they never change between versions.
const scalarParsers: Readonly<Record<number, Parser>> = {
  16: (text) => text === 't', // bool
  17: (text) => Buffer.from(text.slice(2), 'hex'), // bytea, `\x…`
  20: BigInt, // int8
  21: Number, // int2
  23: Number, // int4
  26: Number, // oid
  114: (text) => JSON.parse(text) as unknown, // json
  700: Number, // float4
  701: Number, // float8
  1082: (text) => text, // date: a calendar day is no instant
  1114: (text) => text, // timestamp without time zone: neither
  1184: parseTimestamp, // timestamptz
  3802: (text) => JSON.parse(text) as unknown, // jsonb
}

/** Array type id → element type id; elements without a parser stay text. */
const elementTypes: Readonly<Record<number, number>> = {
  1000: 16,
  1001: 17,
  1005: 21,
  1007: 23,
  1009: 25, // text
  1015: 1043, // varchar
  1016: 20,
  1021: 700,
  1022: 701,
  1185: 1184,
  1231: 1700, // numeric
  2951: 2950, // uuid
}

/** Parser of each type id that is not plain text; arrays have one dimension. */
export const parsers: Readonly<Record<number, Parser>> = {
  ...scalarParsers,
  ...Object.fromEntries(
    Object.entries(elementTypes).map(([arrayType, elementType]) => [
      arrayType,
      (text: string) => parseArray(text, scalarParsers[elementType]),
    ]),
  ),
}

const timestampPattern =
  /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d)(:\d\d)?(?::\d\d)?$/

/**
 * ISO 8601 made of Postgres's ISO output; given the latter, Date reads the year 0099 as 1999. `infinity`
 * has no Date: it becomes the last or first instant that a Date can hold. Throws on a year before Christ.
 */
function parseTimestamp(text: string): Date {
  if (text === 'infinity') return new Date(8.64e15)
  if (text === '-infinity') return new Date(-8.64e15)
  const [, day = '', time = '', hours = '', minutes = ':00'] = timestampPattern.exec(text) ?? []
  const year = day.indexOf('-') === 4 ? day : `+${day.padStart(12, '0')}`
  const instant = new Date(`${year}T${time}${hours}${minutes}`)
  if (Number.isNaN(instant.getTime())) throw new RangeError('a time that no Date can hold')
  return instant
}

/**
 * One parameter in Postgres text format; null stays null. The type is the server's to infer (or the
 * cast's in the SQL text). Throws TypeError on a value that has no such form, such as undefined.
 */
export function encodeParameter(value: SqlScalar | readonly SqlScalar[]): string | null {
  if (!isArray(value)) return encodeScalar(value)
  const elements = value.map((element) => {
    const text = encodeScalar(element)
    return text === null ? 'NULL' : `"${text.replaceAll(/["\\]/g, '\\$&')}"`
  })
  return `{${elements.join(',')}}`
}

/** Array.isArray does not narrow a readonly array away. */
function isArray(value: SqlScalar | readonly SqlScalar[]): value is readonly SqlScalar[] {
  return Array.isArray(value)
}

function encodeScalar(value: SqlScalar): string | null {
  if (value === null) return null
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? 't' : 'f'
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (value instanceof Date) return encodeTimestamp(value)
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return `\\x${bytes.toString('hex')}`
  }
  throw new TypeError(`a ${typeof value} cannot be a SQL parameter`)
}

const firstInstant = Date.parse('0001-01-01T00:00:00Z')
const lastInstant = Date.parse('9999-12-31T23:59:59.999Z')

/** True for an instant that a parameter can hold: in UTC, of the years 1 to 9999. False for no instant. */
export function isStorableInstant(value: Date): boolean {
  const time = value.getTime()
  return time >= firstInstant && time <= lastInstant
}

/** Postgres knows no year 0, and reads years of four digits; Date's `+010000-…` form it does not. */
function encodeTimestamp(value: Date): string {
  if (!isStorableInstant(value)) {
    throw new TypeError('a date outside the years 1 to 9999 is no parameter')
  }
  return value.toISOString()
}

/** Reads Postgres's array output (chapter 8.15.6), one dimension: `{a,"b,c",NULL}`. */
function parseArray(text: string, parse: Parser | undefined): unknown[] {
  const elements: unknown[] = []
  let position = 1
  while (position < text.length - 1) {
    let element: string | null = ''
    if (text[position] === '"') {
      const end = closingQuote(text, position)
      element = text.slice(position + 1, end).replaceAll(/\\(.)/gs, '$1')
      position = end + 1
    } else {
      const comma = text.indexOf(',', position)
      const end = comma === -1 ? text.length - 1 : comma
      element = text.slice(position, end)
      if (element === 'NULL') element = null
      position = end
    }
    elements.push(element === null || parse === undefined ? element : parse(element))
    position += 1 // the comma, or the closing brace
  }
  return elements
}

function closingQuote(text: string, opening: number): number {
  let position = opening + 1
  while (position < text.length && text[position] !== '"') {
    position += text[position] === '\\' ? 2 : 1
  }
  return position
}
