/** Dates in text: relative ones against the moment they were said, in UTC, in several languages. */
import { describe, expect, test } from 'vitest'
import { questionDates, resolveDates } from '../../src/pipeline/dates.ts'

/** A Monday. */
const saidAt = new Date('2023-05-08T13:56:00Z')

function resolved(text: string, at = saidAt): string | null {
  const date = resolveDates(text, at)
  return (
    date &&
    [date.from, date.to].map((d) => d.toISOString().slice(0, 10)).join('..') + ` ${date.grain}`
  )
}

describe('a relative date is resolved against the moment of the memory', () => {
  test.each([
    ['I went to a support group yesterday', '2023-05-07..2023-05-07 day'],
    ['We met last Friday', '2023-05-05..2023-05-05 day'],
    ['Last night we cooked', '2023-05-07..2023-05-07 day'],
    ['last weekend was fun', '2023-05-06..2023-05-07 weekend'],
    ['two weekends ago', '2023-04-29..2023-04-30 weekend'],
    ['the weekend before last', '2023-04-29..2023-04-30 weekend'],
    ['I ran a race two weeks ago', '2023-04-24..2023-04-30 week'],
    ['last week', '2023-05-01..2023-05-07 week'],
    ['this week', '2023-05-08..2023-05-14 week'],
    ['the week before last', '2023-04-24..2023-04-30 week'],
    ['We travel next month', '2023-06-01..2023-06-30 month'],
    ['last summer I sailed', '2022-06-01..2022-08-31 season'],
    ['in the fall of 2021', '2021-09-01..2021-11-30 season'],
    ['I moved there in 2019', '2019-01-01..2019-12-31 year'],
    ['three years ago', '2020-01-01..2020-12-31 year'],
    ['on 12 May 2022', '2022-05-12..2022-05-12 day'],
    ['the call is at 5 pm tomorrow', '2023-05-09..2023-05-09 hour'],
  ])('%s', (text, expected) => {
    expect(resolved(text)).toBe(expected)
  })
})

describe('other languages', () => {
  test.each([
    ['Gestern waren wir im Zoo', '2023-05-07..2023-05-07 day'],
    ['Es war letzte Woche', '2023-05-01..2023-05-07 week'],
    ['il y a deux semaines', '2023-04-24..2023-04-30 week'],
    ['Ayer compré pan', '2023-05-07..2023-05-07 day'],
    ['Ontem choveu', '2023-05-07..2023-05-07 day'],
    ['La settimana scorsa', '2023-05-01..2023-05-07 week'],
    ['Вчера шёл дождь', '2023-05-07..2023-05-07 day'],
    ['昨天下雨了', '2023-05-07..2023-05-07 day'],
    ['昨日は雨だった', '2023-05-07..2023-05-07 day'],
  ])('%s', (text, expected) => {
    expect(resolved(text)).toBe(expected)
  })
})

test.each([
  'I may go',
  'the last march was long',
  'the sun rose',
  'call 555-1234',
  'version 1.2.3',
  'I ran 10 miles in 2 hours',
  'the price is 20',
  'do it now',
  '',
])('no date is read into "%s"', (text) => {
  expect(resolved(text)).toBeNull()
})

test('the exact day wins over a vague word before it', () => {
  expect(resolved('Last year was hard, but on 3 March 2023 we opened')).toBe(
    '2023-03-03..2023-03-03 day',
  )
})

test('a question for a month without a year means each of the last years, none to come', () => {
  const periods = questionDates('What did she paint in December?', new Date('2026-11-24T00:00:00Z'))
  expect(periods.map(({ from }) => from.toISOString().slice(0, 7))).toEqual([
    '2025-12',
    '2024-12',
    '2023-12',
    '2022-12',
  ])
})

test('a question with two dates gives both', () => {
  const periods = questionDates('What changed between 7 May 2023 and last week?', saidAt)
  expect(periods.map(({ from }) => from.toISOString().slice(0, 10))).toEqual([
    '2023-05-07',
    '2023-05-01',
  ])
})

test('hostile text neither throws nor takes long', () => {
  const texts = [
    '1/'.repeat(30_000),
    'last '.repeat(10_000),
    '99999999999 years ago',
    'in 9999999 days',
    '\ud800 yesterday',
    'May '.repeat(9999),
    '２０２３年５月８日',
  ]
  for (const text of texts) {
    const start = performance.now()
    resolveDates(text, saidAt)
    questionDates(text, saidAt)
    expect(performance.now() - start).toBeLessThan(1000)
  }
  expect(resolveDates('yesterday', new Date(Number.NaN))).toBeNull()
})
