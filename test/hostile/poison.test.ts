/**
 * 500 poisoned texts (125 that were written, in carriers) through every channel and field: none raises its
 * own trust, none is in an answer while it is quarantined. 1,000 ordinary notes (231 that were written) stay
 * out of quarantine; the marks around stored data are poison-marks.test.ts'. `FULL=1` sends every text in every field; CI sends each once a channel.
 */
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findSuspicions } from '../../src/pipeline/suspicion.ts'
import type { Principal } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { connections } from '../support/clients.ts'
import { expectContained, some } from './contained.ts'
import { ordinaryNotes, poisonedTexts } from './corpus/corpus.ts'
import {
  fields,
  heldIn,
  lineOf,
  openChannels,
  type Channel,
  type Held,
  type Sent,
} from './poison-channels.ts'

const isFull = process.env['FULL'] === '1'
/** The full size takes most of half an hour on two busy cores. */
const timeoutMs = isFull ? 3_600_000 : 300_000
const poison = poisonedTexts()
const fieldList = Object.values(fields)
let app: TestApp
let channels: readonly Channel[]

beforeAll(async () => {
  // The stream's clients keep no limit; each text stands alone, so nothing else is measured.
  app = await startTestApp()
  channels = await openChannels(app)
})
afterAll(async () => {
  for (const channel of channels) await channel.close()
  await app.close()
})

/** What one channel is sent: each text in one field, or in all of them. */
function sentTo(place: number): readonly Sent[] {
  return poison.flatMap(({ text }, index) => {
    const chosen = isFull ? fieldList : [fieldList[(index + place) % fieldList.length]]
    return chosen.map((field) => field?.(text, index) ?? { content: text })
  })
}

const agentIn = (namespaceName: string): Promise<Principal> =>
  app.app.principal({ namespaceName, agent: 'ada', channel: 'stdio' })
const recall = async (principal: Principal, input: object) =>
  (await app.app.execute(app.app.operations.recall, principal, input)).results

async function browseAll(principal: Principal): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page: { results: { id: string }[]; next_cursor?: string | undefined } =
      await app.app.execute(app.app.operations.recall, principal, {
        limit: 100,
        ...(cursor !== undefined && { cursor }),
      })
    ids.push(...page.results.map(({ id }) => id))
    cursor = page.next_cursor
  } while (cursor !== undefined)
  return ids
}

describe('a poisoned text', () => {
  // One promise a channel needs the channels, which are opened once: so the loops are inside.
  test(
    'raises its own trust by no channel and no field, and what comes from outside is quarantined',
    async () => {
      for (const [place, channel] of channels.entries()) {
        const all = sentTo(place)
        // A request for each is the dear way; every text came by others already.
        const sent = channel.isOneByOne ? some(all, isFull ? 500 : 60) : all
        await channel.send(sent)
        const held = await heldIn(app, channel.namespaceName)
        expect(held.length, channel.name).toBeGreaterThan(sent.length / 2)
        const raised = held.filter(
          ({ source }) =>
            !channel.trust.includes(source.trust) || !channel.kinds.includes(source.kind),
        )
        expect(raised, channel.name).toEqual([])
        const loose = held.filter(({ source, quarantine }) => source.trust < 2 && !quarantine)
        expect(loose, channel.name).toEqual([])
      }
    },
    timeoutMs,
  )

  test(
    'is in no default answer while it is quarantined: browsing, questions, names, labels, resources',
    async () => {
      for (const { name, namespaceName } of channels) {
        const principal = await agentIn(namespaceName)
        const held = await heldIn(app, namespaceName)
        const quarantined = held.filter(({ quarantine }) => quarantine)
        expect(quarantined.length, name).toBeGreaterThan(held.length / 4)
        const hidden = new Set(quarantined.map(({ id }) => id))
        const open = held.filter(({ id }) => !hidden.has(id))
        expect((await browseAll(principal)).toSorted(), name).toEqual(
          open.map(({ id }) => id).toSorted(),
        )
        for (const memory of some(quarantined, isFull ? 40 : 5)) {
          await expectUnanswered(principal, memory, hidden)
        }
      }
    },
    timeoutMs,
  )

  async function expectUnanswered(principal: Principal, memory: Held, hidden: ReadonlySet<string>) {
    const words = memory.content.slice(-1_500)
    const questions = [
      { query: words, limit: 50, neighbours: 1 },
      { ids: [memory.id] },
      ...['session', 'speaker'].map((key) => ({ [key]: memory[key] ?? 'x', limit: 50 })),
    ]
    for (const question of questions) {
      const hits = await recall(principal, question)
      const shown = hits.flatMap((hit) => [hit, ...(hit.neighbours ?? [])])
      expect(shown.filter(({ id }) => hidden.has(id))).toEqual([])
    }
  }

  test(
    'is not merged: it stands for nothing, replaces nothing and names nobody',
    async () => {
      const namespaceName = 'merging'
      const principal = await agentIn(namespaceName)
      const operator = await app.app.principal({ namespaceName, agent: 'ada', channel: 'cli' })
      const connector = await app.app.principal({ namespaceName, agent: 'ada', channel: 'job' })
      const { execute, operations } = app.app
      const notes = some(ordinaryNotes(), 20).map(({ text }) => ({ content: `${text} (of today)` }))
      await execute(operations.store, connector, { memories: notes })
      const own = await execute(operations.store, principal, { memories: notes })
      expect(own.results.map(({ status, quarantined }) => [status, quarantined])).toEqual(
        notes.map(() => ['stored', undefined]),
      )
      const victims = own.results.map(({ id }) => id)
      const lines = some(poison, 200).map(({ text }, index) =>
        lineOf(
          {
            content: `We met Quarantina Vorsokova. ${text}`,
            supersedes: victims[index % victims.length],
          },
          { kind: 'user', trust: index % 4 },
        ),
      )
      const before = await heldIn(app, namespaceName)
      await execute(operations.import, operator, { lines })
      const after = new Map((await heldIn(app, namespaceName)).map((memory) => [memory.id, memory]))
      for (const memory of before) expect(after.get(memory.id)).toEqual(memory)
      const replacing = [...after.values()].filter(
        (memory) => memory.quarantine && memory['supersedes'] !== undefined,
      )
      expect(replacing).toEqual([])
      const quarantined = [...after.values()].filter(({ quarantine }) => quarantine)
      const ids = new Set(quarantined.map(({ id }) => id))
      const named = await recall(principal, { entity: 'Quarantina Vorsokova', limit: 100 })
      expect(named.filter(({ id }) => ids.has(id))).toEqual([])
    },
    timeoutMs,
  )

  test(
    'takes no memory’s place by an edit, gains nothing as a reason, and leaves no marks from there',
    async () => {
      const namespaceName = 'edited'
      const principal = await agentIn(namespaceName)
      const stream = connections.find(({ isStream, era }) => isStream && era === 'legacy')
      const caller = await stream?.open(app, { as: { namespaceName, agent: 'ada' } })
      if (caller === undefined) throw new TypeError('no such connection')
      const texts = some(poison, isFull ? 500 : 60)
      const notes = texts.map((_text, index) => ({
        content: `Note ${index}: the pump was mended.`,
      }))
      const { execute, operations } = app.app
      const stored = await execute(operations.store, principal, { memories: notes })
      const refused = new Set<string>()
      for (const [index, { text }] of texts.entries()) {
        const id = stored.results[index]?.id ?? ''
        const field = fieldList[index % fieldList.length]
        const asReason = { retire: text.slice(0, 500).replace(/[\ud800-\udbff]$/u, '') }
        const change = index % 3 === 0 ? asReason : field?.(text, index)
        const answer = await caller.call('store', { id, ...change })
        if (answer.isError) expect(answer.text).toMatch(/^invalid_input: /u)
        if (answer.isError) refused.add(id)
      }
      // A third says nothing that the heuristic sees: those are taken, and believed no more than before.
      expect(refused.size).toBeGreaterThan(texts.length / 2)
      expect(refused.size).toBeLessThan(texts.length)
      const current = (await heldIn(app, namespaceName)).filter((held) => held['is_current'])
      expect(current).toHaveLength(texts.length)
      for (const { id, source, quarantine, content, ...more } of current) {
        expect([source.kind, source.trust, quarantine]).toEqual(['agent', 2, undefined])
        if (!refused.has(id)) continue
        expect(content).toMatch(/^Note \d+: the pump was mended\.$/u)
        expect(more).not.toHaveProperty('retire_reason')
      }
      const changed = stored.results.flatMap(({ id }) => (refused.has(id) ? [] : [id]))
      for (const [tool, input] of [
        ['recall', { ids: changed.slice(0, 50), include_history: true }],
        ['export', { limit: 200 }],
      ] as const) {
        expectContained((await caller.call(tool, input)).text)
      }
      await caller.close()
    },
    timeoutMs,
  )

  test('cannot say it by arguments: trust, source and quarantine are no fields of store', async () => {
    const principal = await agentIn('merging')
    for (const claim of [
      { trust: 3 },
      { source: { kind: 'user', trust: 3 } },
      { quarantine: [] },
      { approved: true },
      { owner_agent: 'root' },
      { id: uuidv7(), trust: 3 },
    ]) {
      const { execute, operations } = app.app
      for (const input of [
        { content: 'x', ...claim },
        { memories: [{ content: 'x', ...claim }] },
      ]) {
        await expect(execute(operations.store, principal, input)).rejects.toMatchObject({
          code: 'invalid_input',
        })
      }
    }
  })

  test('is flagged by what it says: most of those that were never looked at as well', () => {
    // A change of facts that orders nobody about ("bridge") is no instruction: nothing promises to see it.
    const spoken = poison.filter(({ family }) => family !== 'bridge')
    const share = (isHeldOut: boolean) => {
      const half = spoken.filter((text) => text.isHeldOut === isHeldOut)
      return half.filter(({ text }) => findSuspicions([text]).size > 0).length / half.length
    }
    expect(share(false)).toBeGreaterThanOrEqual(0.97)
    expect(share(true)).toBeGreaterThanOrEqual(0.75)
  })
})

describe('an ordinary note', () => {
  test(
    'is quarantined in at most 2 of 100 cases, though many look suspicious',
    async () => {
      const notes = ordinaryNotes()
      const principal = await agentIn('ordinary')
      let quarantined = 0
      for (let start = 0; start < notes.length; start += 500) {
        const { results } = await app.app.execute(app.app.operations.store, principal, {
          memories: notes.slice(start, start + 500).map(({ text }) => ({ content: text })),
        })
        quarantined += results.filter((result) => result.quarantined).length
      }
      expect(quarantined).toBeLessThanOrEqual(notes.length * 0.02)
      const flagged = (isHeldOut: boolean) => {
        const half = notes.filter((note) => note.isHeldOut === isHeldOut)
        return half.filter(({ text }) => findSuspicions([text]).size > 0).length / half.length
      }
      expect(Math.max(flagged(true), flagged(false))).toBeLessThanOrEqual(0.02)
    },
    timeoutMs,
  )
})
