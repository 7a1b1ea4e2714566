/** Which languages' dates a text may hold, by cheap patterns; chrono-node's parsers, loaded when needed. */
import { createRequire } from 'node:module'
import type { ParsedResult } from 'chrono-node'

/** What every locale of chrono-node exports; `instant` and an offset of 0 make it work in UTC. */
interface Parser {
  parse(text: string, reference: { instant: Date; timezone: number }): ParsedResult[]
}

/** Fifteen parsers on each text would cost 2 ms. */
const localesMax = 3

/**
 * Words that only the language's dates hold. A month or day that is also a name or a word of another
 * language (Mars, Mai, mayo, Julio, Domingo, sedan) counts only with what stands beside it in a date.
 */
const otherScripts: readonly (readonly [string, RegExp])[] = [
  ['ja', /[昨今明]日|明後日|あさって|おととい|先週|来週|先月|来月|去年|来年|[一-龠]曜日|(?=.*[\u3040-\u30ff])\d(?:年|週間|[日月][前後])/u],
  ['zh', /[昨今明前后]天|[上下本]周|上个|下个|去年|明年|星期|周[一二三四五六日]|\d年\d|\d月|[一二两三四五六七八九十\d](?:天|周|个月|年)[之以]?[前后]/u],
  ['ru', /вчера|сегодня|завтра|через|недел|месяц|назад|прошл|(?:январ|феврал|март|апрел|июн|июл|август|сентябр|октябр|ноябр|декабр)[ьяе]|понедельник|вторник|(?<!\p{L})сред[ау]|четверг|пятниц|суббот|воскресенье|\d+ мая|(?<!\p{L})в мае(?!\p{L})/iu],
  ['uk', /вчора|сьогодні|завтра|через|тижн|місяц|тому(?!\p{L})|минул|наступн|понеділ|вівтор|п.ятниц|(?:січ|лют|берез|квіт|трав|черв|лип|серп|верес|жовт|листопад|груд)н/iu],
  ['ar', /أمس|اليوم|غدا|بعد غد|الأسبوع|الشهر|العام|يومين|أسبوعين|(?:قبل|منذ|بعد|خلال) \d|الجمعة|السبت|الأحد|الاثنين|الإثنين|الثلاثاء|الأربعاء|الخميس|يناير|فبراير|مارس|أبريل|مايو|يونيو|يوليو|أغسطس|سبتمبر|أكتوبر|نوفمبر|ديسمبر/u],
] // prettier-ignore

/** A language, the words of which a date in it has one, and the pattern of the date. */
const latin: readonly (readonly [string, string, RegExp])[] = [
  // Before German, which has the same months.
  ['nl', 'april mei juni juli september oktober november december', /\b(?:op|van|tot|vanaf|sinds|begin|eind|half) (?:\d{1,2} )?(?:april|mei|juni|juli|september|oktober|november|december)\b/iu],
  ['de', 'gestern vorgestern heute übermorgen letzte letzten letzter letztes letztem vorige vorigen voriger voriges vorigem nächste nächsten nächster nächstes nächstem übernächste übernächsten kommende kommenden kommender kommendes tag tage tagen woche wochen monat monate monaten jahr jahre jahren stunde stunden januar februar märz april mai juni juli august september oktober november dezember montag dienstag mittwoch donnerstag freitag samstag sonntag', /\b(?:(?:vor)?gestern|heute|übermorgen|letzte[nrms]?|vorige[nrms]?|(?:über)?nächste[nrms]?|kommende[nrms]?|vor \w+ (?:tage?n?|wochen?|monate?n?|jahre?n?)|(?:in|binnen) \w+ (?:tage?n?|wochen?|monate?n?|jahre?n?|stunden?)|januar|februar|märz|dezember|(?:\d{1,2}\. ?|im |ende |anfang |mitte |seit |bis |ab )(?:april|mai|juni|juli|august|september|oktober|november)|\d{1,2} (?:mai|juni|juli|oktober)|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag)(?!\p{L})|(?<!\p{L})übermorgen/iu],
  ['fr', 'hier demain aujourd dernier dernière derniers dernières prochain prochaine prochains prochaines y jour jours semaine semaines mois an ans heure heures janvier février mars avril mai juin juillet août septembre octobre novembre décembre lundi mardi mercredi jeudi vendredi samedi dimanche', /(?<!\p{L})(?:hier (?:soir|matin|après)|avant-hier|aujourd.hui|(?:après-)?demain|derni(?:er|ère)s?|prochaine?s?|il y a|(?:dans|d'ici) [\p{L}\d]+ (?:jours?|semaines?|mois|ans?|heures?)|janvier|février|juillet|août|septembre|octobre|novembre|décembre|(?:\d|1er|en|fin|début|mi-?|depuis|jusqu.en|de) ?(?:mars|avril|mai|juin)|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche)(?!\p{L})/iu],
  // "hier" is "here" in German and Dutch.
  ['fr', 'hier', /^(?![\s\S]*\b(?:ich|ist|wir|und|der|die|das|nicht|sind|het|een|zijn|ben|er)\b)(?:[\s\S]*[^\p{L}-])?hier\b/iu],
  ['es', 'ayer anteayer hoy mañana pasado pasada próximo próxima viene hace día días semana semanas mes meses año años enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre lunes martes miércoles jueves viernes sábado domingo', /(?<!\p{L})(?:ayer|anteayer|hoy|mañana|pasad[oa]|próxim[oa]|que viene|hace|(?:dentro de|en) [\p{L}\d]+ (?:días?|semanas?|mes(?:es)?|años?)|enero|febrero|agosto|septiembre|octubre|noviembre|diciembre|(?:\d{1,2} de|en|de|desde|hasta|este) (?:marzo|abril|mayo|junio|julio)|lunes|martes|miércoles|jueves|viernes|sábado|(?:el|este|del?) domingo)(?!\p{L})/iu],
  ['pt', 'ontem anteontem hoje amanhã passado passada próximo próxima vem dia dias semana semanas mês meses ano anos janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro segunda terça quarta quinta sexta', /(?<!\p{L})(?:ontem|anteontem|hoje|amanhã|passad[oa]|próxim[oa]|que vem|(?:semana|mês|ano) \p{L}+|há [\p{L}\d]+ (?:dias?|semanas?|mes(?:es)?|anos?)|(?:dias?|semanas?|meses|anos?) atrás|(?:em|daqui a|dentro de) [\p{L}\d]+ (?:dias?|semanas?|mês|meses|anos?)|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro|(?:\d{1,2} de|em) (?:abril|agosto)|(?:segunda|terça|quarta|quinta|sexta)-feira|(?:na|nesta|até|última) (?:segunda|terça|quarta|quinta|sexta))(?!\p{L})/iu],
  ['it', 'ieri oggi domani dopodomani scorso scorsa prossimo prossima giorno giorni settimana settimane mese mesi anno anni gennaio febbraio aprile maggio giugno luglio agosto settembre ottobre dicembre lunedì martedì mercoledì giovedì venerdì', /(?<!\p{L})(?:ieri|oggi|(?:dopo)?domani|scors[oa]|prossim[oa]|(?:tra|fra|entro) [\p{L}\d]+ (?:giorn[oi]|settiman[ae]|mes[ei]|ann[oi])|(?:giorn[oi]|settiman[ae]|mes[ei]|ann[oi]) fa|gennaio|febbraio|(?:\d|in|ad?|di|da|fine|inizio|metà) (?:aprile|maggio|luglio)|giugno|agosto|settembre|ottobre|dicembre|lunedì|martedì|mercoledì|giovedì|venerdì)(?!\p{L})/iu],
  // Names are capitalised, days are not, but for the first word.
  ['it', 'sabato domenica', /(?:(?:^|[.!?]\s)[sS]|(?<!\p{L})s)abato\b|(?:(?:^|[.!?]\s)[dD]|(?<!\p{L})d)omenica\b/u],
  ['nl', 'gisteren eergisteren vandaag overmorgen vorig vorige volgend volgende komende geleden dag dagen week weken maand maanden jaar uur januari februari maart mei augustus maandag dinsdag woensdag donderdag vrijdag zaterdag zondag', /\b(?:gisteren|eergisteren|vandaag|overmorgen|vorige?|volgende?|komende|geleden|(?:over|binnen) \w+ (?:dag(?:en)?|we(?:ek|ken)|maand(?:en)?|jaar|uur)|januari|februari|maart|(?:\d|in|eind|begin|half|vanaf|tot|sinds) (?:mei|augustus)|maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag)\b/iu],
  // German too; as a noun it is the time of day.
  ['nl', 'morgen', /(?<!(?:guten|heute|gestern|jeden|goede|ieder[en]|elke|diesen|deze|am|der|den|de|'s)\s)(?:(?:^|[.!?]\s)[mM]|\bm)orgen\b/iu],
  ['sv', 'igår går förrgår idag dag dagar imorgon morgon övermorgon iövermorgon förra nästa vecka veckor månad månader år januari februari mars april maj juni juli augusti september oktober november december måndag tisdag onsdag torsdag fredag lördag söndag', /(?<!\p{L})(?:i ?går|i ?dag|i ?morgon|i ?övermorgon|i förrgår|förra|nästa|(?:dag(?:ar)?|veck(?:a|or)|månad(?:er)?|år) sedan|om [\p{L}\d]+ (?:dag(?:ar)?|veck(?:a|or)|månad(?:er)?|år)|januari|februari|\d{1,2} (?:mars|maj|oktober)|i (?:mars|april|maj|juni|juli|september|oktober|november|december)|augusti|måndag|tisdag|onsdag|torsdag|fredag|lördag|söndag)(?!\p{L})/iu],
  ['fi', 'eilen tänään huomenna ylihuomenna toissapäivänä viime ensi tänä sitten päästä kuluttua tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta maanantai tiistai keskiviikko torstai perjantai lauantai sunnuntai maanantaina tiistaina keskiviikkona torstaina perjantaina lauantaina sunnuntaina', /(?<!\p{L})(?:eilen|tänään|(?:yli)?huomenna|toissapäivänä|(?:viime|ensi|tänä) (?:viiko|kuu|vuon|kesä|talv|syks|kevä|maanantai|tiistai|keskiviikko|torstai|perjantai|lauantai|sunnuntai)\p{L}*|(?:päivää|viikkoa|kuukautta|vuotta) sitten|\p{L}+ (?:päästä|kuluttua)|\p{L}{4,}kuuta|(?:maanantai|tiistai|keskiviikko|torstai|perjantai|lauantai|sunnuntai)(?:na)?)(?!\p{L})/iu],
  ['id', 'kemarin hari besok lusa minggu bulan tahun lalu depan januari februari maret april mei juni juli agustus september oktober november desember', /\b(?:kemarin|hari ini|besok|lusa|(?:hari|minggu|bulan|tahun|senin|selasa|rabu|kamis|jumat|sabtu) (?:yang )?(?:lalu|depan|lagi)|dalam \w+ (?:hari|minggu|bulan|tahun)|hari (?:senin|selasa|rabu|kamis|jumat|sabtu|minggu)|\d{1,2} (?:maret|mei)|(?:bulan|di|pada|awal|akhir) (?:maret|april|mei|juni|juli|september|november)|januari|februari|agustus|oktober|desember)\b/iu],
] // prettier-ignore

/** Which rows of `latin` a word calls for: looked up by word, since a dozen patterns on each text cost more. */
const rowsByWord = new Map<string, number[]>()
for (const [row, [, words]] of latin.entries()) {
  for (const word of words.split(' ')) {
    const rows = rowsByWord.get(word)
    if (rows) rows.push(row)
    else rowsByWord.set(word, [row])
  }
}

const vietnamese =
  /hôm (?:qua|nay|kia)|ngày (?:mai|kia|mốt)|(?:ngày|tuần|tháng|năm) (?:trước|sau|tới|này|nữa)|(?:sau|trong) \S+ (?:ngày|tuần|tháng|năm)|năm ngoái|tháng \d|ngày \d|thứ (?:hai|ba|tư|năm|sáu|bảy)|chủ nhật/iu

/** Words of English dates that no other language here writes so. */
const englishOnly =
  /\b(?:yesterday|today|tonight|tomorrow|tmrw?|ago|last|next|this|weeks?|months?|years?|fortnight|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|may|june|july|october)\b/i

const englishPattern =
  /\d|\b(?:yesterday|today|tonight|tomorrow|tmrw?|overmorrow|ago|last|next|this|past|coming|week|month|year|fortnight|morning|afternoon|evening|(?:days?|weeks|months|years) (?:from|after)|(?:in|within) (?:(?:about|around|just|another|the next) )?(?:an?|half an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-\w+)?|a? ?few|a couple of|several) (?:days?|weeks?|months?|years?|hours?)|(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:on|next|last|this|by|until|before) (?:mon|tues?|wed|thu(?:rs?)?|fri|sat)|january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b/i

/**
 * The locales to read the text with, likeliest first; the first that finds a date is right. English leads
 * where one of its own words stands: "I bought a sedan last Friday" is not Swedish.
 */
export function dateLocales(text: string): string[] {
  // Most texts have only ASCII, and then six patterns need not be tried.
  // oxlint-disable-next-line no-control-regex -- the range is ASCII
  const isAscii = !/[^\x00-\x7f]/.test(text)
  const foreign = isAscii ? [] : matching(otherScripts, text)
  foreign.push(...latinLocales(text, isAscii))
  if (!isAscii && vietnamese.test(text)) foreign.push('vi')
  if (foreign.length === 0) return englishPattern.test(text) ? ['en'] : []
  const locales = englishOnly.test(text) ? ['en', ...foreign] : foreign
  return [...new Set(locales)].slice(0, localesMax)
}

function latinLocales(text: string, isAscii: boolean): string[] {
  const rows = new Set<number>()
  for (const word of text.toLowerCase().match(isAscii ? /[a-z]+/g : /\p{L}+/gu) ?? []) {
    for (const row of rowsByWord.get(word) ?? []) rows.add(row)
  }
  if (rows.size === 0) return []
  return latin
    .filter(([, , pattern], row) => rows.has(row) && pattern.test(text))
    .map(([locale]) => locale)
}

function matching(patterns: readonly (readonly [string, RegExp])[], text: string): string[] {
  return patterns.filter(([, pattern]) => pattern.test(text)).map(([locale]) => locale)
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
