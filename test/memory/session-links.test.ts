/** Which notes count as stored beside each other. */
import { expect, test } from 'vitest'
import { linkNotes, type NotePlace } from '../../src/memory/session-links.ts'

/** A note by the order of storing; its id grows with it. */
function note(order: number, more: Partial<NotePlace> = {}): NotePlace {
  const id = `01a22bd3-0000-7000-8000-${String(order).padStart(12, '0')}`
  const occurred_at = new Date('2026-05-01T10:00:00Z')
  return {
    id,
    document: order,
    session_key: null,
    occurred_at,
    owner_agent: 'ada',
    trust: 2,
    ...more,
  }
}

test('a note is beside those stored right before and after it', () => {
  const links = linkNotes([note(3), note(1), note(2)])
  expect(links.get(1)).toEqual({ previous: null, next: 2 })
  expect(links.get(2)).toEqual({ previous: 1, next: 3 })
  expect(links.get(3)).toEqual({ previous: 2, next: null })
})

test('an edited note keeps its place, and what is out of sight takes none', () => {
  const links = linkNotes([note(1), note(2, { document: 90 }), note(40)])
  expect(links.get(90)).toEqual({ previous: 1, next: 40 })
})

test('notes about times more than an hour apart are not beside each other', () => {
  const later = new Date('2026-05-01T11:00:01Z')
  const links = linkNotes([note(1), note(2, { occurred_at: later })])
  expect(links.get(1)).toEqual({ previous: null, next: null })
  expect(links.get(2)).toEqual({ previous: null, next: null })
})

test.each([
  ['another agent', { owner_agent: 'eve' }],
  ['somebody who is believed less', { trust: 1 }],
])('a note of %s is beside none, and stands between no two', (_, of) => {
  const links = linkNotes([note(1), note(2, of), note(3)])
  expect(links.get(1)).toEqual({ previous: null, next: 3 })
  expect(links.get(2)).toEqual({ previous: null, next: null })
})

test('what belongs to a session is beside no note', () => {
  const links = linkNotes([note(1), note(2, { session_key: Buffer.from('a') }), note(3)])
  expect(links.has(2)).toBe(false)
  expect(links.get(1)).toEqual({ previous: null, next: 3 })
})

test('versions of one memory are not beside each other', () => {
  const links = linkNotes([note(1), note(2), note(2, { document: 5 }), note(3)])
  expect(links.get(2)).toEqual({ previous: 1, next: 3 })
  expect(links.get(5)).toEqual({ previous: 1, next: 3 })
  expect(links.get(3)).toEqual({ previous: 5, next: null })
})
