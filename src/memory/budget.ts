/** Keeps an answer of `recall` within its tokens, as JSON and as text each: best first, and what was left out named. */
import { cleanLine } from '../pipeline/clean.ts'
import { countTokens, firstTokens } from '../pipeline/tokens.ts'
import {
  blockTokens,
  hitText,
  holdsWords,
  neutral,
  noticeTokens,
  type TextFacts,
  type TextHit,
} from './text.ts'

/** Ids of left out hits that an answer names. */
const namedMax = 5
/** Of a brief hit's words. */
const briefTokens = 120

/** How much of a memory an answer shows. */
export const details = ['ids', 'brief', 'full'] as const

/** A whole hit, as far as this file looks at it. */
export interface BudgetHit extends TextHit {
  readonly version: number
  readonly content: string
  readonly type: NonNullable<TextHit['type']>
  readonly recorded_at: string
}

/** Everything an answer says beside its hits. */
export interface Frame {
  readonly missing?: readonly string[] | undefined
  /** When not all of them are named. */
  readonly missing_count?: number | undefined
  readonly unreadable?: readonly string[] | undefined
  readonly unreachable?: readonly string[] | undefined
  readonly next_cursor?: string | undefined
  readonly left_out?: number | undefined
  readonly left_out_ids?: readonly string[] | undefined
  /** Of a history, what was not even read. */
  readonly versions_left_out?: number | undefined
  readonly tokens?: number | undefined
}

export interface Bounds {
  /** Undefined: no bound, and the count is told all the same. */
  readonly maxTokens: number | undefined
  /** Of a listing: the cursor that goes on after a memory. Its pages end where they are full. */
  readonly cursorAfter?: ((hit: BudgetHit) => string) | undefined
}

interface Cost {
  readonly json: number
  readonly text: number
}

/** What stands below the hits in the text. */
export function recallNotes(frame: Frame): string[] {
  const { missing, unreadable, left_out: left = 0, left_out_ids: ids = [] } = frame
  const lines: string[] = []
  if (missing?.length) {
    const all = frame.missing_count === undefined ? '' : ` (of ${frame.missing_count})`
    lines.push(`Not there${all}: ${missing.join(', ')}`)
  }
  if (unreadable?.length) lines.push(`Damaged, tell the operator: ${unreadable.join(', ')}`)
  if (frame.unreachable?.length) {
    lines.push(`Could not be read now: ${frame.unreachable.map(cleanLine).join(', ')}`)
  }
  if (left > 0) {
    const named = ids.length > 0 ? ` Best of them: ${ids.join(', ')}` : ''
    lines.push(
      `${left} more did not fit: raise max_tokens, ask for detail brief, or read ids.${named}`,
    )
  }
  if (frame.versions_left_out !== undefined) {
    lines.push(
      `${frame.versions_left_out} older versions did not fit: read one with as_of, or export them.`,
    )
  }
  if (frame.next_cursor !== undefined) lines.push(`More: cursor ${frame.next_cursor}`)
  if (frame.tokens !== undefined) lines.push(`(${frame.tokens} tokens)`)
  return lines
}

/** What `detail` ids and brief leave of a hit. */
export interface ShortHit extends TextFacts {
  readonly version: number
  readonly score?: number
  readonly truncated?: true
}

function shorten(hit: BudgetHit, detail: 'ids' | 'brief'): ShortHit {
  const { id, version, score } = hit
  const scored = score === undefined ? {} : { score }
  if (detail === 'ids') return { id, version, ...scored }
  const words = firstTokens(hit.content, briefTokens)
  return {
    id,
    version,
    type: hit.type,
    content: words,
    occurred_at: hit.occurred_at,
    ...(words.length < hit.content.length && { truncated: true as const }),
    ...(hit.event_date !== undefined && { event_date: hit.event_date }),
    ...(hit.speaker !== undefined && { speaker: hit.speaker }),
    ...(hit.session !== undefined && { session: hit.session }),
    ...(hit.source && { source: { kind: hit.source.kind, trust: hit.source.trust } }),
    ...(hit.valid_to !== undefined && { valid_to: hit.valid_to }),
    ...(hit.quarantine && { quarantine: hit.quarantine }),
    ...(hit.namespace !== undefined && { namespace: hit.namespace }),
    ...scored,
  }
}

function costOf(hit: TextHit): Cost {
  return {
    // One for the comma.
    json: countTokens(JSON.stringify(hit)) + 1,
    // As it will stand: a mark in it that was made harmless counts for more than before.
    text: countTokens(neutral(hitText(hit))) + (holdsWords(hit) ? blockTokens : 1),
  }
}

function frameCost(frame: Frame): Cost {
  return {
    json: countTokens(JSON.stringify({ ...frame, results: [], hits: [] })),
    text: noticeTokens + countTokens(recallNotes(frame).join('\n')),
  }
}

/**
 * Fills greedily by rank: a hit that does not fit is left out and a later, shorter one may still fit; a
 * listing's page ends there instead, with a cursor. The best hit is cut rather than left out. Counts add
 * up to no less than the whole (tokens.ts), so the answer is within its bound in both forms.
 */
export function fitWhole<Hit extends BudgetHit, F extends Frame>(
  hits: readonly Hit[],
  given: F,
  bounds: Bounds,
) {
  return fit(hits, (hit) => hit, given, bounds)
}

/** The same with less of each hit. */
export function fitShort<F extends Frame>(
  hits: readonly BudgetHit[],
  given: F,
  { detail, ...bounds }: Bounds & { readonly detail: 'ids' | 'brief' },
) {
  return fit(hits, (hit) => shorten(hit, detail), given, bounds)
}

function fit<Hit extends BudgetHit, Shown extends TextHit, F extends Frame>(
  hits: readonly Hit[],
  shape: (hit: Hit) => Shown,
  given: F,
  { maxTokens = Infinity, cursorAfter }: Bounds,
) {
  const frame = Number.isFinite(maxTokens) ? boundedFrame(given, maxTokens) : given
  const last = hits.at(-1)
  const cursor = cursorAfter && last && cursorAfter(last)
  const kept = {
    ...frame,
    ...(cursor !== undefined && { next_cursor: cursor }),
    tokens: tokensMost,
  }
  const whole = fill(hits, shape, minus(maxTokens, frameCost(kept)), cursorAfter !== undefined)
  const isWhole = whole.left.length === 0 && whole.end === last
  for (let over = 0; ;) {
    // Only what leaves something out needs room to say so.
    const room = minus(maxTokens - over, frameCost({ ...kept, left_out: 999 }))
    const { taken, left, end, sum } = isWhole
      ? whole
      : fill(hits, shape, room, cursorAfter !== undefined)
    const answerWith = (names: readonly string[]) => ({
      ...frame,
      ...(left.length > 0 && { left_out: left.length }),
      ...(names.length > 0 && { left_out_ids: [...names] }),
      ...(cursorAfter && end && end !== last && { next_cursor: cursorAfter(end) }),
    })
    const costWith = (names: readonly string[]) => {
      const around = frameCost({ ...answerWith(names), tokens: tokensMost })
      return Math.max(sum.json + around.json, sum.text + around.text)
    }
    // As many names as there is still room for.
    const named = [...new Set(left.map(({ id }) => id))].slice(0, namedMax)
    while (named.length > 0 && costWith(named) > maxTokens) named.pop()
    const tokens = costWith(named)
    if (tokens <= maxTokens || taken.length === 0) {
      return { hits: taken, frame: { ...answerWith(named), tokens } }
    }
    // Room was kept for the cursor of the last hit, and that of another may count for more.
    over += tokens - maxTokens
  }
}

/** As long as any count. */
const tokensMost = 999_999

function minus(tokens: number, cost: Cost): Cost {
  return { json: tokens - cost.json, text: tokens - cost.text }
}

/** Takes hits in order while they fit; of a listing the first that does not ends it. `end`: the last one looked at. */
function fill<Hit extends BudgetHit, Shown extends TextHit>(
  hits: readonly Hit[],
  shape: (hit: Hit) => Shown,
  room: Cost,
  isListing: boolean,
) {
  const taken: Shown[] = []
  const left: Hit[] = []
  const sum = { json: 0, text: 0 }
  let end: Hit | undefined
  for (const hit of hits) {
    const rest = { json: room.json - sum.json, text: room.text - sum.text }
    const shown = within(shape(hit), rest, taken.length === 0)
    if (shown === undefined && isListing && taken.length > 0) break
    end = hit
    if (shown === undefined) {
      left.push(hit)
      continue
    }
    const cost = costOf(shown)
    sum.json += cost.json
    sum.text += cost.text
    taken.push(shown)
  }
  return { taken, left, end, sum }
}

/** Lists of ids that would take more than half of the answer are cut; their whole length is told. */
function boundedFrame<F extends Frame>(given: F, maxTokens: number): F {
  let frame = given
  while (isTooLong(frame, maxTokens)) {
    const { missing = [], unreadable = [], unreachable = [] } = frame
    if (missing.length + unreadable.length + unreachable.length === 0) break
    const half = (ids: readonly string[]) => ids.slice(0, Math.floor(ids.length / 2))
    frame = {
      ...frame,
      ...(frame.missing && { missing: half(missing) }),
      ...(frame.unreadable && { unreadable: half(unreadable) }),
      ...(frame.unreachable && { unreachable: half(unreachable) }),
      ...(given.missing && { missing_count: given.missing.length }),
    }
  }
  return frame
}

function isTooLong(frame: Frame, maxTokens: number): boolean {
  const { json, text } = frameCost(frame)
  return Math.max(json, text) > maxTokens / 2
}

/** The hit if it fits; the best one with less of it, down to the beginning of its words; else undefined. */
function within<Hit extends TextHit>(hit: Hit, room: Cost, isBest: boolean): Hit | undefined {
  const fits = (candidate: TextHit): boolean => {
    const cost = costOf(candidate)
    return cost.json <= room.json && cost.text <= room.text
  }
  if (fits(hit)) return hit
  if (!isBest) return undefined
  const bare = {
    ...hit,
    neighbours: undefined,
    raw_content: undefined,
    metadata: undefined,
    truncated: true as const,
  }
  if (fits(bare)) return bare
  const words = hit.content ?? ''
  // What stands beside its words may itself be too long: it goes then, or its end does.
  for (const rest of [bare, { ...bare, ...shortFacts(hit) }]) {
    const around = costOf({ ...rest, content: '' })
    const most = Math.min(room.json - around.json, room.text - around.text)
    for (let tokens = most; tokens > cutTokensMin; tokens *= 0.85) {
      const cut = { ...rest, content: firstTokens(words, Math.floor(tokens)) }
      if (fits(cut)) return cut
    }
  }
  return undefined
}

/** Of a name that stands before a memory's words. */
const labelTokens = 15

function shortFacts({ tags, session, speaker, source }: TextHit): Partial<TextHit> {
  return {
    ...(tags && { tags: [] }),
    ...(session !== undefined && { session: firstTokens(session, labelTokens) }),
    ...(speaker !== undefined && { speaker: firstTokens(speaker, labelTokens) }),
    ...(source && { source: { kind: source.kind, trust: source.trust } }),
  }
}

/** A shorter beginning of a text tells nothing. */
const cutTokensMin = 4
