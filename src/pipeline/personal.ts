/**
 * Personal data in a text: addresses of mail, telephones, cards, accounts, numbers that states give, lines of an
 * address. Checked where the format has a check. Names and what is said of people are not among it. Pure.
 */
import { nationalNumbers } from './personal/national.ts'
import { passesLuhn, remainder } from './secrets/checks.ts'
import { withoutOverlaps, type Finding } from './secrets.ts'

export const personalKinds = ['email', 'phone', 'card', 'iban', 'national-id', 'address'] as const
export type PersonalKind = (typeof personalKinds)[number]

interface PersonalRule {
  readonly kind: PersonalKind
  /** What a text must hold for the pattern to be worth a try. */
  readonly when: RegExp
  readonly pattern: RegExp
  /** The part that counts, at the beginning of what was matched; undefined: nothing does. */
  readonly partOf?: (match: string) => string | undefined
}

// No address of `git@host:path`, nor of a user in a URL.
const email =
  /(?<![\w.+/:-])[\p{L}\d](?:[\p{L}\d._%+-]{0,62}[\p{L}\d_+-])?@(?:[\p{L}\d](?:[\p{L}\d-]{0,61}[\p{L}\d])?\.){1,6}\p{L}{2,24}(?![\w@]|:[\w~/])/gu

const international = /(?<![\w+.])(?:\+|00)[1-9](?:[ ()./-]{0,2}\d){7,13}(?![\w]|[.-]\d)/gu
const northAmerican =
  /(?<![\w.-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\w]|[.-]\d)/gu
/** National numbers have no shape that tells them from others: a word has to. */
const named =
  /(?:\b(?:phone|telephone|tel|mobile|cell|call|ring|fax|whatsapp|sms|telefon|tel\.?-?nr|handy|mobil|rufnummer|téléphone|portable|teléfono|móvil|telefone|celular|telefono|cellulare|telefoon|gsm|telefonu)\b|телефон|тел\.|电话|電話|手机|携帯|전화|هاتف|फ़ोन|โทร)[^\d\n+]{0,25}(?<number>\+?\(?\d(?:[ ()./-]{0,2}\d){6,13})(?!\w|[.-]\d)/giu

const isoDate = /^\d{4}-\d{2}-\d{2}/u

const card = /(?<![\w.-]|\d )(?:3[47]|[2-6])\d(?:[ -]?\d){11,17}(?!\w|[ .-]\d)/gu
const issuers =
  /^(?:4|5[1-5]|2(?:2[2-9]|[3-6]|7[01]|720)|3[47]|3(?:0[0-5]|[689])|6(?:011|4[4-9]|5|2)|35(?:2[89]|[3-8])|5[06-8]|6)/u

const iban = /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}/gu
/** Lengths of the registry (ISO 13616, SWIFT). */
const ibanLengths: Readonly<Record<string, number>> = Object.fromEntries(
  'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20'
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
)

const streets = [
  // 221B Baker Street; 12 rue de la Paix; 5, avenue Foch
  /(?<![\w.-])\d{1,5}[A-Za-z]?,? (?:(?:[NSEW]|North|South|East|West)\.? )?(?:[A-Z][\p{L}'’.-]{1,24} ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Square|Sq|Terrace|Way|Place|Pl|Close|Crescent|Parkway|Highway)\b\.?/gu,
  /(?<![\w.-])\d{1,4}(?: ?bis| ?ter)?,? (?:rue|avenue|boulevard|place|chemin|allée|impasse|quai|route) (?:d(?:e|u|es)|de la|de l['’]|d['’])? ?(?:\p{L}[\p{L}'’-]{1,24} ?){1,4}/giu,
  // Hauptstraße 12; Kerkstraat 5; Storgatan 3
  /(?<!\p{L})\p{Lu}[\p{L}-]{2,30}(?:stra(?:ß|ss)e|str\.|gasse|allee|platz|ufer|damm|ring|weg|straat|laan|gracht|plein|gatan|vägen|gade|vej|katu|tie) \d{1,4} ?[a-zA-Z]?(?![\p{Script=Latin}\p{Script=Cyrillic}\d])/gu,
  // Calle Mayor 5; Via Roma, 10; Rua Augusta 12; ulica Długa 7; ул. Ленина, 5
  /(?<!\p{L})(?:Calle|C\/|Avenida|Avda\.?|Paseo|Plaza|Via|Viale|Piazza|Corso|Rua|Travessa|Praça|ul\.|ulica|al\.|ул\.|улица|проспект|вул\.|вулиця) (?:d(?:e|el|i|a|o|ella) )?(?:\p{Lu}[\p{L}'’-]{1,24} ?){1,4},? (?:nº? ?|№ ?|д\. ?)?\d{1,4}(?![\p{Script=Latin}\p{Script=Cyrillic}\d])/gu,
  // Springfield, IL 62704
  /(?<!\p{L})(?:[A-Z][\p{L}'-]{1,24} ?){1,3}, (?:A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]) \d{5}(?:-\d{4})?(?!\d)/gu,
]

const rules: readonly PersonalRule[] = [
  { kind: 'email', when: /@/u, pattern: email },
  { kind: 'iban', when: /[A-Z]{2}\d{2}/u, pattern: iban, partOf: ibanIn },
  {
    kind: 'card',
    when: /\d{2}/u,
    pattern: card,
    partOf: (match) => (isCard(match) ? match : undefined),
  },
  ...nationalNumbers.map(({ pattern, isValid }): PersonalRule => ({
    kind: 'national-id',
    when: /\d{2}/u,
    pattern,
    partOf: (match) => (isValid(match.replaceAll(/[ .-]/gu, '')) ? match : undefined),
  })),
  { kind: 'phone', when: /[+0]/u, pattern: international },
  { kind: 'phone', when: /\d{3}[ .)-]/u, pattern: northAmerican },
  {
    kind: 'phone',
    when: /\d{2}/u,
    pattern: named,
    partOf: (match) => (isoDate.test(match) ? undefined : match),
  },
  ...streets.map((pattern): PersonalRule => ({ kind: 'address', when: /\d/u, pattern })),
]

/** Personal data in its order; of what overlaps the earliest and longest names the kind. Linear. */
export function findPersonal(text: string): Finding[] {
  const found: Finding[] = []
  for (const { kind, when, pattern, partOf } of rules) {
    if (!when.test(text)) continue
    for (const match of text.matchAll(pattern)) {
      const whole = match.groups?.['number'] ?? match[0]
      const value = partOf === undefined ? whole : partOf(whole)
      if (value === undefined) continue
      const start = match.index + match[0].lastIndexOf(whole)
      found.push({ kind, start, end: start + value.trimEnd().length })
    }
  }
  return withoutOverlaps(found)
}

/** The number at the beginning, as long as its country has it: capitals may follow. */
function ibanIn(text: string): string | undefined {
  const length = ibanLengths[text.slice(0, 2)]
  if (length === undefined) return undefined
  let end = 0
  for (let count = 0; count < length && end < text.length; end += 1)
    if (text[end] !== ' ') count += 1
  const compact = text.slice(0, end).replaceAll(' ', '')
  if (compact.length !== length || /^[A-Z0-9]/u.test(text.slice(end))) return undefined
  const digits = (compact.slice(4) + compact.slice(0, 4)).replaceAll(/[A-Z]/gu, (letter) =>
    String(letter.charCodeAt(0) - 55),
  )
  return remainder(digits, 97) === 1 ? text.slice(0, end) : undefined
}

function isCard(text: string): boolean {
  const digits = text.replaceAll(/\D/gu, '')
  return (
    issuers.test(digits) && digits.length >= 13 && new Set(digits).size > 1 && passesLuhn(digits)
  )
}
