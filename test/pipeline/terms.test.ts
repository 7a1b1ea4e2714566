/** What the analyzer promises for each script, and that no input makes it slow. */
import { describe, expect, test } from 'vitest'
import { analyze, analyzeQuestion, tokenize } from '../../src/pipeline/terms.ts'

/** True when the question shares a term with the memory: BM25 then finds it. */
function finds(question: string, memory: string): boolean {
  const { frequencies } = analyze(memory)
  return [...analyzeQuestion(question).keys()].some((term) => frequencies.has(term))
}

describe('words are found in another form', () => {
  test.each([
    ['English inflection', 'Who was running?', 'Anna runs every day'],
    ['English possessive', 'Where is Bob?', "That was Bob's idea"],
    ['a typographic apostrophe', "Bob's", 'Bob’s idea'],
    ['German inflection', 'Welche Verteidigungen?', 'Die Verteidigung gab nur 308 Punkte ab'],
    ['German sharp s', 'Strasse', 'Die Straße ist gesperrt'],
    ['the last part of a German compound', 'Versicherung', 'Meine Krankenversicherung ist teuer'],
    ['a short last part', 'Wo ist der Vertrag?', 'Der Mietvertrag liegt im Schrank'],
    [
      'a last part with an ending',
      'Verträge',
      'Wir haben die Mietverträge gekündigt und sind frei',
    ],
    ['a Dutch compound', 'verzekering', 'Mijn ziektekostenverzekering is niet duur'],
    ['Spanish without accents', 'cuando es la reunion', 'La reunión será mañana'],
    ['Russian cases', 'Кто живёт в Москве?', 'Она переехала в Москву'],
    ['Turkish suffix after an apostrophe', 'Türkiye nerede?', "Türkiye'nin başkenti Ankara"],
    ['Turkish dotted and dotless I', 'ISPARTA', 'ısparta gülleri'],
    ['Turkish capital dotted I', 'istanbul', 'İSTANBUL güzel'],
    ['Arabic article and conjunction', 'كتاب', 'قرأت والكتاب جميل'],
    ['Arabic conjunction, preposition and article', 'مدرسة', 'ذهبت وللمدرسة باب كبير'],
    ['Arabic preposition', 'كتاب', 'هذا غلاف لكتاب جديد'],
    ['an Arabic word that begins like one', 'لجنة', 'اجتمعت اللجنة أمس'],
    ['Arabic vowel signs', 'محمد', 'مُحَمَّد'],
    ['Hindi plural', 'लड़का', 'लड़के खेल रहे हैं'],
    ['Greek accents and final sigma', 'ΟΔΟΣ', 'η οδός είναι κλειστή'],
    ['Vietnamese typed without marks', 'thanh pho', 'Thành phố Hồ Chí Minh'],
    ['French elision', 'hôtel', "Nous dormons à l'hôtel"],
    ['Ukrainian apostrophe', 'обєкт', 'Це великий об’єкт'],
    ['Chinese without spaces', '东京在哪里', '我去过东京旅行'],
    ['Japanese katakana', 'タワー', '東京タワーに登った'],
    ['Korean particles', '커피', '아침에 커피를 마셨다'],
    ['Thai without spaces', 'เชียงใหม่', 'ฉันไปเที่ยวเชียงใหม่มาแล้ว'],
    ['full width', 'Test 123', 'ｔｅｓｔ １２３'],
    ['digits of another script', '35', '३५ रुपये'],
    ['grouped numbers', '1234567', 'It cost 1,234,567 euros'],
    ['emoji with a skin tone', '👍', 'Great 👍🏽'],
    ['emoji beside a word', '🍕', 'pizza🍕tonight'],
    ['parts of an identifier', 'user id', 'call getUserById() first'],
    ['an acronym that is a pronoun', 'Who leads IT?', 'Maria joined IT in May'],
    ['a decomposed accent', 'café', 'cafe\u0301 au lait'],
    ['a zero-width space inside', 'secret', 'sec\u200bret plan'],
  ])('%s', (_name, question, memory) => {
    expect(finds(question, memory)).toBe(true)
  })
})

test('unrelated texts share no term', () => {
  expect(finds('Where does Anna live?', 'The server was restarted on Friday')).toBe(false)
  expect(finds('北京', '东京')).toBe(true) // both are capitals: one character in common
  expect(finds('猫', '东京')).toBe(false)
})

test('endings are kept of languages alone that write compounds as one word', () => {
  const endings = (text: string) =>
    [...analyze(text).frequencies.keys()].filter((term) => term.startsWith('-6:'))
  expect(endings('Der Mietvertrag liegt im Schrank')).toEqual(['-6:ertrag'])
  expect(endings('La comunicación internacional es importante')).toEqual([])
  expect(endings('Türkiye Cumhuriyeti bağımsızlığını kazandı')).toEqual([])
  expect(endings('The international organisation was founded in Geneva')).toEqual([])
})

test('an English memory of thirty words has no more terms than words', () => {
  const memory =
    'Caroline: I went to a support group yesterday and it was so powerful. The stories were ' +
    'inspiring and I was happy and thankful for all the support that I found there.'
  const { frequencies, length } = analyze(memory)
  expect(frequencies.size).toBeLessThanOrEqual(13)
  expect(length).toBeGreaterThanOrEqual(frequencies.size)
  expect([...frequencies.keys()].every((term) => !/^[46]:/.test(term))).toBe(true)
})

test('repeated words are counted, in a question only once', () => {
  expect(analyze('tea and tea and more tea').frequencies.get('tea')).toBe(3)
  expect(analyzeQuestion('tea and tea and more tea').get('tea')?.weight).toBe(1)
})

test('the forms of a word of a question say which word they belong to, and stand in a row', () => {
  const words = [...analyzeQuestion('Wo liegen die Mietverträge von 1987?')]
  expect(words.map(([term, { word }]) => `${word} ${term}`)).toEqual([
    '0 liegen',
    '0 4:lieg',
    '1 mietvertrag',
    '1 4:miet',
    '1 6:mietve',
    '1 -6:ertrag',
    '2 1987',
  ])
  const pairs = [...analyzeQuestion('东京').values()]
  expect(new Set(pairs.map(({ word }) => word)).size).toBe(pairs.length)
})

test('a text of stop words alone still has terms and is found', () => {
  expect(analyze('To be or not to be').frequencies.size).toBeGreaterThan(0)
  expect(finds('to be or not to be', 'To be or not to be')).toBe(true)
})

test('nothing gives no terms and a length that divides', () => {
  for (const text of ['', ' \n\t', '...', '\u200b']) {
    expect(analyze(text)).toEqual({ frequencies: new Map(), length: 1 })
    expect(analyzeQuestion(text).size).toBe(0)
  }
})

test('surface words keep their order and lose case and marks', () => {
  expect(tokenize('Zoë met 2 Friends 🙂')).toEqual(['zoe', 'met', '2', 'friends'])
})

describe('64 KiB of anything stays bounded', () => {
  const size = 65_536
  const inputs: Record<string, string> = {
    'one word again and again': 'ab '.repeat(size / 3),
    'one token': 'x'.repeat(size),
    'one mark after another': `a${'\u0301'.repeat(size / 2)}`,
    emoji: '😀'.repeat(size / 4),
    'joined emoji': '👩‍👩‍👧'.repeat(size / 18),
    'distinct words': Array.from({ length: 10_900 }, (_, index) => index.toString(36)).join(' '),
    'one Thai letter': 'ก'.repeat(size / 3),
    'Thai words': 'ไปเที่ยวเชียงใหม่มาแล้ว'.repeat(size / 69),
    'distinct Chinese characters': Array.from({ length: size / 3 }, (_, index) =>
      String.fromCodePoint(0x4e00 + ((index * 7919) % 20_000)),
    ).join(''),
    apostrophes: "a'".repeat(size / 2),
    'grouped numbers': '1,111'.repeat(size / 5),
    'an unpaired surrogate': '\ud83d'.repeat(1000),
  }
  test.each(Object.keys(inputs))('%s', (name) => {
    const text = inputs[name] ?? ''
    analyze(text) // warm
    const start = performance.now()
    const { frequencies } = analyze(text)
    const elapsedMs = performance.now() - start
    expect(frequencies.size).toBeLessThanOrEqual(4096)
    expect(analyzeQuestion(text).size).toBeLessThanOrEqual(160)
    expect(Math.max(0, ...[...frequencies.keys()].map((term) => term.length))).toBeLessThanOrEqual(
      66,
    )
    // The bar is 50 ms on a quiet core; a quadratic step would take seconds.
    expect(elapsedMs).toBeLessThan(400)
  })
})
