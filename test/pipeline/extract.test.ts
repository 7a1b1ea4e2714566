/** Names found without a model; what only looks like a name is left out. */
import { expect, test } from 'vitest'
import { extractEntities } from '../../src/pipeline/extract.ts'

const names = (text: string): string[] => extractEntities(text).map(({ name }) => name)

test('people, organisations and places are named with their kind', () => {
  expect(extractEntities('Anna Schmidt works at Siemens in Munich.')).toEqual([
    { name: 'Anna Schmidt', kind: 'person' },
    { name: 'Siemens', kind: 'organization' },
    { name: 'Munich', kind: 'place' },
  ])
})

test('a word that only begins a sentence is no name', () => {
  expect(names('Everything is fine. Nature is great. Running helps. However, it rained.')).toEqual(
    [],
  )
  expect(names('Yesterday Anna called. Wow, Tom!')).toEqual(['Anna', 'Tom'])
})

test('a known name that begins a sentence is one', () => {
  expect(names('Caroline loves painting.')).toEqual(['Caroline'])
})

test('days, months and greetings are no names', () => {
  expect(names('See you on Monday in March. Hey, OK, Thanks!')).toEqual([])
})

test('possessives and suffixes fall away, inner apostrophes stay', () => {
  expect(names("I met Bob's sister and Conan O'Brien")).toEqual(['Bob', "Conan O'Brien"])
  expect(names("Dün Ankara'da buluştuk")).toEqual(['Ankara'])
})

test('quoted titles, also in scripts without case', () => {
  expect(extractEntities('She read "Becoming Nicole" twice')).toEqual([
    { name: 'Becoming Nicole', kind: 'title' },
  ])
  expect(extractEntities('昨日「千と千尋の神隠し」を見た')).toEqual([
    { name: '千と千尋の神隠し', kind: 'title' },
  ])
  expect(names('He said "it was fine" and left')).toEqual([])
})

test('handles and tags, but no parts of addresses', () => {
  expect(
    names('ask @octocat about #devops, mail info@example.com or https://Example.com/Anna'),
  ).toEqual(['@octocat', '#devops'])
})

test('products with digits or inner capitals', () => {
  expect(extractEntities('We run PostgreSQL 16 on the server')).toEqual([
    { name: 'PostgreSQL 16', kind: 'product' },
  ])
})

test('German nouns are no names, German people are', () => {
  const found = names('Der Hund von Frau Müller und die Katze sind nicht in Berlin.')
  expect(found).toContain('Berlin')
  expect(found).not.toContain('Katze')
})

test('Cyrillic names within a sentence', () => {
  expect(names('Вчера Анна ездила в Москву')).toEqual(['Анна', 'Москву'])
})

test('a shouted text holds no names', () => {
  expect(names('PLEASE DO NOT RESTART THE SERVER')).toEqual([])
})

test('each name once, at most 32, and a huge text stays fast', () => {
  expect(names('Anna met ANNA and Anna')).toEqual(['Anna'])
  const many = Array.from(
    { length: 100 },
    (_, index) => `then Xo${'abcdefghij'[index % 10]}${'klmnopqrst'[Math.floor(index / 10)]} came`,
  )
  expect(names(many.join(' '))).toHaveLength(32)
  const hostile = [
    'A '.repeat(32_000),
    '"'.repeat(65_000),
    "A'A".repeat(20_000),
    '@'.repeat(65_000),
    'Aa of the '.repeat(6000),
    '.'.repeat(65_000),
  ]
  for (const text of hostile) {
    const start = performance.now()
    extractEntities(text)
    expect(performance.now() - start).toBeLessThan(1000)
  }
})
