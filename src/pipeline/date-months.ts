/** Days and months that chrono-node misreads or leaves out: "from 3 to 5 May", "next May", "im Mai". */
import { between, dayMs, type FoundDate } from './date-phrases.ts'

interface MonthWording {
  /** In order. */
  readonly names: readonly string[]
  /** M stands for a month, D for a day, Y for a year that may be missing; here and below. */
  readonly ranges: readonly string[]
  /** Months without a day, where chrono-node does not read them. */
  readonly alone?: readonly string[]
}

const day = '(?:the )?D(?:st|nd|rd|th)?'
const to = ' ?(?:to|-|–|until|till|through|and) ?'

const wordings: Readonly<Record<string, MonthWording>> = {
  en: {
    names: ['jan(?:uary)?', 'feb(?:ruary)?', 'mar(?:ch)?', 'apr(?:il)?', 'may', 'june?', 'july?', 'aug(?:ust)?', 'sept?(?:ember)?', 'oct(?:ober)?', 'nov(?:ember)?', 'dec(?:ember)?'],
    ranges: [`(?:from |between )?${day}${to}${day}(?: of)? MY`, `(?:from |between )?M ${day}${to}${day}(?!\\d|:)Y`],
  },
  de: {
    names: ['januar', 'februar', 'märz', 'april', 'mai', 'juni', 'juli', 'august', 'september', 'oktober', 'november', 'dezember'],
    ranges: [], alone: ['(?:im|ende|anfang|mitte|seit|bis|ab) MY', '(?<=letzten |nächsten )MY'],
  },
  fr: {
    names: ['janvier', 'février', 'mars', 'avril', 'mai', 'juin', 'juillet', 'août', 'septembre', 'octobre', 'novembre', 'décembre'],
    ranges: [], alone: ['(?:en|fin|début|depuis|jusqu.en) MY', 'M(?= (?:dernier|prochain))'],
  },
  es: {
    names: ['enero', 'febrero', 'marzo', 'abril', 'mayo', 'junio', 'julio', 'agosto', 'septiembre', 'octubre', 'noviembre', 'diciembre'],
    ranges: ['(?:del? |entre el )?D (?:al?|y el) D de MY'],
  },
  pt: {
    names: ['janeiro', 'fevereiro', 'março', 'abril', 'maio', 'junho', 'julho', 'agosto', 'setembro', 'outubro', 'novembro', 'dezembro'],
    ranges: ['(?:de |entre )?D (?:a|e) D de MY'], alone: ['(?:em|desde|até) MY'],
  },
  sv: {
    names: ['januari', 'februari', 'mars', 'april', 'maj', 'juni', 'juli', 'augusti', 'september', 'oktober', 'november', 'december'],
    ranges: [], alone: ['(?:i|sedan|till) MY'],
  },
} // prettier-ignore

/** English months that are also words: only capitalised, and after a word that makes them a month. */
const englishAlone =
  /(?<=\b(?:last|next|this|coming|early|mid|late|since|until|till|during|through|of|by|end of) |\bmid-)(May|March)\b(?!,? \d)/g

interface Patterns {
  readonly ranges: readonly RegExp[]
  readonly alone: readonly RegExp[]
}
const compiled = new Map<string, Patterns>()

function patternsOf(locale: string, { names, ranges, alone = [] }: MonthWording): Patterns {
  const known = compiled.get(locale)
  if (known) return known
  const month = names.map((name, index) => `(?<m${index}>${name})`).join('|')
  const compile = (template: string): RegExp => {
    let days = 0
    const source = template
      .replaceAll('M', () => `(?:${month})`)
      .replaceAll('D', () => `(?<d${(days += 1)}>\\d{1,2})`)
      .replaceAll('Y', () => '(?:,?(?: de)? (?<year>(?:19|20)\\d\\d))?')
    return new RegExp(`(?<![\\p{L}\\d.:/-])(?:${source})(?![\\p{L}\\d])`, 'giu')
  }
  const made = { ranges: ranges.map(compile), alone: alone.map(compile) }
  compiled.set(locale, made)
  return made
}

/** Ranges of days and single months of the language, in no order; may overlap. */
export function* findMonths(text: string, locale: string, reference: Date): Generator<FoundDate> {
  const wording = wordings[locale]
  if (!wording) return
  const year = reference.getUTCFullYear()
  const { ranges, alone } = patternsOf(locale, wording)
  for (const match of ranges.flatMap((pattern) => [...text.matchAll(pattern)])) {
    const found = daysOf(match, year)
    if (found) yield found
  }
  for (const match of alone.flatMap((pattern) => [...text.matchAll(pattern)])) {
    yield monthOf(match, monthIn(match), year)
  }
  if (locale !== 'en') return
  for (const match of text.matchAll(englishAlone)) {
    yield monthOf(match, match[1] === 'May' ? 4 : 2, year)
  }
}

const monthIn = ({ groups = {} }: RegExpExecArray): number =>
  Array.from({ length: 12 }, (_, month) => month).find((at) => groups[`m${at}`] !== undefined) ?? 0

function daysOf(match: RegExpExecArray, thisYear: number): FoundDate | null {
  const [first, last] = [Number(match.groups?.['d1']), Number(match.groups?.['d2'])]
  const named = match.groups?.['year']
  const [year, month] = [named === undefined ? thisYear : Number(named), monthIn(match)]
  const end = Date.UTC(year, month, last + 1)
  // A day that the month does not have is no day.
  if (first < 1 || first >= last || new Date(end - dayMs).getUTCMonth() !== month) return null
  return {
    ...between(Date.UTC(year, month, first), end),
    grain: 'day',
    text: match[0],
    index: match.index,
    exactness: 3,
    open: named === undefined ? 'year' : null,
  }
}

function monthOf(match: RegExpExecArray, month: number, thisYear: number): FoundDate {
  const named = match.groups?.['year']
  const year = named === undefined ? thisYear : Number(named)
  return {
    ...between(Date.UTC(year, month), Date.UTC(year, month + 1)),
    grain: 'month',
    text: match[0],
    index: match.index,
    exactness: 1,
    open: named === undefined ? 'year' : null,
  }
}
