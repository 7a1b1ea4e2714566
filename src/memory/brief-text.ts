/** Chosen memories → the text of a brief within its tokens: a line each, under headings that only we write. */
import { cleanLine } from '../pipeline/clean.ts'
import { countTokens, firstTokens } from '../pipeline/tokens.ts'
import type { Section } from './brief-views.ts'
import type { PresentedMemory } from './present.ts'
import { blockTokens, neutral, noticeTokens, originOf, quoted } from './text.ts'

export type Line = readonly [PresentedMemory] | readonly [PresentedMemory, PresentedMemory]
export interface FilledSection extends Section {
  readonly lines: readonly Line[]
  /** Further memories of it, which no budget of this size would hold. */
  readonly unread: number
}

export interface BriefFacts {
  readonly name: string
  readonly now: Date
  /** Memories that the caller sees, at most one more than `countedMax`. */
  readonly count: number
  readonly countedMax: number
}

export interface BriefSessions {
  /** A memory of the session that is shown. */
  readonly last: PresentedMemory | undefined
  readonly count: number
  /** One of each session before it, the newest session first. */
  readonly before: readonly PresentedMemory[]
}

/** The fields of an answer. */
const fieldsTokens = countTokens(
  JSON.stringify({ view: 'clean_up', text: '', memories: 9999, left_out: 9999, tokens: 99_999 }),
)
/** Said below the text. */
const ownCountTokens = countTokens('\n(99999 tokens)')
/** What stands around the text: the fence, or the fields. */
export const fixedTokens = Math.max(noticeTokens + blockTokens + ownCountTokens, fieldsTokens)
/** Of one memory's words; a longer budget shows more of each. */
const wordsTokens = { min: 30, max: 90, share: 1 / 25 }
/** The last line, when something did not fit. */
const leftOutTokens = 20

/** A line as it will stand, and what shows it. */
interface Priced {
  readonly text: string
  readonly cost: number
  readonly memories: Line
}

/**
 * Each section takes what its share holds, best first; then what is left goes round, a line to each. Counts of
 * lines add up to no less than the whole (tokens.ts).
 */
export function fillBrief(
  facts: BriefFacts,
  sections: readonly FilledSection[],
  { sessions, maxTokens }: { readonly sessions: BriefSessions; readonly maxTokens: number },
) {
  const share = Math.floor(maxTokens * wordsTokens.share)
  const words = Math.min(wordsTokens.max, Math.max(wordsTokens.min, share))
  const head = headOf(facts)
  const before = beforeLine(sessions)
  const ending = before !== undefined && costOf(before) <= maxTokens / 8 ? [before] : []
  const room = maxTokens - costOf(head) - leftOutTokens - sum(ending.map(costOf))
  const filled = sections.map((section) => ({
    section,
    title: titleOf(section, sessions),
    lines: section.lines.map((memories) => priced(memories, section, { words, facts, sessions })),
    taken: new Set<Priced>(),
  }))
  fill(filled, room)
  const shown = filled.filter(({ taken }) => taken.size > 0)
  const ids = shown.flatMap(({ taken }) =>
    [...taken].flatMap(({ memories }) => memories.map(({ id }) => id)),
  )
  const leftOut = sum(
    filled.map(({ section, lines, taken }) => section.unread + lines.length - taken.size),
  )
  const text = [
    head,
    ...shown.flatMap(({ title, section, lines, taken }) => {
      const those = lines.filter((line) => taken.has(line))
      return [title, ...inOrder(section, those).map((line) => line.text)]
    }),
    ...(facts.count === 0 ? ['Nothing is stored yet.'] : []),
    ...ending,
    ...(leftOut > 0 ? [`(${leftOut} more did not fit; recall finds them.)`] : []),
  ].join('\n')
  const asJson = countTokens(JSON.stringify(text)) + fieldsTokens
  const asText = noticeTokens + blockTokens + ownCountTokens + countTokens(text)
  return { text, ids: [...new Set(ids)], left_out: leftOut, tokens: Math.max(asJson, asText) }
}

interface Filling {
  readonly section: FilledSection
  readonly title: string
  readonly lines: readonly Priced[]
  /** Written by `fill`. */
  readonly taken: Set<Priced>
}

function fill(filled: readonly Filling[], room: number): void {
  let left = room
  /** Takes the section's next line that fits, if it costs at most `most`; returns its cost, 0 for none. */
  const takeOne = ({ lines, taken, title }: Filling, most: number): number => {
    const heading = taken.size === 0 ? costOf(title) : 0
    const line = lines.find((one) => !taken.has(one) && one.cost + heading <= left)
    if (line === undefined || line.cost + heading > most) return 0
    taken.add(line)
    left -= line.cost + heading
    return line.cost + heading
  }
  for (const entry of filled) {
    let own = room * entry.section.share
    let cost: number
    do {
      cost = takeOne(entry, own)
      own -= cost
    } while (cost > 0)
  }
  let taken: number
  do {
    taken = sum(filled.map((entry) => takeOne(entry, left)))
  } while (taken > 0)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function headOf({ name, now, count, countedMax }: BriefFacts): string {
  const weekday = now.toLocaleDateString('en', { weekday: 'long', timeZone: 'UTC' })
  const memories = count > countedMax ? `over ${countedMax}` : `${count}`
  return `Namespace ${neutral(cleanLine(name))}, ${memories} memories, on ${weekday} ${dateOf(now.toISOString())}`
}

function titleOf(section: Section, { last, count }: BriefSessions): string {
  const title = neutral(cleanLine(section.title))
  if (section.isSession !== true || last?.session === undefined) return `## ${title}`
  return `## ${title}: ${quoted(last.session, sessionTokens)}, ${dateOf(last.occurred_at)}, ${count} ${count === 1 ? 'memory' : 'memories'}`
}

/** Of the name of a session. */
const sessionTokens = 25

function beforeLine({ before }: BriefSessions): string | undefined {
  const named = before.flatMap(({ session, occurred_at: at }) =>
    session === undefined ? [] : [`${quoted(session, sessionTokens)} (${dateOf(at)})`],
  )
  return named.length === 0 ? undefined : `## Sessions before: ${named.join(', ')}`
}

function inOrder({ isChronological }: Section, lines: readonly Priced[]): readonly Priced[] {
  if (isChronological !== true) return lines
  // Told at once, by their ids, which rise with time.
  const place = ({ memories: [{ occurred_at: at, id }] }: Priced) => `${at} ${id}`
  return lines.toSorted((a, b) => (place(a) < place(b) ? -1 : 1))
}

interface Showing {
  /** Tokens of a memory's words. */
  readonly words: number
  readonly facts: BriefFacts
  readonly sessions: BriefSessions
}

function priced(memories: Line, section: Section, showing: Showing): Priced {
  const [first, second] = memories
  const lines = [`- ${lineOf(first, section, showing)}`]
  if (second !== undefined) lines.push(`  earlier: ${lineOf(second, section, showing)}`)
  const text = lines.join('\n')
  return { text, cost: costOf(text), memories }
}

/** In either form, with the line break. */
function costOf(line: string): number {
  return Math.max(countTokens(line) + 1, countTokens(JSON.stringify(`${line}\n`)))
}

/** One line, whatever was stored: nothing that a memory says can look like a heading or another memory. */
function lineOf(
  memory: PresentedMemory,
  section: Section,
  { words, facts, sessions }: Showing,
): string {
  const date = memory.event_date ?? dateOf(memory.occurred_at)
  const isOfSession = section.isSession === true && sessions.last !== undefined
  const isKnownDate = isOfSession && date === dateOf(sessions.last.occurred_at)
  const heading = [
    isKnownDate ? undefined : section.isDated === true ? dated(date, facts.now) : date,
    memory.speaker === undefined ? undefined : firstTokens(cleanLine(memory.speaker), 15),
    memory.type === 'note' || memory.type === 'fact' ? undefined : memory.type,
    originOf(memory.source, memory.quarantine),
  ].filter((fact) => fact !== undefined)
  const whole = cleanLine(memory.content)
  const said = firstTokens(whole, words)
  const isCut = said.length < whole.length
  const shown = isCut ? `${said.replace(/\s+\S*$/u, '')} …` : said
  const id = section.hasIds === true ? ` (id ${memory.id})` : ''
  return `${neutral(`${heading.join(' · ')}${heading.length > 0 ? ': ' : ''}${shown}`)}${id}`
}

function dateOf(iso: string): string {
  return iso.slice(0, 10)
}

const dayMs = 86_400_000

function dated(date: string, now: Date): string {
  const days = Math.round((Date.parse(date) - Date.parse(dateOf(now.toISOString()))) / dayMs)
  const count = `${Math.abs(days)} ${Math.abs(days) === 1 ? 'day' : 'days'}`
  const away = days === 0 ? 'today' : days > 0 ? `in ${count}` : `${count} ago`
  return `${date} (${away})`
}
