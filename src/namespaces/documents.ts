/**
 * Document numbers: small integers that a namespace gives out once each, private memories counting apart
 * from all others and below zero. Every derived row (postings, vectors, mentions) thus tells by its key
 * whether all agents may count it, and no gap in the numbers tells of a memory that is out of sight. The
 * database holds memories to it (migrations/0013_access.sql).
 */
import type { DocumentSpace } from '../operation.ts'

/** The lowest number that int4 holds: no document has it, so a walk through all of them starts there. */
export const lowestDocument = -(2 ** 31)

/** The number of a document from the integer that its space gave out; the order of storing is kept. */
export function documentIn(space: DocumentSpace, ordinal: number): number {
  return space === 'private' ? ordinal + lowestDocument : ordinal
}

/** The integer that its space gave out. */
export function ordinalOf(document: number): number {
  return document < 0 ? document - lowestDocument : document
}
