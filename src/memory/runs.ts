/** Where the documents of a removal lie: close together in a few runs, or scattered. Pure. */

/** Document numbers from `low` to `high`, both included. */
export interface DocumentRun {
  readonly low: number
  readonly high: number
}

/** Fewer are found one by one as fast. */
const fewestDocuments = 50
/** A run costs a search for every distinct term, so many runs cost more than a search a row. */
const mostRuns = 8
/** A range reads also what lies between the wanted documents: up to so many times as much as is wanted. */
const widestRatio = 8

/**
 * The runs that hold all `documents`, at most eight and mostly of them; undefined when they are few or lie
 * scattered. A gap is worth a new run when reading across it costs more than starting anew: about as many
 * documents as there are in all.
 */
export function denseRuns(documents: readonly number[]): readonly DocumentRun[] | undefined {
  if (documents.length < fewestDocuments) return undefined
  const sorted = Int32Array.from(documents).toSorted()
  const runs: { low: number; high: number }[] = []
  let width = 0
  for (const document of sorted) {
    const run = runs.at(-1)
    if (run === undefined || document - run.high > sorted.length) {
      runs.push({ low: document, high: document })
      if (runs.length > mostRuns) return undefined
    } else {
      width += document - run.high
      run.high = document
    }
  }
  return width <= widestRatio * sorted.length ? runs : undefined
}
