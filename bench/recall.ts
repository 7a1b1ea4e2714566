/**
 * Recall on LoCoMo through the real tools: every turn is stored with `store`, every question asked with
 * `recall`, by the official client over stdio. With several profiles each has its own installation.
 * Usage: npm run bench:recall -- --locomo DIR [--profile off,field,sealed]
 * Ends with `recall@10 0.xxx`, ours with the default profile, else with the first one asked for.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  categories,
  contentOf,
  evidenceOf,
  readConversations,
  storeTurns,
  type Conversation,
  type Question,
} from './support/locomo.ts'
import { install, type Product } from './support/product.ts'
import { englishWords, figures, plainBm25, printTable, type Judged } from './support/retrieval.ts'

const asked = 20
const defaultProfile = 'field'

/** Upkeep runs every minute; what it does to an encrypted namespace is part of what is measured. */
const upkeepMs = 70_000

const { values } = parseArgs({
  options: { locomo: { type: 'string' }, profile: { type: 'string', default: defaultProfile } },
})
if (values.locomo === undefined) {
  process.stderr.write('usage: npm run bench:recall -- --locomo DIR [--profile off,field,sealed]\n')
  process.exit(2)
}
const conversations = readConversations(values.locomo)

const profiles = values.profile.split(',')
const nameOf = (profile: string): string => `MindGlue, ${profile}`

const raw: Record<string, Judged[]> = {}
const audited: Record<string, Judged[]> = {}
const latency: string[] = []
for (const profile of profiles) {
  const system = nameOf(profile)
  const installation = install()
  try {
    const stored = []
    for (const conversation of conversations) {
      const product = await installation.connect(`locomo-${conversation.conversation}`, {
        MINDGLUE_PROFILE: profile,
      })
      stored.push({ product, conversation, turnOf: await storeTurns(product, conversation.turns) })
    }
    process.stderr.write(`${profile}: stored, waiting for the upkeep\n`)
    if (profile !== 'off') await delay(upkeepMs)
    const milliseconds: number[] = []
    for (const { product, conversation, turnOf } of stored) {
      milliseconds.push(...(await judge(system, product, conversation, turnOf)))
      await product.close()
      process.stderr.write(`${profile}: conversation ${conversation.conversation} done\n`)
    }
    const sorted = milliseconds.toSorted((x, y) => x - y)
    const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1)
    latency.push(`${profile}: recall call over stdio: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms`)
  } finally {
    await installation.remove()
  }
}
for (const conversation of conversations) judgeBm25(conversation)
printTable('Raw answer key', raw)
printTable('Audited answer key', audited)
process.stdout.write(`\n${latency.join('\n')}\n`)
for (const [system, judged] of Object.entries(raw)) {
  process.stdout.write(`recall@10 ${figures(judged).recall10.toFixed(4)}  ${system}\n`)
}
const ours = profiles.includes(defaultProfile) ? defaultProfile : (profiles[0] ?? defaultProfile)
process.stdout.write(`\nrecall@10 ${figures(raw[nameOf(ours)] ?? []).recall10.toFixed(3)}\n`)

/** Asks every question; returns the milliseconds that each took. */
async function judge(
  system: string,
  product: Product,
  conversation: Conversation,
  turnOf: ReadonlyMap<string, string>,
): Promise<number[]> {
  const milliseconds: number[] = []
  for (const question of conversation.questions) {
    if (categories[question.category] === undefined) continue
    const began = performance.now()
    const { results } = await product.call<{ results: { id: string }[] }>('recall', {
      query: question.question,
      limit: asked,
      // The ranking is measured, and not what the default budget leaves of it.
      max_tokens: 100_000,
    })
    milliseconds.push(performance.now() - began)
    const ranked = results.map((result) => turnOf.get(result.id) ?? '')
    note(system, conversation, question, ranked)
  }
  return milliseconds
}

function judgeBm25(conversation: Conversation): void {
  const search = plainBm25(
    conversation.turns.map((turn) => ({
      id: turn.id,
      text: `${turn.speaker} ${contentOf(turn)}`,
    })),
    englishWords,
  )
  for (const question of conversation.questions) {
    note('BM25 alone', conversation, question, search(question.question).slice(0, asked))
  }
}

function note(
  system: string,
  conversation: Conversation,
  question: Question,
  ranked: readonly string[],
): void {
  const group = categories[question.category]
  if (group === undefined) return
  for (const [into, key] of [
    [raw, question.evidence],
    [audited, question.evidence_audited ?? question.evidence],
  ] as const) {
    const evidence = evidenceOf(conversation, key)
    if (evidence.length > 0) (into[system] ??= []).push({ ranked, evidence, group })
  }
}
