/**
 * Recall on LoCoMo through the real tools: every turn is stored with `store`, every question asked with
 * `recall`, by the official client over stdio. With several profiles each has its own installation.
 * Usage: npm run bench:recall -- --locomo DIR [--profile off,field,sealed]
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { install, type Product } from './support/product.ts'
import { englishWords, figures, plainBm25, printTable, type Judged } from './support/retrieval.ts'

interface Turn {
  readonly id: string
  readonly session: number
  readonly when: string
  readonly speaker: string
  readonly text: string
  readonly image_caption?: string
}

interface Question {
  readonly question: string
  readonly evidence: readonly string[]
  readonly evidence_audited?: readonly string[]
  readonly category: number
}

interface Conversation {
  readonly conversation: string
  readonly turns: readonly Turn[]
  readonly questions: readonly Question[]
}

const categories: Readonly<Record<number, string>> = {
  1: '1 multi-hop',
  2: '2 temporal',
  3: '3 open',
  4: '4 single-hop',
}
const batch = 100
const asked = 20

/** Upkeep runs every minute; what it does to an encrypted namespace is part of what is measured. */
const upkeepMs = 70_000

const { values } = parseArgs({
  options: { locomo: { type: 'string' }, profile: { type: 'string', default: 'field' } },
})
if (values.locomo === undefined) {
  process.stderr.write('usage: npm run bench:recall -- --locomo DIR [--profile off,field,sealed]\n')
  process.exit(2)
}
const directory = values.locomo
const conversations = readdirSync(directory)
  .filter((name) => /^\d+\.json$/u.test(name))
  .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as Conversation)

const raw: Record<string, Judged[]> = {}
const audited: Record<string, Judged[]> = {}
const latency: string[] = []
for (const profile of values.profile.split(',')) {
  const system = `MindGlue, ${profile}`
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
  { turns }: Conversation,
  question: Question,
  ranked: readonly string[],
): void {
  const group = categories[question.category]
  if (group === undefined) return
  const known = new Set(turns.map((turn) => turn.id))
  for (const [into, key] of [
    [raw, question.evidence],
    [audited, question.evidence_audited ?? question.evidence],
  ] as const) {
    const evidence = repaired(key).filter((id) => known.has(id))
    if (evidence.length > 0) (into[system] ??= []).push({ ranked, evidence, group })
  }
}

/** Stores in order and returns turn ids by memory id. */
async function storeTurns(product: Product, turns: readonly Turn[]): Promise<Map<string, string>> {
  const turnOf = new Map<string, string>()
  for (let start = 0; start < turns.length; start += batch) {
    const part = turns.slice(start, start + batch)
    const { results } = await product.call<{ results: { id: string }[] }>('store', {
      memories: part.map((turn) => ({
        content: contentOf(turn),
        session: `session ${turn.session}`,
        speaker: turn.speaker,
        occurred_at: occurredAt(turn, turns).toISOString(),
        metadata: { turn: turn.id },
      })),
    })
    for (const [index, turn] of part.entries()) turnOf.set(results[index]?.id ?? '', turn.id)
  }
  return turnOf
}

function contentOf(turn: Turn): string {
  return turn.image_caption ? `${turn.text} [shares ${turn.image_caption}]` : turn.text
}

/** "1:56 pm on 8 May, 2023", each turn of a session one second after the one before. */
function occurredAt(turn: Turn, turns: readonly Turn[]): Date {
  const found = /^(\d+):(\d+) (am|pm) on (\d+ \w+, \d{4})$/iu.exec(turn.when)
  if (!found) throw new Error(`cannot read the time of turn ${turn.id}`)
  const [, hour, minute, half, day] = found
  const start = Date.parse(`${day} UTC`)
  const hours = (Number(hour) % 12) + (half?.toLowerCase() === 'pm' ? 12 : 0)
  const place = turns.filter((other) => other.session === turn.session).indexOf(turn)
  return new Date(start + (hours * 60 + Number(minute)) * 60_000 + place * 1000)
}

/** The key holds ids such as `D:11:26`, `D30:05` and `D8:6; D9:17`. */
function repaired(evidence: readonly string[]): string[] {
  const ids = evidence.flatMap((entry) =>
    [...entry.matchAll(/D:?(\d+):(\d+)/gu)].map(([, a, c]) => `D${Number(a)}:${Number(c)}`),
  )
  return [...new Set(ids)]
}
