/** The analyzer: text to the terms BM25 counts, for every script at once, without asking the language. */

import { stemmer } from 'stemmer'
import {
  compoundMarkers,
  englishMarkers,
  englishStopWords,
  otherStopWords,
  vietnameseStopWords,
} from './stop-words.ts'
import { splitWords, type Word } from './words.ts'

export { tokenize } from './words.ts'

/** Recorded per namespace beside the embedder's model: a change of any term needs a reindex. */
export const analyzerVersion = 2

export interface AnalyzedText {
  /** term → occurrences; at most `documentTermsMax`. */
  readonly frequencies: Map<string, number>
  /** Words counted for BM25's length norm (variants of one word count once), at least 1. */
  readonly length: number
}

/** A 64 KiB page of prose has about 2,500 distinct stems; beyond this it is a dump, not a memory. */
const documentTermsMax = 4096
/** Longer questions are pasted texts: their first words say what is asked, and each term is a lookup. */
const questionTermsMax = 160

/**
 * Weights of a word's variants in a question (a document counts them all once). Fitted on XQuAD
 * de, en, es, ru, th, tr, zh: docs/decisions/0003-analyzer.md.
 */
const weights = {
  word: 1,
  prefix4: 0.8,
  prefix6: 0.8,
  ending: 0.3,
  character: 0.5,
  syllables: 0.5,
  withoutClitic: 0.5,
}
/** A short question without function words may be English, where prefixes only add noise. */
const unsureFactor = 0.3

/** A term of a question. */
export interface QuestionTerm {
  /** Multiplies the term's BM25 score. */
  readonly weight: number
  /** Number of the word whose form this is: forms of one word are one piece of evidence (ranking-lexical.ts). */
  readonly word: number
}

/** Takes a word, or with `isForm` another form of the word before. */
type Add = (term: string, weight: number, isForm?: boolean) => void
type Language = 'english' | 'other' | 'unsure'

/** Terms of a memory. Pure; under 50 ms for any 64 KiB. */
export function analyze(text: string): AnalyzedText {
  const frequencies = new Map<string, number>()
  const words = splitWords(text)
  const hasCompounds = words.some((word) => compoundMarkers.has(word.text))
  const endingMin = hasCompounds ? compoundLettersMin : Infinity
  const length = collect(text, words, endingMin, (term) => {
    const count = frequencies.get(term)
    if (count !== undefined) frequencies.set(term, count + 1)
    else if (frequencies.size < documentTermsMax) frequencies.set(term, 1)
  })
  return { frequencies, length: Math.max(1, length) }
}

/** Terms of a question, the forms of a word in a row; at most 160. */
export function analyzeQuestion(text: string): Map<string, QuestionTerm> {
  const question = new Map<string, QuestionTerm>()
  const asked = text.slice(0, 8192)
  let word = -1
  collect(asked, splitWords(asked), endingLetters, (term, weight, isForm = false) => {
    if (!isForm) word += 1
    const known = question.get(term)
    if (known !== undefined) {
      question.set(term, { word: known.word, weight: Math.max(known.weight, weight) })
    } else if (question.size < questionTermsMax) question.set(term, { word, weight })
  })
  return question
}

/**
 * Gives every term to `add`; returns the number of words. `endingMin`: letters from which a word may be a
 * compound, and its last part the word that is asked for.
 */
function collect(text: string, words: readonly Word[], endingMin: number, add: Add): number {
  const language = guessLanguage(words)
  const vietnamese = words.some((word) => vietnameseLetter.test(word.marked))
  const shouted = !/\p{Ll}/u.test(text)
  const content = words.filter((word) =>
    vietnamese ? !vietnameseStopWords.has(word.marked) : !isStopWord(word, language, shouted),
  )
  // A text of stop words alone ("To be or not to be") is still a memory.
  const kept = content.length > 0 ? content : words
  let length = 0
  let before: Word | undefined
  for (const word of kept) {
    if (word.kind === 'ideographic') length += addPairs(word.text, add)
    else if (word.kind === 'unspaced') length += addSegments(word.text, add)
    else {
      length += 1
      if (vietnamese && word.kind === 'latin') addSyllable(word, before, add)
      else addWord(word, language, endingMin, add)
      before = word
    }
  }
  return Math.round(length)
}

/**
 * English by its function words, else by those of other languages or letters English does not have.
 * English texts then keep one stem a word: prefixes would double their postings for nothing.
 */
function guessLanguage(words: readonly Word[]): Language {
  let latin = 0
  let english = 0
  let other = 0
  for (const word of words.slice(0, 400)) {
    if (word.kind !== 'latin') continue
    latin += 1
    if (englishMarkers.has(word.text)) english += 1
    else if (otherStopWords.has(word.text)) other += 1
    else if (word.marked !== word.text) other += 0.5
  }
  if (english >= 0.15 * latin && english > other) return 'english'
  return other > english ? 'other' : 'unsure'
}

function isStopWord(word: Word, language: Language, shouted: boolean): boolean {
  if (word.kind !== 'latin' && word.kind !== 'alphabetic') return false
  if (word.kind === 'alphabetic') return otherStopWords.has(word.text)
  // "IT", "US" in running text are names, not pronouns.
  const acronym = !shouted && word.written.length > 1 && word.written === word.written.toUpperCase()
  if (acronym) return false
  if (englishStopWords.has(word.text)) return true
  return language === 'other' && otherStopWords.has(word.text)
}

function addWord(word: Word, language: Language, endingMin: number, add: Add): void {
  const text = word.kind === 'alphabetic' ? lightStem(word.text) : word.text
  if (word.kind === 'number' || word.kind === 'symbol') {
    add(text, weights.word)
    return
  }
  const isLatin = word.kind === 'latin'
  add(isLatin ? porterStem(text) : text, weights.word)
  if (!isLatin) addForms(text, 1, add)
  else if (language !== 'english') {
    const factor = language === 'unsure' ? unsureFactor : 1
    addForms(text, factor, add)
    addEnding(text, endingMin, weights.ending * factor, add)
  }
  if (isLatin) addParts(word.written, add)
}

/** The substitute for a stem where the language is unknown. */
function addForms(text: string, factor: number, add: Add): void {
  const letters = Array.from(text)
  if (letters.length >= 4) add(`4:${letters.slice(0, 4).join('')}`, weights.prefix4 * factor, true)
  if (letters.length >= 7) add(`6:${letters.slice(0, 6).join('')}`, weights.prefix6 * factor, true)
  if (forArabic.test(text)) add(text.slice(1), weights.withoutClitic, true)
}

/** Letters of an ending, and of the shortest word that is looked for as one. */
const endingLetters = 6
/** A German word of so many letters is mostly put together: `Mietvertrag`. */
const compoundLettersMin = 10
/** What German and its relatives put behind a word to inflect it. */
const inflection = /(?:e|en|er|es|em|n|s)$/

/** The last letters of a word without its inflection: `-6:ertrag` of `Mietverträge`, and of the question `Vertrag`. */
function addEnding(text: string, lettersMin: number, weight: number, add: Add): void {
  const stem = text.replace(inflection, '')
  if (stem.length >= lettersMin) add(`-6:${stem.slice(-endingLetters)}`, weight, true)
}

const stems = new Map<string, string>()
/** Porter's stems are pure but slow (2 µs); memories repeat words. Bounded: emptied when full. */
const stemsMax = 20_000

function porterStem(word: string): string {
  if (/[^a-z]/.test(word)) return word
  let stem = stems.get(word)
  if (stem === undefined) {
    stem = stemmer(word)
    if (stems.size >= stemsMax) stems.clear()
    stems.set(word, stem)
  }
  return stem
}

/** Identifiers are found by their parts too: `getUserById`, `GitHub`. */
function addParts(written: string, add: Add): void {
  if (!/[a-z][A-Z]/.test(written)) return
  const parts = written.split(/(?<=[a-z])(?=[A-Z])/).slice(0, 8)
  for (const part of parts) {
    const lower = part.toLowerCase()
    if (lower.length >= 3 && !englishStopWords.has(lower)) add(porterStem(lower), weights.word)
  }
}

const arabicPrefix = /^(?:وال|بال|كال|فال|ولل|لل|ال|و(?=\p{L}{3}))(?=\p{L}{2})/u
/** `for` before a word, or the word's own first letter: both readings are terms. */
const forArabic = /^ل\p{Script=Arabic}{3}/u
const arabicSuffix = /(?<=\p{L}{2})(?:ها|ان|ات|ون|ين|يه|هم|ه|ي)$/u

/**
 * Where the letters before or after a stem are other words or endings: Arabic clitics (light10, Larkey
 * et al. 2002), Hebrew's one-letter prefixes, the vowel signs that end inflected Indic words.
 */
function lightStem(word: string): string {
  if (/^\p{Script=Arabic}/u.test(word)) {
    return word.replace(arabicPrefix, '').replace(arabicSuffix, '')
  }
  if (/^[הובלכמש]\p{Script=Hebrew}{4}/u.test(word)) return word.slice(1)
  if (/^[\u0900-\u0dff]/.test(word)) return word.replace(/(?<=.{2})[\p{M}]+$/u, '')
  return word
}

const vietnameseLetter = /[ơưđ\u1ea0-\u1ef9]/
/** Tones tell Vietnamese syllables apart, and two of them make a word; folded pairs find text typed without marks. */
function addSyllable(word: Word, before: Word | undefined, add: Add): void {
  add(word.marked, weights.word)
  if (word.marked !== word.text) add(word.text, weights.syllables, true)
  if (before) add(`2:${before.text} ${word.text}`, weights.syllables)
}

/** Chinese, Japanese, Korean: pairs of characters, and Chinese characters by themselves. */
function addPairs(run: string, add: Add): number {
  const characters = Array.from(run)
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? ''
    const alone = characters.length === 1
    if (alone || /\p{Script=Han}/u.test(character)) {
      add(character, alone ? weights.word : weights.character)
    }
    const next = characters[index + 1]
    if (next !== undefined) add(character + next, weights.word)
  }
  return characters.length / 2
}

/** ICU's search is worse than linear in a run without breaks (21,845 × ก: 107 ms whole). */
const segmentedRunMax = 256
const segmenter = new Intl.Segmenter('th', { granularity: 'word' })

/** Thai, Lao, Khmer, Burmese: the dictionary words of Node's ICU. */
function addSegments(run: string, add: Add): number {
  let count = 0
  for (let start = 0; start < run.length; start += segmentedRunMax) {
    for (const { segment, isWordLike } of segmenter.segment(
      run.slice(start, start + segmentedRunMax),
    )) {
      if (!isWordLike || otherStopWords.has(segment)) continue
      add(segment, weights.word)
      count += 1
    }
  }
  return count
}
