/**
 * Which Friday, which June: the one place that decides it. In this order:
 * 1. A word beside the date: "last" goes back, "next" and "coming" ahead, "this" stays near.
 * 2. The nearest sign in the sentence, what stands before the date first: a past verb goes back; "will",
 *    "must", "by", "until", "remind", a present "is" go ahead.
 *    "Since" goes back, and "by", "for" and "due" ahead, whatever the verb.
 * 3. No sign: a task goes ahead; a weekday goes ahead where the language's signs are known (who tells of
 *    the past has a past verb), else to the nearest; a month or day goes to the nearest.
 * A month or day that belongs to a noun ("is the receipt of 12 April") is not moved by "is" or "could".
 * "Every Friday" and "the first Friday in June" are no date, and "in two days" beside a past verb is how long something took.
 */
import { dayMs, type FoundDate } from './date-phrases.ts'
import { signs } from './date-signs.ts'

/** `coming` may be today, `future` is later; `nearest` leaves what chrono-node took. */
type Direction = 'past' | 'future' | 'coming' | 'nearest'

/** What is known of the text: a question has no default, a task looks ahead. */
export type Outlook = 'task' | 'memory' | 'question'

const lastWord =
  /(?<!\p{L})(?:last|past|previous|letzt\w*|vorig\w*|derni(?:er|ère)|pasad[oa]|passad[oa]|últim[oa]|scors[oa]|vorige?|förra|viime|прошл\p{L}+|минул\p{L}+|lalu|trước|先週の)(?!\p{L})/iu
const nextWord =
  /(?<!\p{L})(?:next|coming|upcoming|nächst\w*|kommend\w*|prochaine?|próxim[oa]|que viene|que vem|prossim[oa]|volgende?|komende|nästa|ensi|следующ\p{L}+|наступн\p{L}+|depan|tới|来週の)(?!\p{L})/iu
const thisWord = /(?<!\p{L})(?:this|diese[nrms]?|ce|este|esta|quest[oa]|deze|denna)(?!\p{L})/iu
const everyWord =
  /(?<!\p{L})(?:every|each|any|most|jeden|jede|chaque|cada|ogni|elke|iedere|varje|кажд\p{L}+|кожн\p{L}+|setiap)(?: other| second)? ?$/iu
const severalAfter = /^(?:s\b| (?:morning|afternoon|evening|night)s\b)/iu
/** "The first Friday in June": the month is read, and which Friday is not. */
const ordinalBefore = /\b(?:first|second|third|fourth) $/iu
/** A word that belongs to the date stands at most so far from it. */
const besideMax = 18

const sinceBefore = /\b(?:since|depuis|seit|desde|sinds)(?: the)?\s*$/iu
/** Looks ahead whatever the verb: "she asked for it by Friday", "we booked it for Friday". */
const aheadBefore = /\b(?:by|for|due)(?: the| on)?\s*$/iu
const mostlyAheadBefore = /\b(?:until|till|before)(?: the)?\s*$/iu
/** Where something begins or ends may lie ahead although it was agreed before; a year is too far to guess. */
const boundBefore = /\b(?:by|from|until|till)(?: the)?\s*$/iu

/** A date that belongs to a noun ("the receipt of 12 April") says nothing of when the verb beside it holds. */
const nounBefore =
  /(?<!\p{L})(?:of|from|dated|vom|von|du|de|del|do|da|dal|di|van|от)(?: the)?\s*$/iu
/** A copula or modal, which such a noun may stand beside whenever it was. */
const weakAhead =
  /^(?:is|are|am|be|can|could|would|should|ist|sind|kann|können|est|sont|es|é|è|zijn)(?!\p{L})(?!.*(?:schedul|plann|book|postpon|due|expect))/iu

/** "December last year", "next year in June". */
const yearBeside = [
  /^,? (?:of |in )?(last|next|this) year\b/iu,
  /\b(last|next|this) year,? (?:in )?$/iu,
] as const
const yearShift: Readonly<Record<string, number>> = { last: -1, this: 0, next: 1 }

/** True where the words of a weekday say which week ("next Friday", "Friday next week"). */
export function namesItsWeek(words: string): boolean {
  return [lastWord, nextWord, thisWord, /\bweek\b/iu].some((word) => word.test(words))
}

/** The date that is meant, or null when it is none. */
export function aim(
  date: FoundDate,
  text: string,
  locale: string,
  reference: Date,
  outlook: Outlook,
): FoundDate | null {
  if (date.isDistance) return signIn(text, date, locale) === 'past' ? null : date
  if (date.open === null) return date
  const before = text.slice(Math.max(0, date.index - besideMax), date.index)
  const after = text.slice(date.index + date.text.length).slice(0, besideMax)
  if (everyWord.test(before) || severalAfter.test(after)) return null
  if (date.open === 'weekday') {
    if (ordinalBefore.test(before)) return null
    const direction = weekBeside(before, after, locale) ?? directionOf(date, text, locale, outlook)
    return inWeek(date, reference, direction)
  }
  const year = yearBeside[0].exec(after)?.[1] ?? yearBeside[1].exec(before)?.[1]
  if (year !== undefined) {
    const wanted = reference.getUTCFullYear() + (yearShift[year.toLowerCase()] ?? 0)
    const moved = inYears(date, wanted - date.from.getUTCFullYear())
    // More exact than the year that stands beside it.
    return { ...moved, exactness: Math.max(date.exactness, 1.5), open: null }
  }
  const beside = weekBeside(before, after, locale)
  if (beside !== undefined) return { ...besideYear(date, reference, beside), open: null }
  return inYear(date, reference, directionOf(date, text, locale, outlook))
}

/** Only a word that touches the date speaks of it; in English it stands before. */
function weekBeside(before: string, after: string, locale: string): Direction | undefined {
  const preceding = /[\p{L}]+\s*$/u.exec(before)?.[0].trim() ?? ''
  const following = locale === 'en' ? '' : (/^\s*(?:que )?\p{L}+/u.exec(after)?.[0] ?? '')
  const has = (word: RegExp): boolean => word.test(preceding) || word.test(following)
  if (has(lastWord)) return 'past'
  if (has(nextWord)) return 'future'
  return thisWord.test(preceding) ? 'coming' : undefined
}

function directionOf(date: FoundDate, text: string, locale: string, outlook: Outlook): Direction {
  const sign = signIn(text, date, locale)
  if (sign !== undefined) return sign
  if (outlook === 'task') return 'future'
  const isKnown = outlook === 'memory' && date.open === 'weekday' && signs[locale] !== undefined
  return isKnown ? 'coming' : 'nearest'
}

/** The nearest sign in the sentence of the date: the last before it, else the first behind it. */
function signIn(text: string, date: FoundDate, locale: string): 'past' | 'future' | undefined {
  const known = signs[locale]
  if (!known) return undefined
  const end = date.index + date.text.length
  const head =
    text
      .slice(0, date.index)
      .split(/[!?;\n]|\.\s/u)
      .at(-1) ?? ''
  const tail = text.slice(end).split(/[.!?;\n]/u, 1)[0] ?? ''
  // chrono-node takes a preposition into some dates.
  const lead =
    locale === 'en'
      ? `${head}${/^(?:by|for|due|until|till|from)\b/iu.exec(date.text)?.[0] ?? ''}`
      : ''
  if (sinceBefore.test(head)) return 'past'
  const isRange = /\b(?:to|until|till)\b|[-–]/u.test(date.text)
  const isOfNoun = date.open === 'year' && !isRange && nounBefore.test(lead || head)
  const future = lastEnd(head, known.future, isOfNoun ? weakAhead : undefined)
  const past = lastEnd(head, known.past)
  if (future !== undefined && (past === undefined || future >= past)) return 'future'
  if (past !== undefined && date.open === 'year' && boundBefore.test(lead)) return undefined
  if (aheadBefore.test(lead)) return 'future'
  if (past !== undefined) return 'past'
  if (mostlyAheadBefore.test(lead)) return 'future'
  // "The invoice from March is unpaid"
  if (date.open === 'year' && boundBefore.test(lead)) return undefined
  const [ahead, back] = [tail.search(known.future), tail.search(known.past)]
  if (ahead < 0 && back < 0) return undefined
  return back < 0 || (ahead >= 0 && ahead <= back) ? 'future' : 'past'
}

function lastEnd(text: string, sign: RegExp, unless?: RegExp): number | undefined {
  let end: number | undefined
  for (const match of text.matchAll(sign)) {
    if (unless?.test(match[0]) !== true) end = match.index + match[0].length
  }
  return end
}

const dayOf = (time: Date): number => Math.floor(time.getTime() / dayMs) * dayMs

function inWeek(date: FoundDate, reference: Date, direction: Direction): FoundDate {
  const [day, today] = [dayOf(date.from), dayOf(reference)]
  const weekMs = 7 * dayMs
  const ahead = (((day - today) % weekMs) + weekMs) % weekMs
  const shift = {
    past: ahead - weekMs,
    future: ahead === 0 ? weekMs : ahead,
    coming: ahead,
    nearest: day - today,
  }[direction]
  const from = date.from.getTime() + today + shift - day
  const lengthMs = date.to.getTime() - date.from.getTime()
  // "Saturday to Monday" was read with the Monday before.
  return {
    ...date,
    from: new Date(from),
    to: new Date(from + (lengthMs < 0 ? lengthMs + weekMs : lengthMs)),
  }
}

/** Said without a word beside it, a period that still runs is meant. */
function inYear(date: FoundDate, reference: Date, direction: Direction): FoundDate {
  if (direction === 'future' && date.to < reference) return inYears(date, 1)
  if (direction === 'past' && date.from > reference) return inYears(date, -1)
  return date
}

/** In May, "last May" and "next May" are not this one. */
function besideYear(date: FoundDate, reference: Date, direction: Direction): FoundDate {
  const near = inYears(date, reference.getUTCFullYear() - date.from.getUTCFullYear())
  if (direction === 'future' && near.from <= reference) return inYears(near, 1)
  if (direction === 'past' && near.to >= reference) return inYears(near, -1)
  return near
}

/** Whole periods: the last millisecond of February moves with the first of March. */
export function inYears(date: FoundDate, years: number): FoundDate {
  const shifted = (time: number): number => {
    const copy = new Date(time)
    return copy.setUTCFullYear(copy.getUTCFullYear() + years)
  }
  return {
    ...date,
    from: new Date(shifted(date.from.getTime())),
    to: new Date(shifted(date.to.getTime() + 1) - 1),
  }
}
