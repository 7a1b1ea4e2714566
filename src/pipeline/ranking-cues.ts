// What the wording of a question asks for, and which memories show it: people, time, place, number.
import type { RankCandidate, RankPeriod, RankRequest } from './fuse.ts'

const dayMs = 86_400_000

const asksWhen =
  /^\W*(when|how long|since when|(what|which|in what|in which|on what|on which) (year|month|date|day|week|season))\b|\bhow long\b/i
const asksWhere =
  /^\W*where\b|\b(what|which) (city|country|place|state|town|village|street|location)\b/i
const asksQuantity = /\bhow (many|much|often|old|far|big|tall)\b|\bnumber of\b/i
const asksLatest =
  /\b(latest|newest|most recent(ly)?|currently|current|nowadays|right now|these days|last time|as of now|at the moment)\b/i
const asksEarliest = /\b(earliest|oldest|first time|originally|at first|initially)\b/i
const firstPerson = /\b(i|me|my|mine|myself)\b/i

const holdsTime =
  /\b(yesterday|today|tonight|tomorrow|(last|next|this|past|coming) (night|week|weekend|month|year|summer|fall|autumn|winter|spring|mon|tue|wed|thu|fri|sat|sun)\w*|ago|since \w+|(two|three|four|five|six|few|couple of|\d+) (days|weeks|months|years)|(for|after|in) (an?|one|seven|eight|nine|ten|eleven|twelve) (day|week|month|year)s?|january|february|march|april|june|july|august|september|october|november|december|(mon|tues|wednes|thurs|fri|satur|sun)days?|(19|20)\d\d)\b/i
const holdsNumber =
  /\b(\d+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|once|twice|several|few|couple|dozen|half)\b/i
const holdsPlace = /\b(in|at|to|from|near|around|outside|of) (the )?\p{Lu}\p{L}+/u

/** What the question asks for. */
export interface Cues {
  readonly when: boolean
  readonly where: boolean
  readonly quantity: boolean
  /** 1 for the latest, -1 for the earliest, 0 when the question does not ask for either. */
  readonly order: -1 | 0 | 1
}

/** Reads the cues from the question's wording. English only: German and Spanish words for "when" lost more than they won. */
export function readCues(question: string): Cues {
  const latest = asksLatest.test(question)
  const earliest = asksEarliest.test(question)
  return {
    when: asksWhen.test(question),
    where: asksWhere.test(question),
    quantity: asksQuantity.test(question),
    order: latest === earliest ? 0 : latest ? 1 : -1,
  }
}

/** Whether a memory dates what it says: by a resolved date or by a word of time. */
export function datesItself(candidate: RankCandidate): boolean {
  return candidate.event !== null || holdsTime.test(candidate.text)
}

/** Whether a memory holds a number, as digits or as a word. */
export function holdsQuantity(text: string): boolean {
  return holdsNumber.test(text)
}

/** Whether a memory seems to name a place: a preposition before a capital. */
export function namesPlace(text: string): boolean {
  return holdsPlace.test(text)
}

/** Whether a memory is itself a question. */
export function isQuestion(text: string): boolean {
  return /[?？؟]["'”’)\]\s]*$/u.test(text)
}

/** Whether a memory asks something on the way, so that the next one may answer it. */
export function asksSomething(text: string): boolean {
  return /[?？؟]/u.test(text)
}

/** Speakers among the candidates that the question names, and the words it names them by. */
export interface NamedSpeakers {
  readonly speakers: ReadonlySet<string>
  readonly words: ReadonlySet<string>
}

/**
 * Finds the candidates' speakers in the question: a part of the name as a whole word, its first
 * letters when capitalised ("Mel" for Melanie), or "I" for the user of an assistant.
 */
export function findNamedSpeakers(
  question: string,
  candidates: readonly Pick<RankCandidate, 'speaker'>[],
): NamedSpeakers {
  const asked = question.match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
  const lower = new Set(asked.map((word) => word.toLowerCase()))
  const short = asked.filter((word) => word.length >= 3 && /^\p{Lu}\p{Ll}/u.test(word))
  const speakers = new Set<string>()
  const words = new Set<string>()
  const known = new Set<string>()
  for (const { speaker } of candidates) if (speaker !== null) known.add(speaker)
  for (const speaker of known) {
    const name = speaker.toLowerCase()
    if (firstPerson.test(question) && /^(user|human|me|customer)$/.test(name)) speakers.add(speaker)
    for (const part of name.match(/[\p{L}\p{M}\p{N}]+/gu) ?? []) {
      if (part.length < 2) continue
      const nickname = short.find((word) => part.startsWith(word.toLowerCase()))
      const word = lower.has(part) ? part : nickname?.toLowerCase()
      if (word === undefined) continue
      speakers.add(speaker)
      words.add(word)
    }
  }
  return { speakers, words }
}

/**
 * How near (0..1) a memory's own time is to a period of the question. People report an event on its
 * day or within some days after, so time after the period counts for a while.
 */
export function nearPeriod(at: Date, period: RankPeriod): number {
  const spanDays = (period.to.getTime() - period.from.getTime()) / dayMs
  const before = (period.from.getTime() - at.getTime()) / dayMs
  const after = (at.getTime() - period.to.getTime()) / dayMs
  if (spanDays > 100) return before <= 0 && after <= 0 ? 0.3 : 0
  if (spanDays > 20) return before <= 0 && after <= 0 ? 1 : after > 0 && after <= 31 ? 0.5 : 0
  if (before <= 1 && after <= 10) return 1
  return before <= 31 && after <= 31 ? 0.4 : 0
}

/** Share of agreement (0..1) between a memory's event and a period of the question. */
export function overlapsPeriod(event: RankPeriod, period: RankPeriod): number {
  const from = Math.max(event.from.getTime(), period.from.getTime())
  const to = Math.min(event.to.getTime(), period.to.getTime())
  if (to < from) return 0
  const spanDays = (period.to.getTime() - period.from.getTime()) / dayMs
  return spanDays > 100 ? 0.3 : 1
}

/** Best value over the question's periods; 0 without any. */
export function bestPeriod(request: RankRequest, value: (period: RankPeriod) => number): number {
  return request.dates.reduce((best, period) => Math.max(best, value(period)), 0)
}
