/** The kinds of values a setting may hold: how its text is parsed and what a wrong value is told. */

import { isIP } from 'node:net'

/** What is wrong with a value, in words that never repeat it: a misplaced secret must not be echoed. */
export class SettingProblem extends Error {
  override readonly name = 'SettingProblem'
}

/** Turns the text of a setting into its value. Throws SettingProblem. */
export type Parse<T> = (text: string) => T

/** Control characters never belong in a name, an address or a path. */
// oxlint-disable-next-line no-control-regex -- control characters are exactly what is looked for
const controlCharacter = /[\u0000-\u001f\u007f]/u

/** Text of at most `lengthMax` characters without control characters. */
export function text(lengthMax: number): Parse<string> {
  return (value) => {
    if (controlCharacter.test(value)) throw new SettingProblem('holds a control character')
    if (value.length > lengthMax) {
      throw new SettingProblem(
        `is ${value.length} characters long; at most ${lengthMax} are allowed`,
      )
    }
    return value
  }
}

/** Text of a bounded length that matches `pattern`; `expected` says in words what is allowed. */
export function matching(pattern: RegExp, lengthMax: number, expected: string): Parse<string> {
  const parseText = text(lengthMax)
  return (value) => {
    if (!pattern.test(parseText(value))) throw new SettingProblem(`must be ${expected}`)
    return value
  }
}

/** A program and its arguments, separated by spaces; a part with spaces goes into a script. */
export const commandLine: Parse<readonly string[]> = (value) =>
  Object.freeze(text(2048)(value).split(/\s+/u))

/** A whole number within bounds, both included. */
export function integer(min: number, max: number): Parse<number> {
  return (value) => {
    const number = Number(value)
    if (!/^-?\d+$/u.test(value) || number < min || number > max) {
      throw new SettingProblem(`must be a whole number from ${min} to ${max}`)
    }
    return number
  }
}

/** One of a closed list of words. */
export function choice<const Choice extends string>(choices: readonly Choice[]): Parse<Choice> {
  return (value) => {
    const found = choices.find((candidate) => candidate === value)
    if (found === undefined) throw new SettingProblem(`must be one of: ${choices.join(', ')}`)
    return found
  }
}

/** A URL of one of the protocols (`http:`); kept as text, since drivers parse it themselves. */
export function url(protocols: readonly string[]): Parse<string> {
  return (value) => {
    if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol)) {
      throw new SettingProblem(`must be a URL that starts with ${protocols.join('// or ')}//`)
    }
    return value
  }
}

/** A comma-separated list of at most `countMax` items, each parsed by `parseItem`. */
export function list<T>(parseItem: Parse<T>, countMax: number): Parse<readonly T[]> {
  return (value) => {
    const items = value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
    if (items.length > countMax) {
      throw new SettingProblem(`lists ${items.length} items; at most ${countMax} are allowed`)
    }
    return Object.freeze(items.map((item) => parseItem(item)))
  }
}

/** Names with whole numbers, as in `free=60, pro=300`; `unlimited` is Infinity. */
export function figures(max: number): Parse<Readonly<Record<string, number>>> {
  const parseList = list(text(100), 50)
  const parseFigure = integer(1, max)
  return (value) => {
    const entries = parseList(value).map((item) => {
      const { name, figure } =
        /^(?<name>[a-z][a-z0-9_-]{0,31}) *= *(?<figure>\S+)$/u.exec(item)?.groups ?? {}
      if (name === undefined || figure === undefined) {
        throw new SettingProblem('must list names with numbers, as in free=60,pro=300')
      }
      return [name, figure === 'unlimited' ? Infinity : parseFigure(figure)] as const
    })
    if (entries.length === 0) throw new SettingProblem('names no plan')
    return Object.freeze(Object.fromEntries(entries))
  }
}

/** An address or a block of them, as in `10.0.0.0/8` or `2001:db8::1`. */
export const network: Parse<string> = (value) => {
  const [address = '', bits, ...rest] = value.split('/')
  const family = isIP(address)
  const isBlock =
    bits === undefined || (/^\d{1,3}$/u.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
  if (family === 0 || !isBlock || rest.length > 0) {
    throw new SettingProblem('must be an address or a block such as 10.0.0.0/8')
  }
  return value
}

/** A secret of at least `lengthMin` characters; its text appears in no message. */
export function secret(lengthMin: number, advice: string): Parse<string> {
  const parseText = text(4096)
  return (value) => {
    if (parseText(value).length < lengthMin) {
      throw new SettingProblem(`is shorter than ${lengthMin} characters; ${advice}`)
    }
    return value
  }
}
