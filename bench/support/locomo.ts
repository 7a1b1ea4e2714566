/** LoCoMo conversations: read, stored through the tools turn by turn, and which turns answer which question. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Product } from './product.ts'

export interface Turn {
  readonly id: string
  readonly session: number
  readonly when: string
  readonly speaker: string
  readonly text: string
  readonly image_caption?: string
}

export interface Question {
  readonly question: string
  readonly evidence: readonly string[]
  readonly evidence_audited?: readonly string[]
  readonly category: number
}

export interface Conversation {
  readonly conversation: string
  readonly turns: readonly Turn[]
  readonly questions: readonly Question[]
}

export const categories: Readonly<Record<number, string>> = {
  1: '1 multi-hop',
  2: '2 temporal',
  3: '3 open',
  4: '4 single-hop',
}
const batch = 100

export function readConversations(directory: string): Conversation[] {
  return readdirSync(directory)
    .filter((name) => /^\d+\.json$/u.test(name))
    .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as Conversation)
}

/** Stores in order and returns turn ids by memory id. */
export async function storeTurns(
  product: Product,
  turns: readonly Turn[],
): Promise<Map<string, string>> {
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

export function contentOf(turn: Turn): string {
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

/** Turns of the conversation that a key names; none where the key names nothing that is there. */
export function evidenceOf({ turns }: Conversation, key: readonly string[]): string[] {
  const known = new Set(turns.map((turn) => turn.id))
  return repaired(key).filter((id) => known.has(id))
}
