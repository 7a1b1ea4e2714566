/**
 * Recall in several languages through the real tools, each in a namespace of its own, beside plain BM25
 * over letter runs in the same run. Usage: npm run bench:languages -- --dir DIR
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { analyze } from '../src/pipeline/terms.ts'
import { install } from './support/product.ts'
import { figures, plainBm25, type Judged } from './support/retrieval.ts'

interface LanguageFile {
  readonly language: string
  readonly memories: readonly string[]
  readonly questions: readonly { readonly question: string; readonly memory: number }[]
}

const batch = 100
const asked = 10

const { values } = parseArgs({ options: { dir: { type: 'string' } } })
if (values.dir === undefined) {
  process.stderr.write('usage: npm run bench:languages -- --dir DIR\n')
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
  out('| language | memories | questions | r@1 | r@5 | r@10 | BM25 r@10 | postings a memory |')
  out('| --- | --- | --- | --- | --- | --- | --- | --- |')
  for (const file of files) await judge(file)
} finally {
  await installation.remove()
}
const mean = recalls.reduce((sum, value) => sum + value, 0) / Math.max(1, recalls.length)
out(`\nmean recall@10 ${mean.toFixed(3)}`)

async function judge({ language, memories, questions }: LanguageFile): Promise<void> {
  const product = await installation.connect(`language-${language}`)
  const indexOf = new Map<string, string>()
  for (let start = 0; start < memories.length; start += batch) {
    const part = memories.slice(start, start + batch)
    const { results } = await product.call<{ results: { id: string }[] }>('store', {
      memories: part.map((content) => ({ content })),
    })
    for (const [offset, { id }] of results.entries()) indexOf.set(id, `${start + offset}`)
  }
  const documents = memories.map((text, index) => ({ id: `${index}`, text }))
  const baseline = plainBm25(documents, letterRuns)
  const ours: Judged[] = []
  const theirs: Judged[] = []
  for (const { question, memory } of questions) {
    const { results } = await product.call<{ results: { id: string }[] }>('recall', {
      query: question,
      limit: asked,
      // The ten best are asked for, not what of them fits into a chat.
      max_tokens: 100_000,
    })
    const entry = { evidence: [`${memory}`], group: language }
    ours.push({ ...entry, ranked: results.map((result) => indexOf.get(result.id) ?? '') })
    theirs.push({ ...entry, ranked: baseline(question).slice(0, asked) })
  }
  await product.close()
  const f = figures(ours)
  const first = ours.filter((entry) => entry.ranked[0] === entry.evidence[0]).length / ours.length
  const postings = memories.reduce((sum, text) => sum + analyze(text).frequencies.size, 0)
  const cells = [first, f.recall5, f.recall10, figures(theirs).recall10]
  recalls.push(f.recall10)
  out(
    `| ${language} | ${memories.length} | ${questions.length} | ${cells
      .map((value) => value.toFixed(3))
      .join(' | ')} | ${(postings / memories.length).toFixed(0)} |`,
  )
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
