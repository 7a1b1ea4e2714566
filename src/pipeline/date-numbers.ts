/** Numbers as dates count with them: digits, and words given as patterns in order from one. */

const ones = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
const teens =
  'ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen'.split('|')
const tens = ['twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety']

/** From one to ninety-nine; "a couple" is two and "a few" three, as chrono-node has it. */
export const englishNumbers: readonly string[] = [
  'an?|one',
  'an? couple(?: of)?|two',
  'an? few|few|three',
  ...ones.slice(3),
  ...teens,
  ...tens.flatMap((ten) => [ten, ...ones.map((one) => `${ten}[- ]${one}`)]),
]
/** Matches what `englishNumbers` lists; ninety-nine alternatives would be tried at each word. */
export const englishNumber = `an? couple(?: of)?|an? few|few|an?|(?:${tens.join('|')})(?:[- ](?:${ones.join('|')}))?|${[...teens, ...ones].join('|')}`

/** The number that digits or a word of the list stand for; 0 for neither. */
export function numberOf(words: string, numbers: readonly string[]): number {
  if (/^\d+$/u.test(words)) return Number(words)
  return 1 + numbers.findIndex((number) => new RegExp(`^(?:${number})$`, 'iu').test(words))
}
