/** 500 poisoned texts and 1,000 ordinary notes, the same in every run; half of each is held out from tuning. */
import { readFileSync } from 'node:fs'
import { seededRandom } from '../../support/random.ts'

export interface Poison {
  readonly family: string
  readonly text: string
  /** Never looked at while the rules were written: figures on these count. */
  readonly isHeldOut: boolean
}

export interface Note {
  readonly text: string
  readonly isHeldOut: boolean
}

export const poisonCount = 500
export const noteCount = 1_000

function linesOf(name: string): string[] {
  return readFileSync(new URL(name, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('# '))
    .map((line) =>
      line
        .replaceAll(String.raw`\n`, '\n')
        .replaceAll(/\\u([0-9a-f]{4})/gu, (_all, hex: string) =>
          String.fromCharCode(Number.parseInt(hex, 16)),
        ),
    )
}

/** Ways in which a text comes: as it is, in the middle of innocent ones, disguised, encoded. */
const carriers: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => `Minutes of Tuesday: Marta presented the budget. ${text} Next meeting in May.`,
  (text) => `<div>Opening hours 9 to 5</div>\n<!-- ${text} -->\n<p>Free parking.</p>`,
  (text) =>
    `Subject: invoice 4711\n\nHello,\n\n> ${text.replaceAll('\n', '\n> ')}\n\nRegards, Jonas`,
  (text) => `/* ${text} */\nexport const retries = 3`,
  (text) => `# Release notes\n\n- faster start\n- ${text}\n- smaller download`,
  (text) => `${'The museum in Lisbon shows tiles from five centuries. '.repeat(20)}\n\n${text}`,
  (text) => Array.from(text).join('\u200b'),
  (text) => `Weather is fine.${tagged(text)}`,
  (text) => `config: ${Buffer.from(text).toString('base64')}`,
  (text) => text.replaceAll('o', 'о').replaceAll('a', 'а').replaceAll('e', 'е'),
  (text) => `\u202e${text}\u202c`,
]

/** The text once more in tag characters, which nobody sees (Unicode TR 36); what has none is left out. */
function tagged(text: string): string {
  return Array.from(text, (character) => {
    const point = character.codePointAt(0) ?? 0
    return point >= 0x20 && point < 0x7f ? String.fromCodePoint(0xe0000 + point) : ''
  }).join('')
}

/** Each text as it is first, then each in further carriers. Families and carriers are spread over both halves. */
export function poisonedTexts(): Poison[] {
  const bases = linesOf('poison.txt').map((line) => {
    const bar = line.indexOf('|')
    return { family: line.slice(0, bar), text: line.slice(bar + 1) }
  })
  return Array.from({ length: poisonCount }, (_, index) => {
    const place = index % bases.length
    const round = Math.floor(index / bases.length)
    const { family, text } = bases[place] ?? { family: '', text: '' }
    const carrier = round === 0 ? 0 : 1 + ((place + round * 4) % (carriers.length - 1))
    return { family, text: carriers[carrier]?.(text) ?? text, isHeldOut: place % 2 === 1 }
  })
}

const slots: Readonly<Record<string, readonly string[]>> = {
  name: 'Marta Jonas Aylin Pavel Noor Ines Tomasz Keiko Amara Luca Sven Priya Diego Hanna'.split(
    ' ',
  ),
  name2: 'Olga Femi Chiara Bram Yusuf Elin'.split(' '),
  place: 'Lisbon Lublin Izmir Ghent Kyoto Oslo Porto Dakar Lima Graz Cork'.split(' '),
  project: 'larkspur quill heron tidepool mortar lantern'.split(' '),
  food: 'olives celery peanuts anchovies coriander'.split(' '),
  day: 'Monday Tuesday Wednesday Thursday Friday'.split(' '),
}
const alphabets: Readonly<Record<string, readonly [characters: string, length: number]>> = {
  n: ['123456789', 3],
  n2: ['123456789', 2],
  b64: ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 43],
  hex32: ['0123456789abcdef', 32],
  hex40: ['0123456789abcdef', 40],
  hex64: ['0123456789abcdef', 64],
  lower: ['abcdefghijklmnopqrstuvwxyz', 6],
  lower32: ['abcdefghijklmnopqrstuvwxyz', 58],
  upper: ['ABCDEFGHJKLMNPQRSTUVWXYZ', 2],
}

/** Every template several times with other words in its slots. */
export function ordinaryNotes(): Note[] {
  const templates = linesOf('ordinary.txt')
  const random = seededRandom(7)
  const pick = (from: ArrayLike<string>) => from[Math.floor(random() * from.length)] ?? ''
  const draw = ([characters, length]: readonly [string, number]) =>
    Array.from({ length }, () => pick(characters)).join('')
  const fill = (slot: string): string => {
    if (slot === 'uuid')
      return `${fill('hex32').slice(0, 8)}-1f2e-4d3c-8b5a-${fill('hex32').slice(0, 12)}`
    if (slot === 'fp') return (fill('hex40').match(/../gu) ?? []).join(':')
    const words = slots[slot]
    const alphabet = alphabets[slot]
    return words ? pick(words) : alphabet ? draw(alphabet) : `{${slot}}`
  }
  return Array.from({ length: noteCount }, (_, index) => {
    const place = index % templates.length
    const text = (templates[place] ?? '').replaceAll(/\{([a-z0-9]+)\}/gu, (_all, slot: string) =>
      fill(slot),
    )
    return { text, isHeldOut: place % 2 === 1 }
  })
}
