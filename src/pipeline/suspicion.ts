/**
 * What in a text speaks to a model instead of telling something: a heuristic in linear time. It lets much
 * through and stops some that is innocent; docs/security.md has its measured rates. No database here.
 */
import { forgeryOf } from './suspicion/delimiters.ts'
import { readEncoded } from './suspicion/encoded.ts'
import { english } from './suspicion/english.ts'
import { hasHidden } from './suspicion/hidden.ts'
import { latinLanguages } from './suspicion/latin.ts'
import { findPhrases, heavyGroups, phrasebook, type Group, type Hit } from './suspicion/phrases.ts'
import { otherScripts } from './suspicion/scripts.ts'
import { isDisguised, lettersOf, visible, wordsOf, type Words } from './suspicion/text.ts'
import { unspacedLanguages } from './suspicion/unspaced.ts'

/** What was found, from coarse to fine enough for a reviewer; never words of the text. Kept in a column: append only. */
export const suspicions = [
  'instruction',
  'tool',
  'memory',
  'hidden',
  'encoded',
  'delimiter',
] as const
export type Suspicion = (typeof suspicions)[number]

/** Weight that phrases within one stretch must reach together. */
const threshold = 4
/** What a weak forgery or hidden characters leave to the phrases beside them. */
const reducedThreshold = 2
/** A text in base64 in percent signs is read; deeper is nobody's note. */
const depthMax = 2

const book = phrasebook([...english, ...latinLanguages, ...otherScripts])

/** Groups that say nothing of the kind by themselves have no reason of their own. */
const reasonOf: Readonly<Record<Group, Suspicion | undefined>> = {
  override: 'instruction',
  prompt: 'instruction',
  role: 'instruction',
  limits: 'instruction',
  authority: 'instruction',
  address: 'instruction',
  trigger: 'instruction',
  standing: 'instruction',
  conceal: 'instruction',
  manner: 'instruction',
  say: 'instruction',
  tool: 'tool',
  exfiltrate: 'tool',
  destination: undefined,
  memory: 'memory',
  self: undefined,
}

/** Looks at every text of a memory; each is judged by itself. Time is linear in their length. */
export function findSuspicions(texts: readonly string[]): ReadonlySet<Suspicion> {
  const found = new Set<Suspicion>()
  for (const text of texts) for (const suspicion of judge(text, 0)) found.add(suspicion)
  return found
}

function judge(text: string, depth: number): ReadonlySet<Suspicion> {
  const found = new Set<Suspicion>()
  if (hasHidden(text)) found.add('hidden')
  const shown = visible(text)
  const forgery = forgeryOf(shown)
  if (forgery === 'strong') found.add('delimiter')
  const groups = groupsOf(shown, forgery === 'weak' ? reducedThreshold : threshold)
  for (const group of groups) {
    const reason = reasonOf[group]
    if (reason !== undefined) found.add(reason)
  }
  if (forgery === 'weak' && groups.size > 0) found.add('delimiter')
  if (hasImageLeak(shown)) found.add('tool')
  if (depth < depthMax) {
    const { decoded, isHiding } = readEncoded(shown)
    if (isHiding) found.add('encoded')
    for (const piece of decoded) {
      const inside = judge(piece, depth + 1)
      if (inside.size > 0) found.add('encoded')
      for (const suspicion of inside) found.add(suspicion)
    }
  }
  return found
}

function groupsOf(shown: string, least: number): ReadonlySet<Group> {
  const words = wordsOf(shown)
  const hits = [...findPhrases(book, words), ...unspacedHits(shown), ...disguisedHits(words)]
  return heavyGroups(
    hits.toSorted((a, b) => a.at - b.at),
    least,
  )
}

/** Characters that count as one word of the window, in scripts without blanks. */
const charactersPerWord = 3

function unspacedHits(shown: string): Hit[] {
  const text = shown.toLowerCase()
  return unspacedLanguages.flatMap(({ script, phrases }) =>
    script.test(text)
      ? phrases.flatMap(([group, weight, pattern]): Hit[] => {
          const place = text.search(pattern)
          return place < 0 ? [] : [{ at: Math.floor(place / charactersPerWord), group, weight }]
        })
      : [],
  )
}

/** What stays of these phrases when letters are written apart or words run together. */
const runTogether =
  /(?:ignore|disregard|forget|bypass|override)(?:all|any|the|your|my|every)*(?:previous|prior|above|earlier|system|safety|preceding)*(?:instruction|prompt|rules|guideline|directive)|(?:reveal|print|show|repeat|leak)(?:me|the|your)*(?:system|hidden|initial)(?:prompt|instruction|message)|donottelltheuser|withouttellingtheuser|youarenowdan|systemoverride/u

function disguisedHits(words: Words): Hit[] {
  if (!isDisguised(words)) return []
  return runTogether.test(lettersOf(words)) ? [{ at: 0, group: 'override', weight: threshold }] : []
}

/** An image whose address is to be filled with what the model knows: loading it sends that away. */
const imageLeak =
  /(?:!\[[^\]\n]{0,100}\]\(|<img[^>\n]{0,60}src=["']?)https?:\/\/[^\s)"'>]{1,200}[?&/=](?:\{|\[|\$\{|%7b|<|\(\()/iu

function hasImageLeak(shown: string): boolean {
  return imageLeak.test(shown)
}
