/** The shape of the code as a test: who may import whom, and what stands only where it belongs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { hasFileVariant, settings, type Setting } from '../src/config/settings.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Arrows point down: a file imports what stands in a line above its own, or lies in its folder. */
const ranks: readonly (readonly string[])[] = [
  ['config', 'errors', 'json', 'principal', 'version'],
  ['database', 'telemetry', 'egress'],
  ['operation', 'pipeline', 'crypto'],
  ['memory', 'graph', 'namespaces', 'auth', 'accounts', 'audit', 'connectors', 'webhooks'],
  ['execute', 'operations', 'jobs'],
  ['mcp', 'http', 'sidecar', 'daemon'],
  ['app'],
  ['cli'],
  ['main'],
]

/** Imports between equals, each with its reason in docs/decisions/0001-architecture-ranks.md. */
const edges: ReadonlySet<string> = new Set([
  'memory→graph',
  'memory→namespaces',
  'memory→audit',
  'auth→namespaces',
  'accounts→auth',
  'accounts→audit',
  'connectors→memory',
  'webhooks→audit',
  'database→telemetry',
  'egress→telemetry',
  'sidecar→http',
  'config→errors',
  'config→principal',
  'operation→crypto',
])

interface SourceFile {
  /** Path from the root with forward slashes. */
  readonly path: string
  readonly text: string
}

function filesOf(directory: string, pattern: RegExp): readonly SourceFile[] {
  if (!existsSync(join(root, directory))) return []
  return readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name).replaceAll('\\', '/'))
    .filter((path) => pattern.test(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

/** Files of the root folder itself; what lies below is large and not ours alone. */
function topLevel(pattern: RegExp): readonly SourceFile[] {
  return readdirSync(root)
    .filter((path) => pattern.test(path) && !path.startsWith('package-lock'))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

const sources = filesOf('src', /\.ts$/u)
const programs = [
  ...sources,
  ...['test', 'bench', 'scripts'].flatMap((directory) => filesOf(directory, /\.(?:ts|mjs)$/u)),
]

/** Code without comments and without the insides of plain strings, where words mean nothing. */
function codeOf({ text }: SourceFile): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//gu, '')
    .replaceAll(/(^|\s)\/\/[^\n]*/gu, '$1')
    .replaceAll(/'(?:[^'\\\n]|\\.)*'/gu, "''")
}

interface Import {
  readonly target: string
  readonly isTypeOnly: boolean
}

/** Relative imports of a file, static and dynamic, as paths from the root. */
function importsOf({ path, text }: SourceFile): readonly Import[] {
  const statement =
    /(?:^|\n)\s*(?<kind>import|export)(?<type>\s+type)?\s[^'"`;]*?from\s+'(?<from>\.[^']+)'|import\('(?<dynamic>\.[^']+)'\)/gu
  return [...text.matchAll(statement)].map(({ groups = {} }) => {
    const specifier = groups['from'] ?? groups['dynamic'] ?? ''
    const target = relative(root, resolve(root, dirname(path), specifier)).replaceAll('\\', '/')
    return { target, isTypeOnly: groups['type'] !== undefined }
  })
}

/** `src/memory/store.ts` belongs to `memory`, `src/app.ts` to `app`. */
function partOf(path: string): string {
  return path.split('/')[1]?.replace(/\.ts$/u, '') ?? ''
}

describe('imports', () => {
  test('every folder and file of src has a rank', () => {
    const unranked = sources.filter(({ path }) => rank(partOf(path)) < 0)
    expect(unranked.map(({ path }) => path)).toEqual([])
    expect(sources.length).toBeGreaterThan(50)
  })

  test('point down, stay in their folder, or take a listed edge', () => {
    const wrong = sources.flatMap((file) =>
      importsOf(file)
        .filter(({ target }) => {
          const [from, to] = [partOf(file.path), partOf(target)]
          if (!target.startsWith('src/')) return true
          return from !== to && rank(from) <= rank(to) && !edges.has(`${from}→${to}`)
        })
        .map(({ target }) => `${file.path} → ${target}`),
    )
    expect(wrong).toEqual([])
  })

  test('form no cycle', () => {
    const graph = new Map(
      sources.map((file) => [
        file.path,
        importsOf(file)
          .filter(({ isTypeOnly }) => !isTypeOnly)
          .map(({ target }) => target),
      ]),
    )
    expect(cycles(graph)).toEqual([])
  })
})

function rank(part: string): number {
  return ranks.findIndex((parts) => parts.includes(part))
}

/** Depth-first search; a node met again on the way is a cycle. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const done = new Set<string>()
  const found: string[] = []
  const visit = (node: string, way: readonly string[]): void => {
    if (way.includes(node)) {
      found.push([...way.slice(way.indexOf(node)), node].join(' → '))
      return
    }
    if (done.has(node)) return
    for (const next of graph.get(node) ?? []) visit(next, [...way, node])
    done.add(node)
  }
  for (const node of graph.keys()) visit(node, [])
  return found
}

/** Files of src whose code matches and that are not among the allowed places. */
function strays(pattern: RegExp, isAllowed: (path: string) => boolean): readonly string[] {
  return sources
    .filter((file) => !isAllowed(file.path) && pattern.test(codeOf(file)))
    .map(({ path }) => path)
}

describe('what stands in one place', () => {
  test('SQL: in database/ and in *.sql.ts', () => {
    const isAllowed = (path: string) => path.startsWith('src/database/') || path.endsWith('.sql.ts')
    expect(strays(/\b(?:sql|tx|fragment)(?:<[^`;]*>)?`/u, isAllowed)).toEqual([])
  })

  test('the environment: in config.ts', () => {
    expect(strays(/\bprocess\.env\b/u, (path) => path === 'src/config.ts')).toEqual([])
  })

  test('stdout: in cli/ and mcp/stdio.ts', () => {
    const isAllowed = (path: string) => path.startsWith('src/cli/') || path === 'src/mcp/stdio.ts'
    expect(strays(/\bprocess\.stdout\b|\bconsole\b\s*\./u, isAllowed)).toEqual([])
  })

  test('the way out of the machine: in egress.ts', () => {
    const isAllowed = (path: string) => path === 'src/egress.ts'
    expect(strays(/(?<![.\w])fetch\(/u, isAllowed)).toEqual([])
    // A server's half of the module leads nowhere.
    const server = "import { createServer, Server } from 'node:https'"
    const importers = sources.filter(({ text }) =>
      /from '(?:undici|node:https)'/u.test(text.replace(server, '')),
    )
    expect(importers.map(({ path }) => path)).toEqual(['src/egress.ts'])
  })

  test('what varies in a log line is a field, never part of its phrase', () => {
    const message = /\blog\.(?:debug|info|warn|error)\(\s*(?:`[^`]*\$\{|[^'`\s]+\s*\+)/u
    expect(strays(message, () => false)).toEqual([])
  })
})

describe('every file', () => {
  test('says its job in its first line', () => {
    const silent = programs.filter(({ text }) => {
      const [first = '', second = ''] = text.split('\n')
      return !/^\/(?:\*\*|\/) ?\S|^\/\*\*$/u.test(first.startsWith('#!') ? second : first)
    })
    expect(silent.map(({ path }) => path)).toEqual([])
  })

  test('has at most 400 lines', () => {
    const long = programs
      .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > 400)
    expect(long).toEqual([])
  })

  test('holds no leftovers', () => {
    // Words count in comments: a memory may well begin with one. The brackets hide this very line.
    const pattern =
      /(?:\/\/|\*).*\b(?:T[O]DO|F[I]XME|X[X]X|H[A]CK)\b|^\s*d[e]bugger\b|\b(?:describe|test|it)\.o[n]ly\b|@ts-(?:i[g]nore|n[o]check)/mu
    const left = programs.filter(({ text }) => pattern.test(text))
    expect(left.map(({ path }) => path)).toEqual([])
  })
})

describe('documents', () => {
  const decisions = filesOf('docs/decisions', /\.md$/u)

  test('a decision has at most 40 lines and a number of its own', () => {
    const long = decisions.filter(({ text }) => text.trimEnd().split('\n').length > 40)
    expect(long.map(({ path }) => path)).toEqual([])
    const names = decisions.map(({ path }) => path.split('/').at(-1) ?? '')
    expect(names.filter((name) => !/^\d{4}-[a-z0-9-]+\.md$/u.test(name))).toEqual([])
    const numbers = names.map((name) => name.slice(0, 4))
    expect(numbers.filter((number, index) => numbers.indexOf(number) !== index)).toEqual([])
  })

  test('every promise of the page on security names a test that is there', () => {
    const tables = readFileSync(join(root, 'docs/security.md'), 'utf8')
      .split('\n\n')
      .filter((block) => /^\|.*\| Test +\|$/mu.test(block.trimStart().split('\n', 1)[0] ?? ''))
    const rows = tables.flatMap((table) => table.trim().split('\n').slice(2))
    expect(rows.length).toBeGreaterThan(70)
    const testsOf = (row: string): readonly string[] =>
      [...(row.split(' | ').at(-1) ?? '').matchAll(/`([\w/-]+)`/gu)].map(([, name = '']) => name)
    const isThere = (name: string) => existsSync(join(root, `test/${name}.test.ts`))
    expect(rows.filter((row) => testsOf(row).length === 0)).toEqual([])
    expect(rows.flatMap(testsOf).filter((name) => !isThere(name))).toEqual([])
  })

  const known = new Set(
    Object.values(settings).flatMap((setting: Setting<unknown>) =>
      hasFileVariant(setting) ? [setting.name, `${setting.name}_FILE`] : [setting.name],
    ),
  )

  test('every documented setting is read by the program', () => {
    const read = new Set(
      sources
        .filter(({ path }) => !path.startsWith('src/config'))
        .flatMap(({ text }) => readFrom(text)),
    )
    expect(Object.keys(settings).filter((key) => !read.has(key))).toEqual([])
    // What only has the name of a setting reads none.
    expect(readFrom('const agent = row.agent\nfind({ agent: row.agent })')).toEqual([])
    expect(readFrom('const { agent: name } = options.config\nuse(config.logLevel)')).toEqual([
      'logLevel',
      'agent',
    ])
  })

  test('every setting that is named anywhere exists', () => {
    const files = [
      ...sources,
      ...filesOf('docs', /\.md$/u),
      ...filesOf('examples', /\.(?:json|yaml|md)$/u),
      ...topLevel(/^(?:[A-Z]+\.md|Dockerfile|[\w.-]+\.(?:json|yaml))$/u),
    ]
    const unknown = files.flatMap(({ path, text }) =>
      [...text.matchAll(/\bMINDGLUE_[A-Z][A-Z_]*[A-Z]\b/gu)]
        .map(([name]) => name)
        .filter((name) => !known.has(name))
        .map((name) => `${path}: ${name}`),
    )
    expect(unknown).toEqual([])
  })
})

/**
 * Settings that a file reads, as `config.key` or taken apart; also under the name `settings` where the file asks
 * for a part of the Config.
 */
function readFrom(text: string): string[] {
  const holder = /\bPick<\s*Config\b/u.test(text) ? '(?:config|settings)' : 'config'
  const read = text.matchAll(new RegExp(`\\b${holder}\\.(\\w+)`, 'gu'))
  const taken = text.matchAll(
    new RegExp(`\\{([^{}]*)\\}\\s*(?:=\\s*(?:\\w+\\.)*${holder}\\b|:\\s*Config\\b)`, 'gu'),
  )
  return [
    ...Array.from(read, ([, key = '']) => key),
    ...Array.from(taken, ([, names = '']) => names.split(','))
      .flat()
      .map((name) => name.split(':')[0]?.trim() ?? ''),
  ]
}
