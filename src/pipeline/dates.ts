/** Dates named in a text, relative ones resolved: "last Friday" said on 8 May is 5 May. All in UTC. */
import type { ParsedComponents, ParsedResult } from 'chrono-node'
import {
  between,
  dayMs,
  findPhrases,
  hourMs,
  mondayOf,
  span,
  type FoundDate,
  type Grain,
  type ResolvedDate,
} from './date-phrases.ts'
import { isStorableInstant } from '../database/codec.ts'
import { dateLocale, dateParser } from './date-locales.ts'

export type { Grain, ResolvedDate } from './date-phrases.ts'

/** A period as the ranking takes it; a weekend is two days. */
export interface QuestionPeriod {
  readonly from: Date
  readonly to: Date
  readonly grain: Exclude<Grain, 'weekend'>
}

/** Long memories name their date early, and chrono-node needs 0.1 s for a page of nothing but dates. */
const charactersMax = 1024
const questionCharactersMax = 512
const periodsMax = 12
/** A question for "June" without a year means any of the last Junes. */
const yearsBack = 5

/** The date of what the text tells: the most exact one, the first of equals; null without one. Never throws. */
export function resolveDates(text: string, occurredAt: Date): ResolvedDate | null {
  const dates = findDates(text.slice(0, charactersMax), occurredAt)
  const best = dates.toSorted((a, b) => b.exactness - a.exactness || a.index - b.index)[0]
  return best ? { from: best.from, to: best.to, grain: best.grain, text: best.text } : null
}

/** Periods named in a question, at most 12; one without its year is given for each of the last years. Never throws. */
export function questionDates(question: string, now: Date): QuestionPeriod[] {
  return findDates(question.slice(0, questionCharactersMax), now)
    .flatMap((date) => (date.yearOpen ? pastYears(date, now) : [date]))
    .map(
      ({ from, to, grain }) => ({ from, to, grain: grain === 'weekend' ? 'day' : grain }) as const,
    )
    .slice(0, periodsMax)
}

function findDates(text: string, reference: Date): FoundDate[] {
  if (Number.isNaN(reference.getTime())) return []
  const locale = dateLocale(text)
  if (locale === undefined) return []
  return [...findPhrases(text, reference), ...parsed(text, locale, reference)]
    .filter(({ from, to }) => isStorableInstant(from) && isStorableInstant(to) && from <= to)
    .toSorted((a, b) => a.index - b.index || b.text.length - a.text.length)
    .filter((date, position, all) => !all.slice(0, position).some((other) => covers(other, date)))
}

/** "summer of 2019" also holds "2019". */
function covers(other: FoundDate, date: FoundDate): boolean {
  return date.index < other.index + other.text.length
}

/** Words that chrono-node reads as a date and people mostly do not mean as one. */
const ordinaryWord =
  /^(?:now|right now|sun|sat|mon|wed|mar|march|may|dec|second|at \d{1,2}|\d{1,2})$/

function parsed(text: string, locale: string, reference: Date): FoundDate[] {
  let results: ParsedResult[]
  try {
    results = dateParser(locale).parse(text, { instant: reference, timezone: 0 })
  } catch {
    return [] // a text the parser cannot read is stored without a date, as one without any
  }
  return results.slice(0, 16).flatMap((result) => {
    if (ordinaryWord.test(result.text.trim())) return []
    const date = toDate(result)
    // "in two hours" is mostly how long something took.
    const duration = date.grain === 'hour' && result.start.tags().has('result/relativeDate')
    return duration ? [] : [date]
  })
}

function toDate({ text, index, start, end }: ParsedResult): FoundDate {
  const grain = grainOf(text, start)
  const from = period(start, grain)
  const to = end ? period(end, grainOf(text, end)) : from
  const timed = start.isCertain('day') || start.isCertain('weekday')
  return {
    from: from.from,
    to: to.to,
    grain,
    text: text.trim(),
    index,
    exactness: exactnessOf(grain, start, timed),
    yearOpen: start.isCertain('month') && !start.isCertain('year'),
  }
}

function exactnessOf(grain: Grain, start: ParsedComponents, timed: boolean): number {
  if (grain === 'month' || grain === 'year' || grain === 'season') return 1
  const relative = start.tags().has('result/relativeDate')
  if (start.isCertain('day') && start.isCertain('month') && !relative) return 3
  return timed || grain === 'week' ? 2 : 0
}

const weekWord =
  /week(?!end|day)|woche(?!nend)|semaine|semana|settimana|недел|тижд|тижн|周(?![一二三四五六日])|週(?!末)|vecka|viikko|viikolla|tuần|minggu|أسبوع/iu
const monthWord =
  /month|monat|mois|mes(?:es)?\b|m[êe]s\b|mese|mesi|maand|месяц|місяц|个月|ヶ月|månad|kuukau|tháng (?:trước|sau|này)|bulan|شهر/iu
const yearWord =
  /year|jahr|\bans?\b|année|\baños?\b|\banos?\b|\banni?o?\b|jaar|\bгод|\bлет\b|去年|今年|明年|来年|\bår\b|vuo|năm|tahun|سنة|عام/iu

function grainOf(text: string, date: ParsedComponents): Grain {
  if (date.isCertain('minute') && date.isCertain('hour')) return 'hour'
  if (date.isCertain('weekday')) return 'day'
  const relative = date.tags().has('result/relativeDate')
  if (weekWord.test(text)) return 'week'
  if (relative && monthWord.test(text)) return 'month'
  if (relative && yearWord.test(text)) return 'year'
  if (date.isCertain('day') || !date.isCertain('year')) {
    return date.isCertain('month') && !date.isCertain('day') ? 'month' : 'day'
  }
  return date.isCertain('month') ? 'month' : 'year'
}

/** The calendar period of the grain around the date's components (weeks begin on Monday, ISO 8601). */
function period(date: ParsedComponents, grain: Grain): { from: Date; to: Date } {
  const year = date.get('year') ?? Number.NaN
  const month = (date.get('month') ?? 1) - 1
  const day = date.get('day') ?? 1
  switch (grain) {
    case 'hour':
      return span(Date.UTC(year, month, day, date.get('hour') ?? 0), hourMs)
    case 'week':
      return span(mondayOf(Date.UTC(year, month, day)), 7 * dayMs)
    case 'month':
      return between(Date.UTC(year, month), Date.UTC(year, month + 1))
    case 'year':
      return between(Date.UTC(year, 0), Date.UTC(year + 1, 0))
    case 'day':
    case 'weekend':
    case 'season':
      return span(Date.UTC(year, month, day), dayMs)
    default:
      return grain satisfies never
  }
}

/** The period in this year and the last ones, none that begins after now. */
function pastYears(date: FoundDate, now: Date): FoundDate[] {
  const year = now.getUTCFullYear()
  const moved = (time: Date, shift: number): Date => {
    const copy = new Date(time)
    copy.setUTCFullYear(time.getUTCFullYear() + shift)
    return copy
  }
  return Array.from({ length: yearsBack }, (_, index) => {
    const shift = year - index - date.from.getUTCFullYear()
    return { ...date, from: moved(date.from, shift), to: moved(date.to, shift) }
  }).filter((moment) => moment.from <= now)
}
