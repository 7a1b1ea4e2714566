/** Text of a client → JSON, with a bound on nesting: validators recurse, so depth is a resource. */

/** Deepest nesting accepted; a tool call needs about 6, metadata adds at most 16. */
const depthMax = 64

/** Parses JSON. Throws SyntaxError when it is no JSON or is nested deeper than 64 levels. */
export function parseJson(text: string): unknown {
  if (depthExceeds(text, depthMax)) throw new SyntaxError('JSON is nested too deeply')
  return JSON.parse(text)
}

/** One pass over the text, about 2 ms a megabyte; brackets inside strings do not count. */
function depthExceeds(text: string, limit: number): boolean {
  let depth = 0
  let isInString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (isInString) {
      if (code === 0x5c) index++
      else if (code === 0x22) isInString = false
    } else if (code === 0x22) isInString = true
    else if (code === 0x7b || code === 0x5b) {
      depth++
      if (depth > limit) return true
    } else if (code === 0x7d || code === 0x5d) depth--
  }
  return false
}
