/** Distances from the day of the text that chrono-node does not read: "in twenty days", "pasado mañana", 两周前. */
import { englishNumber, englishNumbers, numberOf } from './date-numbers.ts'
import { dayMs, mondayOf, span, between, type FoundDate, type Grain } from './date-phrases.ts'

type Unit = Extract<Grain, 'day' | 'week' | 'month' | 'year'>

/** The relative dates of a language. In `ago` and `ahead`, N stands for a number and U for a unit. */
interface Wording {
  /** Number words in order from one; several for one number are joined by "|". */
  readonly numbers: readonly string[]
  /** Cheaper than the rules and true wherever one matches; without it, any of their words. */
  readonly gate?: RegExp
  readonly units: Readonly<Record<Unit, string>>
  readonly ago?: readonly string[]
  readonly ahead?: readonly string[]
  readonly fixed: readonly (readonly [words: string, unit: Unit, amount: number])[]
}

const englishUnits: Readonly<Record<Unit, string>> = {
  day: 'days?', week: 'weeks?', month: 'months?', year: 'years?',
} // prettier-ignore

const wordings: Readonly<Record<string, Wording>> = {
  // "In one day" is how much was done in it.
  en: {
    numbers: englishNumbers,
    gate: /(?:day|week|month|year|fortnight)s? (?:ago|from|after|before)|\b(?:with)?in (?:[\w-]+ ){1,5}(?:day|week|month|year|fortnight)/iu,
    units: englishUnits,
    ago: ['N U ago'],
    ahead: ['(?:with)?in (?!(?:an?|one) day)(?:about |around |just |another |the next )?N U(?: from now)?', 'N U from (?:now|today)'],
    fixed: [
      ['(?:the )?day after tomorrow', 'day', 2], ['(?:the )?day before yesterday', 'day', -2],
      ['(?:the )?week after next', 'week', 2], ['(?:with)?in a fortnight', 'week', 2], ['a fortnight ago', 'week', -2],
    ],
  },
  fr: {
    numbers: [], units: { day: 'jours?', week: 'semaines?', month: 'mois', year: 'ans?' },
    fixed: [['après-demain', 'day', 2], ['avant-hier', 'day', -2]],
  },
  es: {
    numbers: ['una?', 'dos', 'tres', 'cuatro', 'cinco', 'seis', 'siete', 'ocho', 'nueve', 'diez'],
    units: { day: 'días?', week: 'semanas?', month: 'mes(?:es)?', year: 'años?' },
    ago: ['hace N U'],
    fixed: [
      ['pasado mañana', 'day', 2], ['anteayer|antes de ayer', 'day', -2],
      ['semana pasada', 'week', -1], ['mes pasado', 'month', -1], ['año pasado', 'year', -1],
      ['próxima semana|semana (?:próxima|que viene)', 'week', 1], ['próximo mes|mes (?:próximo|que viene)', 'month', 1],
      ['próximo año|año (?:próximo|que viene)', 'year', 1], ['esta semana', 'week', 0],
    ],
  },
  pt: {
    numbers: ['uma?', 'dois|duas', 'três', 'quatro', 'cinco', 'seis', 'sete', 'oito', 'nove', 'dez'],
    units: { day: 'dias?', week: 'semanas?', month: 'mês|meses', year: 'anos?' },
    ago: ['há N U', 'N U atrás'], ahead: ['(?:em|daqui a|dentro de) N U'],
    fixed: [
      ['depois de amanhã', 'day', 2], ['anteontem', 'day', -2],
      ['semana passada', 'week', -1], ['mês passado', 'month', -1], ['ano passado', 'year', -1],
      ['próxima semana|semana que vem', 'week', 1], ['próximo mês|mês que vem', 'month', 1],
      ['próximo ano|ano que vem', 'year', 1], ['esta semana', 'week', 0],
    ],
  },
  it: {
    numbers: [], units: { day: 'giorn[oi]', week: 'settiman[ae]', month: 'mes[ei]', year: 'ann[oi]' },
    fixed: [["(?:l')?altro ieri", 'day', -2]],
  },
  nl: {
    numbers: [], units: { day: 'dag(?:en)?', week: 'we(?:ek|ken)', month: 'maand(?:en)?', year: 'jaar' },
    fixed: [['overmorgen', 'day', 2], ['eergisteren', 'day', -2]],
  },
  sv: {
    numbers: ['en|ett', 'två', 'tre', 'fyra', 'fem', 'sex', 'sju', 'åtta', 'nio', 'tio'],
    units: { day: 'dag(?:ar)?', week: 'veck(?:a|or)', month: 'månad(?:er)?', year: 'år' },
    ago: ['för N U sedan'], ahead: ['om N U'],
    fixed: [
      ['i ?går', 'day', -1], ['i ?dag', 'day', 0], ['i ?morgon', 'day', 1], ['i ?övermorgon', 'day', 2],
      ['förra veckan', 'week', -1], ['nästa vecka', 'week', 1], ['förra månaden', 'month', -1],
      ['nästa månad', 'month', 1], ['förra året|i fjol', 'year', -1], ['nästa år', 'year', 1],
    ],
  },
  fi: {
    numbers: ['yhden', 'kahden', 'kolmen', 'neljän', 'viiden', 'kuuden', 'seitsemän'],
    units: { day: 'päivän', week: 'viikon', month: 'kuukauden', year: 'vuoden' },
    ahead: ['N U (?:päästä|kuluttua)'],
    fixed: [
      ['viime viikolla', 'week', -1], ['ensi viikolla', 'week', 1], ['viime kuussa', 'month', -1],
      ['ensi kuussa', 'month', 1], ['viime vuonna', 'year', -1], ['ensi vuonna', 'year', 1],
    ],
  },
  vi: { numbers: [], units: englishUnits, fixed: [['năm ngoái', 'year', -1]] },
  zh: {
    numbers: ['一', '二|两', '三', '四', '五', '六', '七', '八', '九', '十'],
    units: { day: '天', week: '周|个?星期', month: '个月', year: '年' },
    ago: ['NU[之以]?前'], ahead: ['NU[之以]?后'],
    fixed: [
      ['昨天', 'day', -1],
      ['今天', 'day', 0],
      ['明天', 'day', 1],
      ['前天', 'day', -2],
      ['后天', 'day', 2], ['上个?(?:周|星期)(?![一二三四五六日天末])', 'week', -1],
      ['下个?(?:周|星期)(?![一二三四五六日天末])', 'week', 1], ['上个月', 'month', -1], ['下个月', 'month', 1],
      ['去年', 'year', -1], ['明年', 'year', 1],
    ],
  },
  ja: {
    numbers: ['一', '二', '三', '四', '五', '六', '七', '八', '九', '十'],
    units: { day: '日', week: '週間', month: '[かヶカ]月', year: '年' },
    ago: ['NU前'], ahead: ['NU後'],
    fixed: [
      ['明後日|あさって', 'day', 2], ['一昨日|おととい', 'day', -2], ['先週(?!末|の.曜)', 'week', -1],
      ['来週(?!末|の.曜)', 'week', 1], ['先月', 'month', -1], ['来月', 'month', 1], ['去年', 'year', -1],
      ['来年', 'year', 1],
    ],
  },
} // prettier-ignore

/** A pattern with the meaning of what it matches. */
interface Rule {
  readonly pattern: RegExp
  readonly read: (groups: Readonly<Record<string, string | undefined>>) => readonly [Unit, number]
}

const unitNames: readonly Unit[] = ['day', 'week', 'month', 'year']
interface Rules {
  /** One of its words is in each text that a rule matches; most texts have none. */
  readonly gate: RegExp
  readonly all: readonly Rule[]
}
const compiled = new Map<string, Rules>()

function rulesOf(locale: string, wording: Wording): Rules {
  const known = compiled.get(locale)
  if (known) return known
  const words = [...Object.values(wording.units), ...wording.fixed.map(([fixed]) => fixed)]
  const all = [...fixedRules(wording), ...countedRules(wording)]
  const made = { gate: wording.gate ?? new RegExp(words.join('|'), 'iu'), all }
  compiled.set(locale, made)
  return made
}

/** Whole words; Chinese and Japanese write none, and their digits would split a number. */
const whole = (source: string): RegExp =>
  /[\u3040-\u9fff]/u.test(source)
    ? new RegExp(source, 'giu')
    : new RegExp(`(?<![\\p{L}\\d])(?:${source})(?![\\p{L}\\d])`, 'giu')

function fixedRules({ fixed }: Wording): Rule[] {
  return fixed.map(([words, unit, amount]) => ({
    pattern: whole(words),
    read: () => [unit, amount],
  }))
}

function countedRules({ numbers, units, ago = [], ahead = [] }: Wording): Rule[] {
  const number = `(?<number>(?<!\\d)\\d{1,3}|${numbers === englishNumbers ? englishNumber : numbers.join('|')})`
  const unit = `(?:${unitNames.map((name) => `(?<${name}>${units[name]})`).join('|')})`
  const rule = (template: string, sign: number): Rule => ({
    pattern: whole(template.replace('N', () => number).replace('U', () => unit)),
    read: (groups) => {
      const name = unitNames.find((candidate) => groups[candidate] !== undefined) ?? 'day'
      return [name, sign * numberOf(groups['number'] ?? '', numbers)]
    },
  })
  return [
    ...ago.map((template) => rule(template, -1)),
    ...ahead.map((template) => rule(template, 1)),
  ]
}

/** Relative dates of the language in no order; may overlap. */
export function* findRelative(text: string, locale: string, reference: Date): Generator<FoundDate> {
  const wording = wordings[locale]
  if (!wording) return
  const { gate, all } = rulesOf(locale, wording)
  if (!gate.test(text)) return
  for (const { pattern, read } of all) {
    for (const match of text.matchAll(pattern)) {
      const [unit, amount] = read(match.groups ?? {})
      yield {
        ...shifted(reference, unit, amount),
        grain: unit,
        text: match[0],
        index: match.index,
        exactness: unit === 'day' || unit === 'week' ? 2 : 1,
        open: null,
        isDistance: amount > 0 && match.groups?.['number'] !== undefined,
      }
    }
  }
}

/** The calendar unit so many units from the one that holds the time; ISO 8601 weeks. */
function shifted(reference: Date, unit: Unit, amount: number): { from: Date; to: Date } {
  const time = reference.getTime()
  const [year, month] = [reference.getUTCFullYear(), reference.getUTCMonth()]
  switch (unit) {
    case 'day':
      return span((Math.floor(time / dayMs) + amount) * dayMs, dayMs)
    case 'week':
      return span(mondayOf(time + amount * 7 * dayMs), 7 * dayMs)
    case 'month':
      return between(Date.UTC(year, month + amount), Date.UTC(year, month + amount + 1))
    case 'year':
      return between(Date.UTC(year + amount, 0), Date.UTC(year + amount + 1, 0))
    default:
      return unit satisfies never
  }
}
