/** Made-up personal data with the checks of its kind, and numbers that only look like it: the same in every run. */
import { seededRandom } from '../../support/random.ts'

export interface LabelledPerson {
  readonly kind: string
  readonly text: string
  readonly value: string
}

const random = seededRandom(23)
const draw = (alphabet: string, length: number) =>
  Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join('')
const digits = (length: number) => draw('0123456789', length)
const pick = (words: string) => {
  const list = words.split(' ')
  return list[Math.floor(random() * list.length)] ?? ''
}

/** The digit that makes the whole number pass Luhn's formula. */
function luhnDigit(body: string): string {
  let sum = 0
  for (const [index, digit] of Array.from(body).toReversed().entries()) {
    const value = index % 2 === 0 ? Number(digit) * 2 : Number(digit)
    sum += value > 9 ? value - 9 : value
  }
  return String((10 - (sum % 10)) % 10)
}

function cardOf(prefix: string, length: number): string {
  const body = prefix + digits(length - prefix.length - 1)
  return body + luhnDigit(body)
}

function ibanOf(country: string, account: string): string {
  const numbers = `${account}${country}00`.replaceAll(/[A-Z]/gu, (letter) =>
    String(letter.charCodeAt(0) - 55),
  )
  return `${country}${String(98n - (BigInt(numbers) % 97n)).padStart(2, '0')}${account}`
}

const spaced = (text: string, every = 4) =>
  text.replaceAll(new RegExp(`.{${every}}(?=.)`, 'gu'), '$& ')
const sum = (text: string, weights: readonly number[]) =>
  weights.reduce((total, weight, index) => total + weight * Number(text[index]), 0)
const date = () => `${digits(2)}0${draw('123456789', 1)}1${digits(1)}`

const national: readonly (() => string)[] = [
  () => `${draw('12345', 1)}${digits(1)}1-${draw('123456789', 2)}-${draw('123456789', 4)}`,
  () => {
    const body = digits(8)
    return body + 'TRWAGMYFPDXBNJZSQVHLCKE'[Number(body) % 23]
  },
  () => {
    const body = `1${digits(2)}0${draw('123456789', 1)}${draw('123456789', 2)}${digits(6)}`
    return body + String(97 - Number(BigInt(body) % 97n)).padStart(2, '0')
  },
  () => {
    const body = `${date()}${digits(4)}`
    return body + ((10 - (sum(body, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10)
  },
  () => {
    const body = `11010519${draw('56789', 1)}${digits(1)}0${draw('123456789', 1)}1${digits(1)}${digits(3)}`
    return (
      body + '10X98765432'[sum(body, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11]
    )
  },
  () => {
    const body = `756${digits(9)}`
    const check = (10 - (sum(body, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10)) % 10
    return `${body}${check}`.replace(/^(.{3})(.{4})(.{4})/u, '$1.$2.$3.')
  },
]

const makers: Readonly<Record<string, (index: number) => readonly [value: string, text?: string]>> =
  {
    email: () => [
      `${pick('marta jonas aylin pavel')}.${draw('abcdefgh', 5)}@${pick('example.org mail.example.de firma.example')}`,
    ],
    phone: (index) => {
      const forms = [
        `+49 30 ${digits(4)}${draw('123456789', 4)}`,
        `+1 (415) 555-${digits(4)}`,
        `+33 6 ${spaced(digits(8), 2)}`,
        `415-555-${digits(4)}`,
        `0044 20 7946 ${digits(4)}`,
        `+90 532 ${digits(3)} ${digits(2)} ${digits(2)}`,
      ]
      if (index % 7 < 6) return [forms[index % 7] ?? '']
      const number = `0151 ${digits(8)}`
      return [number, `Handy: ${number}`]
    },
    card: (index) => [
      [cardOf('4', 16), spaced(cardOf('51', 16)), cardOf('37', 15), spaced(cardOf('6011', 16))][
        index % 4
      ] ?? '',
    ],
    iban: (index) => [
      [
        ibanOf('DE', digits(18)),
        spaced(ibanOf('DE', digits(18))),
        ibanOf('GB', `NWBK${digits(14)}`),
        spaced(ibanOf('FR', `${digits(20)}${digits(3)}`)),
        ibanOf('NL', `ABNA${digits(10)}`),
      ][index % 5] ?? '',
    ],
    'national-id': (index) => [national[index % national.length]?.() ?? ''],
    address: (index) => [
      [
        `${draw('123456789', 3)} ${pick('Baker Maple Oak Juniper')} ${pick('Street Avenue Road')}`,
        `${pick('Haupt Linden Garten Schul')}straße ${draw('123456789', 2)}`,
        `${draw('123456789', 2)} rue de la ${pick('Paix République Gare')}`,
        `Calle ${pick('Mayor Alcalá Serrano')} ${draw('123456789', 2)}`,
        `Via ${pick('Roma Garibaldi Dante')} ${draw('123456789', 2)}`,
        `ул. ${pick('Ленина Гагарина Мира')}, ${draw('123456789', 2)}`,
      ][index % 6] ?? '',
    ],
  }

const surroundings = [
  '@',
  'Please note: @',
  'Marta: @, as of today.',
  '- @\n- milk',
  '("@")',
  'はい、@です',
]

export function personalData(perKind: number): LabelledPerson[] {
  return Object.entries(makers).flatMap(([kind, make]) =>
    Array.from({ length: perKind }, (_, index) => {
      const [value, text = value] = make(index)
      const around = surroundings[index % surroundings.length] ?? '@'
      return { kind, value, text: around.replace('@', () => text) }
    }),
  )
}
