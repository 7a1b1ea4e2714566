/** Packed values: lists of 8-byte integers in a row, and rows that the database packed into one value. */

/** Big-endian int8, in the order given. */
export function packTerms(terms: Iterable<bigint>): Buffer {
  const list = [...terms]
  const bytes = Buffer.alloc(list.length * 8)
  for (const [index, term] of list.entries()) bytes.writeBigInt64BE(term, index * 8)
  return bytes
}

/** The reverse of `packTerms`. */
export function unpackTerms(bytes: Buffer): bigint[] {
  return Array.from({ length: bytes.length / 8 }, (_, index) => bytes.readBigInt64BE(index * 8))
}

/** Reads what Postgres packed with int4send, float4send, float8send and length prefixes, in order. */
export class PackedReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get hasMore(): boolean {
    return this.#at < this.#bytes.length
  }

  int(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  float(): number {
    this.#at += 4
    return this.#bytes.readFloatBE(this.#at - 4)
  }

  /** In the text form of Postgres: lower case with dashes. */
  uuid(): string {
    this.#at += 16
    return formatUuid(this.#bytes.toString('hex', this.#at - 16, this.#at))
  }

  /** Null where the database had NaN for null. */
  instant(): Date | null {
    this.#at += 8
    const ms = this.#bytes.readDoubleBE(this.#at - 8)
    return Number.isNaN(ms) ? null : new Date(ms)
  }

  /** A view, not a copy; null for a length of -1. */
  bytes(): Buffer | null {
    const length = this.int()
    if (length < 0) return null
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

/** 32 hexadecimal digits as Postgres writes a uuid. */
export function formatUuid(hex: string): string {
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}
