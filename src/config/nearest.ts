/** The known name that a mistyped one most resembles. */

/** The nearest of `known` by edit distance; `known` must not be empty. */
export function nearest(name: string, known: readonly string[]): string {
  const [first = ''] = known.toSorted((a, b) => distance(name, a) - distance(name, b))
  return first
}

/** Levenshtein distance. Names are cut at 64 characters, so a hostile one costs nothing. */
function distance(left: string, right: string): number {
  const a = left.slice(0, 64)
  const b = right.slice(0, 64)
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      const insertion = (current[column - 1] ?? 0) + 1
      current.push(Math.min(substitution, insertion, (previous[column] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
