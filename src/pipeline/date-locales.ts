/** Which languages' dates a text may hold, by cheap patterns; chrono-node's parsers, loaded when needed. */
import { createRequire } from 'node:module'
import type { ParsedResult } from 'chrono-node'

/** What every locale of chrono-node exports; `instant` and an offset of 0 make it work in UTC. */
interface Parser {
  parse(text: string, reference: { instant: Date; timezone: number }): ParsedResult[]
}

/**
 * Words that only the language's dates hold, most telling first. A text is parsed in the first
 * language that matches, else in English: fifteen parsers on each text would cost 2 ms.
 */
const localePatterns: readonly (readonly [string, RegExp])[] = [
  ['ja', /[昨今明]日|先週|来週|先月|来月|去年|来年|[一-龠]曜日|(?=.*[\u3040-\u30ff])\d年/u],
  ['zh', /昨天|今天|明天|前天|上周|下周|上个|下个|去年|明年|星期|周[一二三四五六日]|\d年\d|[两三\d]天前/u],
  ['ru', /вчера|сегодня|завтра|недел|месяц|назад|прошл|(?:январ|феврал|март|апрел|июн|июл|август|сентябр|октябр|ноябр|декабр)[ьяе]|понедельник|вторник|четверг|пятниц|суббот|\d+ мая/iu],
  ['uk', /вчора|сьогодні|тижн|місяц|минул|понеділ|вівтор|п.ятниц|(?:січ|лют|берез|квіт|трав|черв|лип|серп|верес|жовт|листопад|груд)н/iu],
  ['ar', /أمس|اليوم|غدا|الأسبوع|الشهر الماضي|يناير|فبراير|مارس|أبريل|مايو|يونيو|يوليو|أغسطس|سبتمبر|أكتوبر|نوفمبر|ديسمبر/u],
  ['vi', /hôm qua|hôm nay|ngày mai|tuần trước|tháng \d|ngày \d/iu],
  ['de', /\b(?:gestern|vorgestern|heute|letzte[nrs]?|vorige[nrs]?|nächste[nrs]?|vor \w+ (?:tage?n?|wochen?|monate?n?|jahre?n?)|januar|februar|märz|mai|juni|juli|oktober|dezember|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag)\b/iu],
  ['fr', /\b(?:hier|avant-hier|aujourd.hui|demain|dernière?|prochaine?|il y a|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche)(?!\p{L})/iu],
  ['es', /\b(?:ayer|anteayer|hoy|mañana|pasad[oa]|próxim[oa]|hace|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|lunes|martes|miércoles|jueves|viernes|sábado|domingo)\b/iu],
  ['pt', /\b(?:ontem|anteontem|hoje|amanhã|semana|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro|segunda|terça|quarta|quinta|sexta)(?!\p{L})/iu],
  ['it', /\b(?:ieri|oggi|domani|scors[oa]|prossim[oa]|gennaio|febbraio|aprile|maggio|giugno|luglio|agosto|settembre|ottobre|dicembre|lunedì|martedì|mercoledì|giovedì|venerdì|sabato|domenica)(?!\p{L})/iu],
  ['nl', /\b(?:gisteren|eergisteren|vandaag|morgen|vorige|volgende|geleden|januari|februari|maart|mei|augustus|maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag)\b/iu],
  ['sv', /(?<!\p{L})(?:igår|idag|imorgon|förra|nästa|sedan|januari|februari|maj|augusti|måndag|tisdag|onsdag|torsdag|fredag|lördag|söndag)(?!\p{L})/iu],
  ['fi', /(?<!\p{L})(?:eilen|tänään|huomenna|viime|ensi|sitten|\p{L}+kuuta|maanantai|tiistai|keskiviikko|torstai|perjantai|lauantai|sunnuntai)\p{L}*/iu],
  ['id', /\b(?:kemarin|hari ini|besok|minggu lalu|bulan lalu|tahun lalu|januari|februari|maret|mei|juni|juli|agustus|oktober|desember)\b/iu],
] // prettier-ignore

const englishPattern =
  /\d|\b(?:yesterday|today|tonight|tomorrow|ago|last|next|this|past|coming|week|month|year|morning|afternoon|evening|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b/i

/** The chrono-node locale to read the text with, undefined when it holds no date. */
export function dateLocale(text: string): string | undefined {
  const found = localePatterns.find(([, pattern]) => pattern.test(text))?.[0]
  return found ?? (englishPattern.test(text) ? 'en' : undefined)
}

const require = createRequire(import.meta.url)
const parsers = new Map<string, Parser>()

/**
 * The locale's casual parser. Loaded on first use and synchronously (about 20 ms): at start it
 * would cost every process, and the whole package 220 ms.
 */
export function dateParser(locale: string): Parser {
  let parser = parsers.get(locale)
  if (!parser) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- require has no types; each locale exports `casual`
    parser = (require(`chrono-node/${locale}`) as { casual: Parser }).casual
    parsers.set(locale, parser)
  }
  return parser
}
