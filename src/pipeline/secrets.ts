/**
 * Credentials in a text: where they stand and of what kind, never what they are. A heuristic with measured rates
 * (docs/security.md): what has a shape of its own is found, a password that reads like a word is not. Pure.
 */
import { contextRule } from './secrets/context.ts'
import { providerRules } from './secrets/providers.ts'
import type { Rule } from './secrets/rule.ts'
import { shapeRules } from './secrets/shapes.ts'

/** A part of a text, by UTF-16 units. */
export interface Finding {
  readonly kind: string
  readonly start: number
  readonly end: number
}

/** What has an issuer comes first: of two findings in one place its name says more. */
const rules: readonly Rule[] = [...providerRules, ...shapeRules, contextRule]

/**
 * One look for the hints of all rules together: most texts hold none, and asking for each in turn took twice as
 * long (4 KB: 0.73 ms against 0.36 ms). Hints of one or two letters or signs are asked for by themselves.
 */
const shortHint = /^[\u0020-\u007e]{1,2}$/u
const anyHint = {
  asWritten: alternation(rules.filter((rule) => !rule.anyCase)),
  inLowerCase: alternation(rules.filter((rule) => rule.anyCase)),
}

function alternation(some: readonly Rule[]): RegExp {
  const hints = some.flatMap((rule) => rule.hints).filter((hint) => !shortHint.test(hint))
  return new RegExp(
    [...new Set(hints)]
      .map((hint) => hint.replaceAll(/[.*+?^${}()|[\]\\/]/gu, String.raw`\$&`))
      .join('|'),
    'u',
  )
}

/** Credentials in their order, none overlapping another. Time is linear in the text's length. */
export function findSecrets(text: string): Finding[] {
  const lower = text.toLowerCase()
  const hasAny = { true: anyHint.inLowerCase.test(lower), false: anyHint.asWritten.test(text) }
  const found: Finding[] = []
  for (const rule of rules) {
    const within = rule.anyCase ? lower : text
    if (!hasAny[rule.anyCase ? 'true' : 'false'] && !hasShortHint(rule)) continue
    if (!rule.hints.some((hint) => within.includes(hint))) continue
    for (const match of text.matchAll(rule.pattern)) {
      const secret = match.groups?.['secret'] ?? match[0]
      const start = match.index + (secret === match[0] ? 0 : match[0].lastIndexOf(secret))
      if (rule.accepts?.(secret, text, start) === false) continue
      found.push({ kind: rule.kind, start, end: start + secret.length })
    }
  }
  return withoutOverlaps(found)
}

function hasShortHint({ hints }: Rule): boolean {
  return hints.some((hint) => shortHint.test(hint))
}

/** Overlapping ones become one, named after the earliest, of those after the longest: no end of one stays. */
export function withoutOverlaps(found: readonly Finding[]): Finding[] {
  const kept: Finding[] = []
  for (const finding of found.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = kept.at(-1)
    if (last === undefined || finding.start >= last.end) kept.push(finding)
    else if (finding.end > last.end) kept[kept.length - 1] = { ...last, end: finding.end }
  }
  return kept
}
