/**
 * What a budget of tokens leaves of an answer, on LoCoMo through the real tools: the share of the gold evidence
 * that is in it and the tokens that it takes, beside the first k hits of the same ranking, with the k that comes
 * to the same tokens and with all that fit before the first that does not.
 * Usage: npm run bench:budget -- --locomo DIR
 */
import { parseArgs } from 'node:util'
import type { RecallOutput } from '../src/mcp/host.ts'
import { renderRecall } from '../src/mcp/render.ts'
import { countTokens } from '../src/pipeline/tokens.ts'
import { categories, evidenceOf, readConversations, storeTurns } from './support/locomo.ts'
import { install, type Product } from './support/product.ts'

const budgets = [500, 1_000, 2_000, 4_000]
/** The most that a recall gives: the budget decides, not the number. */
const asked = 100
const details = ['full', 'brief'] as const

/** What an answer holds of a question's evidence, and what it takes. */
interface Part {
  readonly share: number
  readonly tokens: number
}

interface Judged {
  /** By budget and detail. */
  readonly answers: Readonly<Record<string, Part>>
  /** The first 1, 2, 3 … hits of the whole ranking. */
  readonly firsts: readonly Part[]
}

const { values } = parseArgs({ options: { locomo: { type: 'string' } } })
if (values.locomo === undefined) {
  process.stderr.write('usage: npm run bench:budget -- --locomo DIR\n')
  process.exit(2)
}
const installation = install()
const judged: Judged[] = []
try {
  for (const conversation of readConversations(values.locomo)) {
    const product = await installation.connect(`locomo-${conversation.conversation}`)
    const turnOf = await storeTurns(product, conversation.turns)
    for (const question of conversation.questions) {
      if (categories[question.category] === undefined) continue
      const evidence = evidenceOf(conversation, question.evidence)
      if (evidence.length > 0)
        judged.push(await judge(product, question.question, evidence, turnOf))
    }
    await product.close()
    process.stderr.write(`conversation ${conversation.conversation} done\n`)
  }
} finally {
  await installation.remove()
}
report()

async function judge(
  product: Product,
  query: string,
  evidence: readonly string[],
  turnOf: ReadonlyMap<string, string>,
): Promise<Judged> {
  const ask = (more: object) =>
    product.call<RecallOutput>('recall', { query, limit: asked, ...more })
  const shareIn = (hits: readonly { readonly id: string }[]) => {
    const turns = new Set(hits.map(({ id }) => turnOf.get(id)))
    return evidence.filter((turn) => turns.has(turn)).length / evidence.length
  }
  const answers: Record<string, Part> = {}
  for (const budget of budgets) {
    for (const detail of details) {
      const answer = await ask({ max_tokens: budget, detail })
      const { hits = answer.results } = answer
      answers[`${budget} ${detail}`] = { share: shareIn(hits), tokens: sizeOf(answer) }
    }
  }
  const { results } = await ask({ max_tokens: 200_000 })
  const firsts: Part[] = []
  for (let k = 1; k <= results.length; k += 1) {
    const first = results.slice(0, k)
    const tokens = sizeOf({ results: first, tokens: 0 })
    firsts.push({ share: shareIn(first), tokens })
    if (tokens > 2 * (budgets.at(-1) ?? 0)) break
  }
  return { answers, firsts }
}

/** By the product's own counter, whichever of its two forms takes more. */
function sizeOf(answer: RecallOutput): number {
  return Math.max(countTokens(JSON.stringify(answer)), countTokens(renderRecall(answer)))
}

function report(): void {
  const rows = budgets.flatMap((budget) => {
    const ours = details.map((detail) =>
      judged.map(({ answers }) => partOf(answers, budget, detail)),
    )
    const [full = []] = ours
    const fits = judged.map(
      ({ firsts }) => firsts.findLast(({ tokens }) => tokens <= budget) ?? { share: 0, tokens: 0 },
    )
    const used = mean(full.map(({ tokens }) => tokens))
    const sizes = Array.from({ length: asked }, (_, k) =>
      judged.map(({ firsts }) => firstOf(firsts, k)),
    )
    const k = sizes.findLastIndex((parts) => mean(parts.map(({ tokens }) => tokens)) <= used)
    return [
      ...details.map((detail, index) => row(budget, `max_tokens, ${detail}`, ours[index] ?? [])),
      row(budget, 'all that fit before the first that does not', fits),
      row(budget, `the first ${k + 1}, whatever they take`, sizes[k] ?? []),
    ]
  })
  const header = ['budget', 'way', 'evidence in it', 'mean tokens', 'most tokens', 'over budget']
  const lines = [header, header.map(() => '---'), ...rows]
  process.stdout.write(`${judged.length} questions\n\n`)
  process.stdout.write(lines.map((cells) => `| ${cells.join(' | ')} |\n`).join(''))
}

function row(budget: number, way: string, parts: readonly Part[]): string[] {
  const tokens = parts.map((part) => part.tokens)
  return [
    budget.toLocaleString('en'),
    way,
    mean(parts.map(({ share }) => share)).toFixed(3),
    mean(tokens).toFixed(0),
    `${Math.max(...tokens)}`,
    `${tokens.filter((count) => count > budget).length}`,
  ]
}

function partOf(answers: Judged['answers'], budget: number, detail: string): Part {
  return answers[`${budget} ${detail}`] ?? { share: 0, tokens: 0 }
}

/** A ranking that is shorter has no more to give. */
function firstOf(firsts: readonly Part[], k: number): Part {
  return firsts[k] ?? firsts.at(-1) ?? { share: 0, tokens: 0 }
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length)
}
