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
import { aim, inYears, namesItsWeek, type Outlook } from './date-direction.ts'
import { dateLocales, dateParser } from './date-locales.ts'
import { findMonths } from './date-months.ts'
import { findRelative } from './date-relative.ts'

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

/**
 * The date of what the text tells: the most exact one, the first of equals; null without one. A task looks
 * ahead where the text does not say. Never throws.
 */
export function resolveDates(
  text: string,
  occurredAt: Date,
  outlook: Exclude<Outlook, 'question'> = 'memory',
): ResolvedDate | null {
  const dates = findDates(text.slice(0, charactersMax), occurredAt, outlook)
  const best = dates.toSorted((a, b) => b.exactness - a.exactness || a.index - b.index)[0]
  return best ? { from: best.from, to: best.to, grain: best.grain, text: best.text } : null
}

/** Periods named in a question, at most 12; one without its year is given for each of the last years. Never throws. */
export function questionDates(question: string, now: Date): QuestionPeriod[] {
  return findDates(question.slice(0, questionCharactersMax), now, 'question')
    .flatMap((date) => (date.open === 'year' ? pastYears(date, now) : [date]))
    .map(
      ({ from, to, grain }) => ({ from, to, grain: grain === 'weekend' ? 'day' : grain }) as const,
    )
    .slice(0, periodsMax)
}

/** The dates of the first language that has any, in the order of the text. */
function findDates(text: string, reference: Date, outlook: Outlook): FoundDate[] {
  if (Number.isNaN(reference.getTime())) return []
  for (const locale of dateLocales(text)) {
    const dates = datesOf(text, locale, reference, outlook)
    if (dates.length > 0) return dates
  }
  return []
}

function datesOf(text: string, locale: string, reference: Date, outlook: Outlook): FoundDate[] {
  return [
    ...findPhrases(text, reference),
    ...findRelative(text, locale, reference),
    ...findMonths(text, locale, reference),
    ...parsed(text, locale, reference),
  ]
    .toSorted((a, b) => a.index - b.index || b.text.length - a.text.length)
    .filter((date, position, all) => !all.slice(0, position).some((other) => covers(other, date)))
    .flatMap((date) => aim(date, text, locale, reference, outlook) ?? [])
    .filter(({ from, to }) => isStorableInstant(from) && isStorableInstant(to) && from <= to)
}

/** "summer of 2019" also holds "2019". */
function covers(other: FoundDate, date: FoundDate): boolean {
  return date.index < other.index + other.text.length
}

/** Words that chrono-node reads as a date and people mostly do not mean as one. */
const ordinaryWord =
  /^(?:now|right now|[Ss]un|[Ss]at|SAT|[Mm]on|[Ww]ed|mar|march|may|dec|second|at \d{1,2}|(?:from |del? |das? |von )?\d{1,2}(?: ?(?:to|-|–|until|till|al?|bis) ?\d{1,2})?)$/

/** "for three years" and "in one day" are how long; "two days before the wedding" is reckoned from what is not known. */
const unknownDistance = /^(?:for|after)\b|^in (?:a|one) day$|\b(?:before|after|from)$/i

/** chrono-node ends a word at an accented letter: "Augustów" is no August. */
const accentedLetter = /^(?![a-z])\p{Script=Latin}/iu

function parsed(text: string, locale: string, reference: Date): FoundDate[] {
  let results: ParsedResult[]
  try {
    // chrono-node takes "two weeks from 5 May" for two weeks before it.
    const readable =
      locale === 'en'
        ? text.replace(/\b((?:day|week|month|year)s?) from(?= (?:the |[a-z]+ )?\d)/gi, '$1 after')
        : text
    results = dateParser(locale).parse(readable, { instant: reference, timezone: 0 })
  } catch {
    return [] // a text the parser cannot read is stored without a date, as one without any
  }
  return results.slice(0, 16).flatMap((result) => {
    if (ordinaryWord.test(result.text.trim()) || unknownDistance.test(result.text)) return []
    if (accentedLetter.test(text.slice(result.index + result.text.length))) return []
    const date = toDate(result, reference)
    // "in two hours" is mostly how long something took.
    const duration = date.grain === 'hour' && result.start.tags().has('result/relativeDate')
    return duration ? [] : [date]
  })
}

function toDate({ text, index, start, end }: ParsedResult, reference: Date): FoundDate {
  const grain = grainOf(text, start)
  const isRelative = start.tags().has('result/relativeDate')
  const from = period(start, grain, isRelative && reckoned.test(text))
  const to = end ? period(end, grainOf(text, end)) : from
  const timed = start.isCertain('day') || start.isCertain('weekday')
  return {
    from: from.from,
    to: to.to,
    grain,
    text: text.trim(),
    index,
    exactness: exactnessOf(grain, start, timed),
    open: openOf(text, start),
    isDistance: isRelative && from.from > reference && !namesItsWeek(text),
  }
}

function openOf(text: string, start: ParsedComponents): FoundDate['open'] {
  if (start.isCertain('month')) return start.isCertain('year') ? null : 'year'
  const isWeekday = start.isCertain('weekday') && !start.isCertain('day')
  return isWeekday && !namesItsWeek(text) ? 'weekday' : null
}

function exactnessOf(grain: Grain, start: ParsedComponents, timed: boolean): number {
  if (grain === 'month' || grain === 'year' || grain === 'season') return 1
  const relative = start.tags().has('result/relativeDate')
  if (start.isCertain('day') && start.isCertain('month') && !relative) return 3
  return timed || grain === 'week' ? 2 : 0
}

const weekWord =
  /week(?!end|day)|woche(?!nend)|semaine|semana|settiman|недел|тижд|тижн|周(?![一二三四五六日])|週(?!末)|weken|veck|viik|tuần|minggu|أسبوع/iu
const monthWord =
  /month|monat|mois|mes(?:es)?\b|m[êe]s\b|mese|mesi|maand|месяц|місяц|个月|ヶ月|månad|kuukau|tháng (?:trước|sau|này)|bulan|شهر/iu
const yearWord =
  /year|jahr|\bans?\b|année|\baños?\b|\banos?\b|\banni?o?\b|jaar|\bгод|\bлет\b|去年|今年|明年|来年|\bår\b|vuo|năm|tahun|سنة|عام/iu

/** Reckoned from another date, chrono-node names the day by the local clock; its instant is right. */
const reckoned = /\b(?:after|before|since) (?!now\b|today\b)/iu
/** Of a week or month only its last day is meant. */
const lastDay = /^(?:the )?(?:end|last day) of/iu

function grainOf(text: string, date: ParsedComponents): Grain {
  if (date.isCertain('minute') && date.isCertain('hour')) return 'hour'
  if (date.isCertain('weekday')) return 'day'
  const relative = date.tags().has('result/relativeDate')
  if (relative && lastDay.test(text)) return 'day'
  if (weekWord.test(text)) return 'week'
  if (relative && monthWord.test(text)) return 'month'
  if (relative && yearWord.test(text)) return 'year'
  if (date.isCertain('day') || !date.isCertain('year')) {
    return date.isCertain('month') && !date.isCertain('day') ? 'month' : 'day'
  }
  return date.isCertain('month') ? 'month' : 'year'
}

/** The calendar period of the grain around the date's components (weeks begin on Monday, ISO 8601). */
function period(date: ParsedComponents, grain: Grain, isInstant = false): { from: Date; to: Date } {
  const at = date.date()
  const year = isInstant ? at.getUTCFullYear() : (date.get('year') ?? Number.NaN)
  const month = isInstant ? at.getUTCMonth() : (date.get('month') ?? 1) - 1
  const day = isInstant ? at.getUTCDate() : (date.get('day') ?? 1)
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
  const years = now.getUTCFullYear() - date.from.getUTCFullYear()
  return Array.from({ length: yearsBack }, (_, index) => inYears(date, years - index)).filter(
    (moment) => moment.from <= now,
  )
}
