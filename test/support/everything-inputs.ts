/** Inputs of everything. */

export function numbered(text: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${text} number ${index}.`)
}

/** Lines of an export, parsed. */
export function linesOf(text: string): Readonly<Record<string, unknown>>[] {
  return text
    .trim()
    .split('\n')
    .map((line) => lineOf(line))
}

function lineOf(text: string): Readonly<Record<string, unknown>> {
  const line: unknown = JSON.parse(text)
  return typeof line === 'object' && line !== null ? { ...line } : {}
}

export function uuidOf(index: number): string {
  return `01890000-0000-7000-8000-0000000000${String(index + 10)}`
}
