/**
 * Recall in several languages through the real tools, each in a namespace of its own, beside plain BM25
 * over letter runs in the same run, and what is stored for it, read from a backup of the embedded database.
 * Usage: npm run bench:languages -- --dir DIR [--shuffled]
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { embeddedDirectory } from '../src/database/embedded-template.ts'
import { openEmbedded } from '../src/database/embedded.ts'
import { install } from './support/product.ts'
import { figures, plainBm25, type Judged } from './support/retrieval.ts'

interface LanguageFile {
  readonly language: string
  readonly memories: readonly string[]
  readonly questions: readonly { readonly question: string; readonly memory: number }[]
}

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const batch = 100
const asked = 10

const { values } = parseArgs({
  options: { dir: { type: 'string' }, shuffled: { type: 'boolean', default: false } },
})
if (values.dir === undefined) {
  process.stderr.write('usage: npm run bench:languages -- --dir DIR [--shuffled]\n')
  process.exit(2)
}
const directory = values.dir
const files = readdirSync(directory)
  .filter((name) => name.endsWith('.json'))
  .toSorted()
  .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as LanguageFile)

const out = (text: string) => process.stdout.write(`${text}\n`)
const installation = install()
const recalls: number[] = []
try {
  out('| language | memories | questions | r@1 | r@5 | r@10 | BM25 r@10 |')
  out('| --- | --- | --- | --- | --- | --- | --- |')
  for (const file of files) await judge(file)
  if (process.env['DATABASE_URL'] === undefined) await printSizes()
} finally {
  await installation.remove()
}
const mean = recalls.reduce((sum, value) => sum + value, 0) / Math.max(1, recalls.length)
out(`\nmean recall@10 ${mean.toFixed(3)}`)

async function judge({ language, memories, questions }: LanguageFile): Promise<void> {
  const product = await installation.connect(`language-${language}`)
  const indexOf = new Map<string, string>()
  const order = values.shuffled ? shuffle(memories.length) : [...memories.keys()]
  for (let start = 0; start < order.length; start += batch) {
    const part = order.slice(start, start + batch)
    const { results } = await product.call<{ results: { id: string }[] }>('store', {
      memories: part.map((index) => ({ content: memories[index] })),
    })
    for (const [offset, { id }] of results.entries()) indexOf.set(id, `${part[offset]}`)
  }
  const documents = memories.map((text, index) => ({ id: `${index}`, text }))
  const baseline = plainBm25(documents, letterRuns)
  const ours: Judged[] = []
  const theirs: Judged[] = []
  for (const { question, memory } of questions) {
    const { results } = await product.call<{ results: { id: string }[] }>('recall', {
      query: question,
      limit: asked,
      // As many hits as were asked for: what they take is measured elsewhere (bench/budget.ts).
      max_tokens: 100_000,
    })
    const entry = { evidence: [`${memory}`], group: language }
    ours.push({ ...entry, ranked: results.map((result) => indexOf.get(result.id) ?? '') })
    theirs.push({ ...entry, ranked: baseline(question).slice(0, asked) })
  }
  await product.close()
  const f = figures(ours)
  const first = ours.filter((entry) => entry.ranked[0] === entry.evidence[0]).length / ours.length
  const cells = [first, f.recall5, f.recall10, figures(theirs).recall10]
  recalls.push(f.recall10)
  out(
    `| ${language} | ${memories.length} | ${questions.length} | ${cells
      .map((value) => value.toFixed(3))
      .join(' | ')} |`,
  )
}

/** 0 to `count` in an order that is the same in every run: what recall owes to sentences stored beside each other. */
function shuffle(count: number): number[] {
  const key = (index: number) => createHash('sha256').update(`${index}`).digest('hex')
  const keys = Array.from({ length: count }, (_, index) => ({ index, key: key(index) }))
  return keys.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ index }) => index)
}

/** Rows and bytes of the index; a row's header is in its bytes, an envelope's in those of the text. */
async function printSizes(): Promise<void> {
  const backup = join(mkdtempSync(join(tmpdir(), 'mindglue-bench-')), 'backup')
  execFileSync(process.execPath, [program, 'backup', backup], {
    env: installation.environment,
  })
  const database = await openEmbedded({ dataDir: embeddedDirectory(backup) })
  const rows = await database.ownerTransaction(
    (sql) => sql<{ name: string; postings: number; posting_bytes: number; text_bytes: number }>`
      select s.name, p.postings, p.posting_bytes, m.text_bytes
      from mindglue.namespace_names s
      cross join lateral (select count(*)::int as postings, sum(pg_column_size(p.*))::int as posting_bytes
        from mindglue.postings p where p.namespace = s.namespace) p
      cross join lateral (select sum(length(m.content))::int as text_bytes
        from mindglue.memories m where m.namespace = s.namespace) m`,
  )
  await database.close()
  rmSync(join(backup, '..'), { recursive: true, force: true })
  out('\n| language | postings | a memory | bytes of postings | bytes of text as stored |')
  out('| --- | --- | --- | --- | --- |')
  for (const { language, memories } of files) {
    const row = rows.find(({ name }) => name === `language-${language}`)
    if (row === undefined) continue
    const each = (row.postings / memories.length).toFixed(0)
    const cells = [row.postings, row.posting_bytes, row.text_bytes].map((value) =>
      value.toLocaleString('en'),
    )
    out(`| ${language} | ${cells[0]} | ${each} | ${cells.slice(1).join(' | ')} |`)
  }
}

/** What a search without language knowledge does: NFKC, lower case, runs of letters, marks and digits. */
function letterRuns(text: string): string[] {
  return (
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
  )
}
