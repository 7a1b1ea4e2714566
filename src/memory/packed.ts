/** Packed lists of 8-byte integers, as a memory row carries its terms, tags and entities. */

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
