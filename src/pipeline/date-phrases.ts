/** Spans of time that chrono-node does not know or reads differently: weekends, weeks, seasons, years. English. */

import { englishNumber, englishNumbers, numberOf } from './date-numbers.ts'

export type Grain = 'hour' | 'day' | 'weekend' | 'week' | 'month' | 'season' | 'year'

/** A stretch of time: `to` is its last millisecond. */
export interface ResolvedDate {
  readonly from: Date
  readonly to: Date
  readonly grain: Grain
  /** The words it was read from. */
  readonly text: string
}

export interface FoundDate extends ResolvedDate {
  readonly index: number
  /** 3 a day with its month, 2 relative to a day or week, 1 month or longer, 0 today. */
  readonly exactness: number
  /** What the text leaves open: of which week the weekday is, of which year the month. */
  readonly open: 'weekday' | 'year' | null
  /** "in two days": a moment to come, or how long something took. */
  readonly isDistance?: boolean
}

export const hourMs = 3_600_000
export const dayMs = 24 * hourMs

/** The phrases of the text in no order; may overlap. */
export function findPhrases(text: string, reference: Date): FoundDate[] {
  return [
    ...daysAndWeeks(text, reference),
    ...weekends(text, reference),
    ...seasons(text, reference),
    ...years(text),
    ...anchored(text, reference),
  ]
}

export const between = (from: number, end: number): { from: Date; to: Date } => ({
  from: new Date(from),
  to: new Date(end - 1),
})
export const span = (from: number, lengthMs: number): { from: Date; to: Date } =>
  between(from, from + lengthMs)

const weekendPattern =
  /\b(?:the )?weekend (before last)\b|\b(last|this|next|past|coming|the) weekend\b|\b(a|one|two|three|four|\d) weekends? ago\b/gi
const smallNumbers: Readonly<Record<string, number>> = { a: 1, one: 1, two: 2, three: 3, four: 4 }

/** Saturday and Sunday; chrono-node gives "last weekend" one day and does not know "two weekends ago". */
function* weekends(text: string, reference: Date): Generator<FoundDate> {
  for (const match of text.matchAll(weekendPattern)) {
    const [words, beforeLast, which = '', count] = match
    const back = beforeLast ? 2 : count ? (smallNumbers[count.toLowerCase()] ?? Number(count)) : 0
    const saturday = saturdayOf(reference, which.toLowerCase(), back)
    yield {
      ...span(saturday, 2 * dayMs),
      grain: 'weekend',
      text: words,
      index: match.index,
      exactness: 2,
      open: null,
    }
  }
}

/** chrono-node counts weeks from Sunday, and asks the local clock whether last night is yesterday. */
function* daysAndWeeks(text: string, reference: Date): Generator<FoundDate> {
  const phrases = /\bthis week\b|\b(?:the )?week before last\b|\blast night\b/gi
  for (const match of text.matchAll(phrases)) {
    const words = match[0].toLowerCase()
    const monday = mondayOf(reference.getTime())
    const night = words === 'last night'
    const week = span(words === 'this week' ? monday : monday - 14 * dayMs, 7 * dayMs)
    yield {
      ...(night ? span(midnight(reference.getTime()) - dayMs, dayMs) : week),
      grain: night ? 'day' : 'week',
      text: match[0],
      index: match.index,
      exactness: 2,
      open: null,
    }
  }
}

const midnight = (time: number): number => Math.floor(time / dayMs) * dayMs

/** Midnight of the Monday of the week, ISO 8601. */
export function mondayOf(time: number): number {
  const day = midnight(time)
  return day - ((new Date(day).getUTCDay() + 6) % 7) * dayMs
}

/** Midnight of the Saturday meant; on a weekend "this weekend" is the present one. */
function saturdayOf(reference: Date, which: string, back: number): number {
  const today = midnight(reference.getTime())
  const weekday = new Date(today).getUTCDay()
  const sinceSaturday = (weekday + 1) % 7
  const onWeekend = sinceSaturday <= 1
  const latest = today - sinceSaturday * dayMs
  const past = onWeekend ? latest - 7 * dayMs : latest
  if (back > 0) return past - (back - 1) * 7 * dayMs
  if (which === 'last' || which === 'past') return past
  if (which === 'next') return latest + (onWeekend ? 7 : 14) * dayMs - (onWeekend ? 0 : 7 * dayMs)
  return onWeekend ? latest : latest + 7 * dayMs
}

/** First month (0-based) of each northern season; most texts mean these. */
const seasonStarts: Readonly<Record<string, number>> = {
  spring: 2, summer: 5, autumn: 8, fall: 8, winter: 11,
} // prettier-ignore
const seasonPattern =
  /\b(?:(last|this|next|past|the|in|of) )(?:the )?(spring|summer|autumn|fall|winter)(?: (?:of )?((?:19|20)\d\d))?\b|\b(spring|summer|autumn|fall|winter) (?:of )?((?:19|20)\d\d)\b/gi

/** Seasons with a year, or with a word that says which; "in summer" alone is no date. */
function* seasons(text: string, reference: Date): Generator<FoundDate> {
  for (const match of text.matchAll(seasonPattern)) {
    const which = (match[1] ?? '').toLowerCase()
    const startMonth = seasonStarts[(match[2] ?? match[4] ?? '').toLowerCase()] ?? 0
    const named = match[3] ?? match[5]
    if (named === undefined && !/last|past|this|next/.test(which)) continue
    const year = named === undefined ? seasonYear(reference, startMonth, which) : Number(named)
    yield {
      ...between(Date.UTC(year, startMonth), Date.UTC(year, startMonth + 3)),
      grain: 'season',
      text: match[0],
      index: match.index,
      exactness: 1,
      open: null,
    }
  }
}

/** The year in which the season begins: the latest that is over (last), the present or coming (this), after (next). */
function seasonYear(reference: Date, startMonth: number, which: string): number {
  let year = reference.getUTCFullYear() - 2
  while (Date.UTC(year, startMonth + 3) <= reference.getTime()) year += 1
  if (which === 'last' || which === 'past') return year - 1
  const running = Date.UTC(year, startMonth) <= reference.getTime()
  return which === 'next' && running ? year + 1 : year
}

const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const anchoredPattern = new RegExp(
  `\\b(\\d{1,2}|${englishNumber}) (day|week|month|year)s? (?:from|after) ` +
    `(?:(tomorrow)|(?:(last|this|next) )?(${weekdays.join('|')}))\\b`,
  'gi',
)

/** "Two weeks from Friday"; chrono-node takes the Friday before, or leaves the two weeks out. */
function* anchored(text: string, reference: Date): Generator<FoundDate> {
  for (const match of text.matchAll(anchoredPattern)) {
    const [words, number = '', unit = '', tomorrow, which = '', weekday = ''] = match
    const today = midnight(reference.getTime())
    const ahead = weekdays.indexOf(weekday.toLowerCase()) - new Date(today).getUTCDay()
    const week = { last: -7, this: 0, next: 7 }[which.toLowerCase()] ?? 0
    const anchor = tomorrow ? 1 : ((ahead + 7) % 7) + week
    const amount = numberOf(number, englishNumbers)
    const day = new Date(today + anchor * dayMs)
    if (unit.toLowerCase() === 'year') day.setUTCFullYear(day.getUTCFullYear() + amount)
    else if (unit.toLowerCase() === 'month') day.setUTCMonth(day.getUTCMonth() + amount)
    else day.setTime(day.getTime() + amount * (unit.toLowerCase() === 'week' ? 7 : 1) * dayMs)
    yield {
      ...span(day.getTime(), dayMs),
      grain: 'day',
      text: words,
      index: match.index,
      exactness: 2,
      open: null,
    }
  }
}

const yearPattern =
  /\b(?:in|since|during|until|of|from|early|late|mid-?|year) ?((?:19|20)\d\d)\b(?![-/.:]\d)/gi

/** Years after a preposition; chrono-node leaves them out. */
function* years(text: string): Generator<FoundDate> {
  for (const match of text.matchAll(yearPattern)) {
    const year = Number(match[1])
    yield {
      ...between(Date.UTC(year, 0), Date.UTC(year + 1, 0)),
      grain: 'year',
      text: match[0],
      index: match.index,
      exactness: 1,
      open: null,
    }
  }
}
