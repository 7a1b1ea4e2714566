/**
 * Numbers that states give to people, each with the check that its state publishes. One in ten or so of any
 * digits passes a check, so those without a shape of their own count only beside a word that names them.
 */
import { passesLuhn, remainder } from '../secrets/checks.ts'

export interface NationalNumber {
  readonly country: string
  /** With a group `number`, when words around it are part of the pattern. */
  readonly pattern: RegExp
  /** Gets the number without blanks, dots and hyphens. */
  readonly isValid: (number: string) => boolean
}

const weighted = (number: string, weights: readonly number[]): number =>
  weights.reduce((sum, weight, index) => sum + weight * Number(number[index]), 0)
const distinct = (number: string): boolean => new Set(number).size > 1

/** Within so many characters after one of these words. */
const near = (words: string, number: string): RegExp =>
  new RegExp(String.raw`(?:${words})[^\d\n]{0,30}(?<number>${number})(?![\w])`, 'giu')
/** By itself, not as a part of a longer number in groups. */
const apart = (number: string): RegExp =>
  new RegExp(String.raw`(?<![\w.-]|\d )(?:${number})(?![\w-]| \d)`, 'gu')

export const nationalNumbers: readonly NationalNumber[] = [
  {
    country: 'us', // Social Security Administration: no check, but areas that are never given
    pattern: apart(String.raw`\d{3}-\d{2}-\d{4}`),
    isValid: (n) => !/^(?:000|666|9)/u.test(n) && !/^.{3}00/u.test(n) && !n.endsWith('0000'),
  },
  {
    country: 'gb', // NHS number: modulus 11
    pattern: near('nhs', String.raw`\d{3}[ -]?\d{3}[ -]?\d{4}`),
    isValid: (n) => {
      const check = 11 - (weighted(n, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)
      return (check === 11 ? 0 : check) === Number(n[9])
    },
  },
  {
    country: 'gb', // National Insurance number: letters that are used
    pattern: apart(String.raw`[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]`),
    isValid: (n) => !/^(?:BG|GB|NK|KN|TN|NT|ZZ)/u.test(n),
  },
  {
    country: 'de', // Steuer-ID: ISO 7064 MOD 11,10
    pattern: near(
      'steuer-?id|idnr|steuerident\\w*|identifikationsnummer|tax id',
      String.raw`[1-9]\d ?\d{3} ?\d{3} ?\d{3}`,
    ),
    isValid: (n) => {
      let product = 10
      for (const digit of n.slice(0, 10)) {
        const sum = (Number(digit) + product) % 10 || 10
        product = (sum * 2) % 11
      }
      return (11 - product) % 10 === Number(n[10])
    },
  },
  {
    country: 'fr', // NIR: modulus 97
    pattern: apart(
      String.raw`[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}`,
    ),
    isValid: (n) => {
      const digits = n.replace('2A', '19').replace('2B', '18')
      return 97 - remainder(digits.slice(0, 13), 97) === Number(digits.slice(13))
    },
  },
  {
    country: 'es', // DNI and NIE: modulus 23
    pattern: apart(String.raw`(?:\d{8}|[XYZ]\d{7})-?[A-HJ-NP-TV-Z]`),
    isValid: (n) => {
      const digits = n.slice(0, 8).replace('X', '0').replace('Y', '1').replace('Z', '2')
      return 'TRWAGMYFPDXBNJZSQVHLCKE'[Number(digits) % 23] === n[8]
    },
  },
  {
    country: 'it', // Codice fiscale: decree of 23 December 1976
    pattern: apart(String.raw`[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z]`),
    isValid: (n) => {
      const odd = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
      ]
      let sum = 0
      for (let index = 0; index < 15; index += 1) {
        const value = /\d/u.test(n[index] ?? '') ? Number(n[index]) : n.charCodeAt(index) - 65
        sum += index % 2 === 0 ? (odd[value] ?? 0) : value
      }
      return String.fromCharCode(65 + (sum % 26)) === n[15]
    },
  },
  {
    country: 'nl', // BSN: the eleven test
    pattern: near(
      'bsn|burgerservicenummer|sofinummer',
      String.raw`\d{4}[ .]?\d{2}[ .]?\d{3}|\d{9}`,
    ),
    isValid: (n) => weighted(n, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0,
  },
  {
    country: 'pl', // PESEL: weights 1 3 7 9, and a date
    pattern: apart(String.raw`\d{2}(?:[02468][1-9]|[13579][0-2])(?:0[1-9]|[12]\d|3[01])\d{5}`),
    isValid: (n) =>
      (10 - (weighted(n, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10 === Number(n[10]),
  },
  {
    country: 'br', // CPF: modulus 11 twice
    pattern: apart(String.raw`\d{3}\.\d{3}\.\d{3}-\d{2}`),
    isValid: (n) => {
      const check = (length: number) => {
        let sum = 0
        for (let index = 0; index < length; index += 1)
          sum += Number(n[index]) * (length + 1 - index)
        return ((sum * 10) % 11) % 10
      }
      return distinct(n) && check(9) === Number(n[9]) && check(10) === Number(n[10])
    },
  },
  {
    country: 'tr', // TCKN
    pattern: near('tc kimlik|tckn|kimlik no|t\\.c\\.', String.raw`[1-9]\d{10}`),
    isValid: (n) => {
      const odd = weighted(n, [1, 0, 1, 0, 1, 0, 1, 0, 1])
      const even = weighted(n, [0, 1, 0, 1, 0, 1, 0, 1])
      return (
        (((odd * 7 - even) % 10) + 10) % 10 === Number(n[9]) &&
        (odd + even + Number(n[9])) % 10 === Number(n[10])
      )
    },
  },
  {
    country: 'cn', // GB 11643: ISO 7064 MOD 11-2, and a date
    pattern: apart(
      String.raw`[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]`,
    ),
    isValid: (n) =>
      '10X98765432'[weighted(n, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11] ===
      n[17]?.toUpperCase(),
  },
  {
    country: 'in', // Aadhaar: Verhoeff's scheme
    pattern: apart(String.raw`[2-9]\d{3} \d{4} \d{4}`),
    isValid: passesVerhoeff,
  },
  {
    country: 'se', // Personnummer: Luhn, and a date
    pattern: apart(String.raw`(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])-\d{4}`),
    isValid: (n) => passesLuhn(n.slice(-10)),
  },
  {
    country: 'fi', // Henkilötunnus: modulus 31
    pattern: apart(
      String.raw`(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2}[-+A-FU-Y]\d{3}[0-9A-Y]`,
    ),
    isValid: (n) => {
      const digits = n.replaceAll(/\D/gu, '').slice(0, 9)
      return '0123456789ABCDEFHJKLMNPRSTUVWXY'[Number(digits) % 31] === n.at(-1)
    },
  },
  {
    country: 'ch', // AHV number: EAN-13
    pattern: apart(String.raw`756\.\d{4}\.\d{4}\.\d{2}`),
    isValid: (n) => weighted(n, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0,
  },
  {
    country: 'ca', // Social insurance number: Luhn
    pattern: near('sin|social insurance', String.raw`\d{3}[ -]?\d{3}[ -]?\d{3}`),
    isValid: (n) => distinct(n) && passesLuhn(n),
  },
  {
    country: 'au', // Tax file number: modulus 11
    pattern: near('tfn|tax file', String.raw`\d{3} ?\d{3} ?\d{3}`),
    isValid: (n) => weighted(n, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 === 0,
  },
]

function passesVerhoeff(number: string): boolean {
  // Products in the dihedral group of order 10, and a permutation for each place.
  const multiply = (a: number, b: number): number =>
    a < 5 ? (b < 5 ? (a + b) % 5 : 5 + ((a + b) % 5)) : b < 5 ? 5 + ((a - b) % 5) : (5 + a - b) % 5
  const permute = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
  let check = 0
  for (let place = 0; place < number.length; place += 1) {
    let digit = Number(number[number.length - 1 - place])
    for (let times = 0; times < place % 8; times += 1) digit = permute[digit] ?? 0
    check = multiply(check, digit)
  }
  return check === 0
}
