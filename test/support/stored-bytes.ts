/** What a database really holds: every value of every table as bytes, and how a vector could stand there. */
import { SqlFragment, type OwnerDatabase } from '../../src/database/database.ts'

/** Every value of every table of the schema, in the form that Postgres sends it and in its text form. */
export async function everyValue(owner: OwnerDatabase): Promise<Buffer[]> {
  return await owner.ownerTransaction(async (sql) => {
    const columns = await sql<{ relation: string; name: string; send: string }>`
      select c.relname as relation, quote_ident(a.attname) as name, t.typsend::regproc::text as send
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      join pg_type t on t.oid = a.atttypid
      where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'p')`
    const values: Buffer[] = []
    for (const { relation, name, send } of columns) {
      const [table, column, binary] = [`mindglue.${relation}`, name, send].map(
        (text) => new SqlFragment([text], []),
      )
      if (!table || !column || !binary) continue
      const rows = await sql<{ sent: Buffer; text: string }>`
        select ${binary}(${column}) as sent, ${column}::text as text from ${table}
        where ${column} is not null`
      for (const { sent, text } of rows) values.push(sent, Buffer.from(text))
    }
    return values
  })
}

interface Encoding {
  readonly name: string
  readonly bytes: Buffer
}

/**
 * A few neighbouring components of a vector as they would stand in a table, a page or a file: as floats of
 * 2, 4 and 8 bytes in both byte orders, and as text. Rounded as the product writes them and not rounded.
 */
export function encodingsOf(vector: Float32Array): Encoding[] {
  const part = [...vector.subarray(10, 14)]
  const rounded = part.map((value) => Number(value.toPrecision(5)))
  const encodings: Encoding[] = []
  for (const values of [part, rounded]) {
    const half = Buffer.alloc(8)
    const halfSwapped = Buffer.alloc(8)
    const [single, singleSwapped, double, doubleSwapped] = [16, 16, 32, 32].map((n) =>
      Buffer.alloc(n),
    )
    for (const [at, value] of values.entries()) {
      half.writeUInt16LE(toHalf(value), at * 2)
      halfSwapped.writeUInt16BE(toHalf(value), at * 2)
      single?.writeFloatLE(value, at * 4)
      singleSwapped?.writeFloatBE(value, at * 4)
      double?.writeDoubleLE(value, at * 8)
      doubleSwapped?.writeDoubleBE(value, at * 8)
    }
    const all = { half, halfSwapped, single, singleSwapped, double, doubleSwapped }
    for (const [name, bytes] of Object.entries(all)) if (bytes) encodings.push({ name, bytes })
    encodings.push({ name: 'text', bytes: Buffer.from(values.join(',')) })
  }
  return encodings
}

/** IEEE 754 half precision, rounded to nearest even; for values of ordinary size. */
function toHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const magnitude = Math.abs(value)
  if (magnitude === 0) return sign
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)))
  const scaled = (magnitude / 2 ** exponent) * 1024
  const floor = Math.floor(scaled)
  const rest = scaled - floor
  const mantissa = floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0)
  // The leading one of a normal number adds one to the exponent field.
  return sign | (((exponent + 14) << 10) + mantissa)
}
