/** Guards in the text of `src`, found by their form, and copies of the files that have them marked or taken out. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { bindings } from './binding-patterns.ts'

export type SourceKind = 'scope' | 'lock' | 'binding'

/** One guard in one file; a `binding` has a site for each way to weaken it. */
export interface Site {
  readonly kind: SourceKind
  /** `memory/claims.sql.ts 3`: a file and which one in it. */
  readonly id: string
  readonly file: string
  readonly line: number
  /** The function that it stands in. */
  readonly place: string
  readonly found: string
  /** What stands for it in the copy. */
  readonly instead: string
}

export interface SourcePattern {
  readonly files: RegExp
  readonly pattern: RegExp
  readonly instead: (found: string, id: string) => readonly string[]
}

/** The comment by which a statement that was sent tells where its text comes from. */
export const markOf = (id: string): string => `/*${id}*/`
const marked = (found: string, id: string) => [`${found} ${markOf(id)}`]

const patterns: Readonly<Record<SourceKind, readonly SourcePattern[]>> = {
  scope: [
    {
      files: /\.sql\.ts$/u,
      pattern: /\b(?:\w+\.)?(?:namespace|grantee) = (?:\$\{tx\.namespace\}|\w+\.namespace\b)/gu,
      instead: marked,
    },
  ],
  lock: [
    {
      files: /\.sql\.ts$/u,
      pattern: /\bfor (?:no key update|key share|update|share)\b(?: of \w+)?(?: skip locked)?/gu,
      instead: marked,
    },
    // Who locks its namespace says so to whoever looks at its statements.
    {
      files: /\.ts$/u,
      pattern: /(?<=await )lockNamespace\(tx\)/gu,
      instead: (found, id) => [`((globalThis.lockSite = '${id}'), ${found})`],
    },
    {
      files: /\.ts$/u,
      pattern: /select pg_advisory_xact_lock\(/gu,
      instead: (found, id) => [`${markOf(id)} ${found}`],
    },
  ],
  binding: bindings,
}

/** Lines that are no code. */
const comment = /^\s*(?:\*|\/\/|\/\*)/u

/** What begins a function, or a text that several share. */
const declaration = /^(?:export )?(?:async )?(?:function|const) \*?(\w+)/u

/** Every site of a kind, in the order of files and lines. */
export function sitesOf(kind: SourceKind): readonly Site[] {
  return readdirSync('src', { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts'))
    .toSorted()
    .flatMap((file) => sitesOfFile(file, kind))
}

function sitesOfFile(file: string, kind: SourceKind): Site[] {
  const sites: Site[] = []
  const used = patterns[kind].filter(({ files }) => files.test(file))
  if (used.length === 0) return sites
  let within = ''
  for (const [index, line] of linesOf(file).entries()) {
    if (comment.test(line)) continue
    within = declaration.exec(line)?.[1] ?? within
    for (const { pattern, instead } of used) {
      for (const { 0: found } of line.matchAll(pattern)) {
        const place = { kind, file, line: index + 1, place: within, found }
        for (const text of instead(found, `${file} ${sites.length + 1}`)) {
          sites.push({ ...place, id: `${file} ${sites.length + 1}`, instead: text })
        }
      }
    }
  }
  return sites
}

const linesOf = (file: string): string[] => readFileSync(join('src', file), 'utf8').split('\n')

/** How often each guard stands in which function, a line for each: what is committed and compared. */
export function listOf(sites: readonly Site[]): string {
  const counts = new Map<string, number>()
  for (const { file, place, found } of sites) {
    const line = `${file} ${place}: ${found}`
    counts.set(line, (counts.get(line) ?? 0) + 1)
  }
  return [...counts].map(([line, count]) => `${line} × ${count}\n`).join('')
}

/** Copies of the files that hold these sites, with each in place of what it stands for. */
export function copySources(sites: readonly Site[]): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'mindglue-mutants-'))
  for (const file of new Set(sites.map((site) => site.file))) {
    const lines = linesOf(file)
    for (const [line, here] of byLine(sites.filter((site) => site.file === file))) {
      lines[line - 1] = replaced(lines[line - 1] ?? '', here)
    }
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), lines.join('\n'))
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

function byLine(sites: readonly Site[]): Map<number, Site[]> {
  const lines = new Map<number, Site[]>()
  for (const site of sites) lines.set(site.line, [...(lines.get(site.line) ?? []), site])
  return lines
}

/** Each site in its place; the same text twice in a line is two sites, in their order. */
function replaced(line: string, sites: readonly Site[]): string {
  let from = 0
  let text = line
  for (const { found, instead } of sites) {
    const at = text.indexOf(found, from)
    text = text.slice(0, at) + instead + text.slice(at + found.length)
    from = at + instead.length
  }
  return text
}
