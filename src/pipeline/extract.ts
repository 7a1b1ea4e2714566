/** Names in a text without a model: runs of capitals, quoted titles, @handles, #tags. */
import { nameKind, type NameKind } from './name-kinds.ts'
import { englishStopWords, otherStopWords } from './stop-words.ts'

export interface ExtractedEntity {
  /** NFC, inner spaces single, no possessive; case as written first. */
  readonly name: string
  readonly kind: NameKind | 'product' | 'title' | 'handle' | 'tag' | 'other'
}

const entitiesMax = 32
const charactersMax = 16_384
const nameLengthMax = 80
const runWordsMax = 6

/** The named things of a text, in order, each once (case aside), at most 32. Never throws. */
export function extractEntities(input: string): ExtractedEntity[] {
  const text = input.slice(0, charactersMax).normalize('NFC')
  const found = new Map<string, ExtractedEntity>()
  const add = (name: string, kind: ExtractedEntity['kind']): void => {
    const clean = name.replace(/\s+/g, ' ').trim()
    const key = clean.toLowerCase()
    if (clean.length < 2 || clean.length > nameLengthMax || found.has(key)) return
    if (found.size < entitiesMax) found.set(key, { name: clean, kind })
  }
  // Addresses are no names, and their parts would be taken for some.
  const prose = text.replace(
    /(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,15}:\/\/\S+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]+/gi,
    ' ',
  )
  for (const [, handle = ''] of prose.matchAll(
    /(?<![\p{L}\p{N}_])@([\p{L}\p{N}_][\p{L}\p{N}_.-]{1,38}[\p{L}\p{N}])/gu,
  ))
    add(`@${handle}`, 'handle')
  for (const [, tag = ''] of prose.matchAll(
    /(?<![\p{L}\p{N}_&])#(\p{L}[\p{L}\p{M}\p{N}_-]{1,48})/gu,
  ))
    add(`#${tag}`, 'tag')
  const unquoted = prose.replace(quoted, (all, first?: string, second?: string) => {
    const title = first ?? second ?? ''
    if (!isTitle(title)) return all
    add(title, 'title')
    return ' '
  })
  for (const { name, kind } of capitalRuns(unquoted.replace(/[@#][\p{L}\p{N}_]\S*/gu, ' '))) {
    add(name, kind)
  }
  return [...found.values()]
}

const quoted = /["“”„«]([^"“”„«»\n]{2,60})["“”»]|[「『《]([^」』》\n]{1,60})[」』》]/gu

/** Quotes also hold speech: a title begins with a capital (or has no case), is short and no sentence. */
function isTitle(title: string): boolean {
  const words = title.trim().split(/\s+/)
  if (words.length > 8 || /[.!?…,]$/.test(title.trim())) return false
  if (!/\p{Lu}|\p{Ll}/u.test(title)) return /\p{L}/u.test(title)
  const long = words.filter((word) => word.length > 3)
  const capitals = long.filter((word) => /^[\p{Lu}\p{N}]/u.test(word))
  return /^[\p{Lu}\p{N}]/u.test(words[0] ?? '') && capitals.length >= long.length / 2
}

const capitalWord = String.raw`(?:\p{Lu}[\p{L}\p{M}\p{N}]*|\p{Ll}{1,2}\p{Lu}[\p{L}\p{N}]+)(?:[-&][\p{Lu}\p{N}][\p{L}\p{M}\p{N}]*|['’]\p{Lu}[\p{L}\p{M}]+)*`
const joint = String.raw`(?:of the|of|de la|de|del|da|di|du|van der|van|von|der|bin|al|la|le)`
const run = new RegExp(
  String.raw`(?<![\p{L}\p{M}\p{N}_'’])${capitalWord}(?:(?:\s${joint})?\s(?:\d{1,4}(?!\p{L})|${capitalWord})|\.(?=\s\p{Lu})(?<=\b(?:Mr|Mrs|Ms|Dr|St|Prof)\.)\s${capitalWord})*`,
  'gu',
)
/** What a sentence or a quotation begins after; emoji too. */
const sentenceStart =
  /(?:^|[.!?…:;\n"“„«(–—•*>|\]]|\p{Extended_Pictographic}\ufe0f?|(?:^|\n)\s*[-\d.)]+)\s*["“'‘(]?$/u

interface Candidate {
  readonly words: readonly string[]
  readonly first: boolean
}

function* capitalRuns(text: string): Generator<ExtractedEntity> {
  const letters = text.replace(/[^\p{L}]/gu, '')
  // In a shouted text capitals say nothing.
  if (letters.length > 12 && !/\p{Ll}/u.test(letters)) return
  const candidates = Array.from(text.matchAll(run), ({ 0: words, index }) => ({
    words: words.split(/\s+/).slice(0, runWordsMax),
    first: sentenceStart.test(text.slice(Math.max(0, index - 12), index)),
  }))
  const nouns = capitalisesNouns(text)
  const inside = new Set(
    candidates.filter(({ first }) => !first).map(({ words }) => words[0] ?? ''),
  )
  for (const candidate of candidates) {
    const words = trim(candidate, inside)
    if (words.length === 0) continue
    const single = words.length === 1
    const start = candidate.first && words[0] === candidate.words[0]
    if (single && !isName(words[0] ?? '', start && !inside.has(words[0] ?? ''), nouns)) continue
    if (nouns && !single && !words.some((word) => nameKind(word))) continue
    yield { name: words.join(' '), kind: kindOf(words) }
  }
}

/** German: every noun has a capital, so a single one tells nothing. */
function capitalisesNouns(text: string): boolean {
  const german = text.match(
    /\b(?:der|die|das|und|ist|sind|war|nicht|ich|ein|eine|einen|einem|einer|mit|für|auf|den|dem|des|im|wir|von|vom|zu|bei|nach|hat|wurde|auch|sich|wird|werden|als|er|sowie|oder|durch|zum|zur|beim)\b/gi,
  )
  return (german?.length ?? 0) >= 2
}

/** Drops what only begins the sentence ("Yesterday Anna" → "Anna") and days, months, pronouns anywhere at the edges. */
function trim({ words, first }: Candidate, inside: ReadonlySet<string>): readonly string[] {
  let from = 0
  let to = words.length
  while (from < to && (neverName(words[from] ?? '') || isJoint(words[from] ?? ''))) from += 1
  while (to > from && (neverName(words[to - 1] ?? '') || isJoint(words[to - 1] ?? ''))) to -= 1
  const head = words[from] ?? ''
  const opens = first && from === 0 && to > 1 && !inside.has(head)
  if (opens && (nameKind(head) === null || isOrdinary(head)) && startsSentence(head)) from += 1
  return words.slice(from, to)
}

const isJoint = (word: string): boolean => /^\p{Ll}/u.test(word) && !/\p{Lu}/u.test(word)

const calendarAndTalk = new Set(
  (
    'monday tuesday wednesday thursday friday saturday sunday january february march april june july ' +
    'august september october november december jan feb mar apr jun jul aug sep sept oct nov dec mon ' +
    'tue wed thu fri sat sun ok okay am pm tv lol omg btw fyi asap aka eta tbd todo fixme note hi ' +
    'hey hello thanks thank yes yeah yep nope wow oh ah hmm haha oof aww aw woohoo yay ugh whoa phew hooray ooh yup nah alright welcome well sure please sorry bye dear mr ' +
    'mrs ms dr gonna wanna congrats cool nice great awesome mom dad mum grandma grandpa god ps re ' +
    'yesterday today tomorrow tonight user assistant system ' +
    'gestern heute morgen ayer hoy mañana hier demain ontem hoje ieri oggi domani gisteren dün bugün ' +
    'вчера сегодня завтра вчора сьогодні χθες σήμερα'
  ).split(' '),
)

function neverName(word: string): boolean {
  const lower = word.toLowerCase()
  // "US" and "IT" are names, "Us" and "It" are not.
  if (/^\p{Lu}{2,}$/u.test(word) && !calendarAndTalk.has(lower)) return false
  if (/^\d/.test(word)) return false // a version or a house number: only the regular expression's tail
  if (lower.length < 2) return true
  return englishStopWords.has(lower) || calendarAndTalk.has(lower) || otherStopWords.has(lower)
}

/** Ordinary English words that begin sentences by the hundred; the vectors know the rest. */
function startsSentence(word: string): boolean {
  return !/^\p{Lu}{2,}/u.test(word) && !/\p{Ll}\p{Lu}|\d/u.test(word)
}

const isOrdinary = (word: string): boolean =>
  startsSentence(word) && (nameKind(word) === null || /(?:ing|ly|tion|ness)$/.test(word))

/** `opening`: the word begins a sentence and is nowhere else written with a capital. */
function isName(word: string, opening: boolean, nouns: boolean): boolean {
  if (!startsSentence(word)) return true
  const kind = nameKind(word)
  if (opening || nouns) return kind === 'person' || kind === 'place'
  return true
}

function kindOf(words: readonly string[]): ExtractedEntity['kind'] {
  const last = words.at(-1) ?? ''
  if (
    /^(?:Inc|Corp|Ltd|LLC|GmbH|AG|University|Institute|College|School|Hospital|Bank|Foundation|Company|Team|Committee|Museum|Church)$/.test(
      last,
    )
  )
    return 'organization'
  if (
    /^(?:Street|Avenue|Park|River|Lake|Mountain|Beach|Island|City|County|Road|Square|Valley|Airport|Station)$/.test(
      last,
    )
  )
    return 'place'
  const mixed = words.some((word) => /\p{Ll}\p{Lu}|\d/u.test(word))
  if (mixed && nameKind(words[0] ?? '') !== 'person') return 'product'
  const kinds = words.filter((word) => !isJoint(word)).map((word) => nameKind(word))
  return kinds.find((kind) => kind !== null && kind !== undefined) ?? 'other'
}
