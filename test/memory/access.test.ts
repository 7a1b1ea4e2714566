/** What `private` promises: for another agent it is as if the memory had never been stored. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { countVersions } from '../../src/memory/size.sql.ts'
import { refreshStatistics } from '../../src/namespaces/namespaces.sql.ts'
import { briefViews } from '../../src/memory/brief-views.ts'
import { complete } from '../../src/mcp/completions.ts'
import { listResources, readResource } from '../../src/mcp/resources.ts'
import type { Operation } from '../../src/operation.ts'
import { allScopes, type Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const run = <I extends z.ZodType, O extends z.ZodType, P>(
  operation: Operation<I, O, P>,
  principal: Principal,
  input: unknown,
) => memory.execute(operation, principal, input)
const agent = (namespaceName: string, name: string) =>
  memory.principal({ namespaceName, agent: name })
const admin = (namespaceName: string) => memory.principal({ namespaceName, scopes: allScopes })

const common = [
  {
    content: 'The harbour project starts in Lisbon in May.',
    tags: ['harbour'],
    session: 'planning',
    speaker: 'Mina',
  },
  { content: 'Lunch is at noon in the small room.', session: 'planning', speaker: 'Otto' },
  { content: 'The harbour needs a second crane.', session: 'planning', speaker: 'Mina' },
  { content: 'The first compiler is by Grace Hopper.', tags: ['history'] },
] as const

/** Enough that they would fill the candidates of a question several times over. */
const hidden = Array.from({ length: 400 }, (_, index) => ({
  content: `Harbour secret ${index}: the crane goes to Lisbon before lunch with Grace Hopper.`,
  tags: ['harbour', 'secret'],
  session: 'planning',
  speaker: 'Spy',
  access: 'private',
  allowed_agents: ['grace'],
}))

/** Two namespaces alike but for what ada keeps to herself in one of them. */
describe.each(['field', 'sealed'] as const)(
  '%s: in all that another agent is answered',
  (profile) => {
    const names = { plain: `twin-plain-${profile}`, secret: `twin-secret-${profile}` } as const
    let plain: Principal
    let secret: Principal

    beforeAll(async () => {
      for (const namespaceName of Object.values(names)) {
        await memory.principal({ namespaceName, profile })
        const bob = await agent(namespaceName, 'bob')
        const ada = await agent(namespaceName, 'ada')
        const times = common.map((memory_, index) => ({
          ...memory_,
          occurred_at: `2026-05-0${index + 1}`,
        }))
        await run(memory.operations.store, bob, { memories: times.slice(0, 2) })
        if (namespaceName === names.secret) {
          await run(memory.operations.store, ada, { memories: hidden, idempotency_key: 'k' })
          await run(memory.operations.forget, ada, { tags: ['secret'] })
        }
        await run(memory.operations.store, bob, { memories: times.slice(2) })
      }
      plain = await agent(names.plain, 'eve')
      secret = await agent(names.secret, 'eve')
    })

    /** The answer without what differs between any two namespaces: ids, clocks, cursors, tokens. */
    function bare(answer: unknown): unknown {
      const text = JSON.stringify(answer, (key, value: unknown) =>
        /^(?:id|recorded_at|next_cursor|nextCursor|stages_ms|confirm_\w+|request_id|lastModified)$/u.test(
          key,
        )
          ? undefined
          : value,
      )
      return JSON.parse(
        text
          .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f-]{17}/gu, 'ID')
          .replaceAll(/memory-[0-9a-f]{24}/gu, 'MARK')
          // Ids count, and theirs are of other digits.
          .replaceAll(/"tokens":\d+/gu, '"tokens":0')
          .replaceAll(/twin-(?:plain|secret)-\w+/gu, 'NAME'),
      )
    }

    async function bothAnswers(work: (eve: Principal) => Promise<unknown>): Promise<void> {
      const [one, other] = [bare(await work(plain)), bare(await work(secret))]
      expect(other).toEqual(one)
      expect(JSON.stringify(other)).not.toContain('secret')
    }

    const questions: readonly (readonly [string, object])[] = [
      ['a question, with the parts of its score', { query: 'Where is the harbour crane?' }],
      ['the hidden words', { query: 'secret Spy Grace Hopper before lunch in Lisbon' }],
      ['words that no memory holds, only vectors near it', { query: 'heavy machinery for ships' }],
      ['several questions', { queries: ['harbour in Lisbon', 'who moves the crane?'] }],
      ['a filtered question', { query: 'harbour', tags: ['harbour'], session: 'planning' }],
      ['neighbours', { query: 'harbour crane', neighbours: 5 }],
      ['an entity', { entity: 'Grace Hopper' }],
      ['a tag', { tags: ['secret'] }],
      ['a speaker', { speaker: 'Spy' }],
      ['an agent', { agent: 'ada' }],
      ['browsing', { limit: 2 }],
    ]
    test.each(questions)('%s', async (_what, input) => {
      await bothAnswers((eve) =>
        run(memory.operations.recall, eve, {
          ...input,
          ...('query' in input && { explain: true }),
        }),
      )
    })

    test.each(briefViews)('a brief to %s', async (view) => {
      await bothAnswers((eve) => run(memory.operations.brief, eve, { view, max_tokens: 20_000 }))
    })

    test('a question after the statistics were refreshed', async () => {
      for (const name of Object.values(names)) {
        const job = await admin(name)
        await memory.test.scope.withNamespace(job, {}, refreshStatistics)
      }
      const [one, other] = await Promise.all(
        [plain, secret].map((eve) =>
          memory.test.scope.withNamespace(
            eve,
            {},
            (tx) => tx`
            select document_count, mean_length from namespaces where namespace = ${tx.namespace}`,
          ),
        ),
      )
      expect(other).toEqual(one)
      expect(one).toMatchObject([{ document_count: 4 }])
    })

    test('export, and the size that its progress shows', async () => {
      await bothAnswers((eve) => run(memory.operations.export, eve, { format: 'markdown' }))
      await bothAnswers((eve) => memory.test.scope.withNamespace(eve, {}, countVersions))
    })

    test('the audit log', async () => {
      await bothAnswers((eve) => run(memory.operations.auditQuery, eve, { agent: 'ada' }))
      const { events } = await run(memory.operations.auditQuery, await admin(names.secret), {
        agent: 'ada',
      })
      expect(events.map(({ action }) => action)).toEqual(['forget', 'store'])
    })

    test('resources: their list, the newest and a name', async () => {
      const call = (principal: Principal) => ({ principal, options: {} })
      await bothAnswers((eve) => listResources(host(), call(eve), undefined))
      for (const path of ['recent', 'brief', 'entities/Grace%20Hopper']) {
        await bothAnswers((eve) =>
          readResource(host(), call(eve), `memory://${eve.namespaceName}/${path}`),
        )
      }
    })

    test.each(['id', 'session', 'topic', 'name'])('completion of %s', async (name) => {
      await bothAnswers((eve) =>
        complete(
          host(),
          { principal: eve, options: {} },
          { ref: { type: 'ref/prompt', name: 'any' }, argument: { name, value: '' } },
        ),
      )
    })

    test('storing the very same words, which are new and no duplicate', async () => {
      const { content, tags, session, speaker } = hidden[0] ?? common[0]
      await bothAnswers((eve) =>
        run(memory.operations.store, eve, {
          content,
          tags,
          session,
          speaker,
          occurred_at: '2026-05-09',
        }),
      )
      await bothAnswers((eve) => run(memory.operations.forget, eve, { agent: 'eve' }))
    })

    test('forgetting: the counts, and the names that nobody mentions any more', async () => {
      await bothAnswers((eve) =>
        run(memory.operations.forget, eve, { everything: true, dry_run: true }),
      )
      const { results } = await run(memory.operations.recall, secret, { tags: ['history'] })
      const other = await run(memory.operations.recall, plain, { tags: ['history'] })
      const ids = new Map([
        [secret, results[0]?.id],
        [plain, other.results[0]?.id],
      ])
      const answers: unknown[] = []
      await bothAnswers(async (eve) => {
        const answer = await run(memory.operations.forget, eve, { ids: [ids.get(eve)] })
        answers.push(answer)
        return answer
      })
      expect(answers[0]).toMatchObject({ memories: 1, entities: 1 })
      // The hidden memories mention her still, and are found by it.
      const ada = await agent(names.secret, 'ada')
      const { results: left } = await run(memory.operations.recall, ada, { entity: 'Grace Hopper' })
      expect(left.length).toBeGreaterThan(0)
    })

    test('an id that is hidden and one that never was', async () => {
      const ada = await agent(names.secret, 'ada')
      const { results } = await run(memory.operations.recall, ada, { tags: ['secret'], limit: 1 })
      const id = results[0]?.id ?? ''
      const absent = '01890000-0000-7000-8000-000000000000'
      const read = await run(memory.operations.recall, secret, { ids: [id, absent] })
      expect(read).toMatchObject({ results: [], missing: [id, absent] })
      const forgotten = await run(memory.operations.forget, secret, { ids: [id, absent] })
      expect(forgotten).toMatchObject({ memories: 0, missing: 2 })
      const there = await run(memory.operations.recall, ada, { ids: [id] })
      expect(there.results).toHaveLength(1)
    })

    function host() {
      const unused = (): never => {
        throw new Error('nothing here needs it')
      }
      return {
        ...memory,
        config: { connectorTools: 'off' as const },
        instructions: unused,
        authorize: unused,
        charge: unused,
        events: { onChange: unused },
        secret: unused,
      }
    }
  },
)

describe('an agent that is named as a reader', () => {
  test('exports and forgets what it may see, and its owner misses it then', async () => {
    const owner = await agent('named', 'ada')
    const reader = await agent('named', 'grace')
    const stranger = await agent('named', 'eve')
    const { results } = await run(memory.operations.store, owner, {
      content: 'Grace may read this.',
      access: 'private',
      allowed_agents: ['grace', 'bob', 'grace'],
    })
    const id = results[0]?.id
    const lines = async (who: Principal) =>
      (await run(memory.operations.export, who, {})).content.split('\n').filter(Boolean)
    expect(await lines(stranger)).toEqual([])
    expect(JSON.parse((await lines(reader))[0] ?? '')).toMatchObject({
      id,
      allowed_agents: ['bob', 'grace'],
    })
    expect(await run(memory.operations.forget, stranger, { ids: [id] })).toMatchObject({
      memories: 0,
    })
    expect(await run(memory.operations.forget, reader, { ids: [id] })).toMatchObject({
      memories: 1,
    })
    expect(await lines(owner)).toEqual([])
  })
})

test('an administrator sees, exports and forgets every memory of its namespace', async () => {
  for (const name of ['ada', 'bob']) {
    const who = await agent('administered', name)
    await run(memory.operations.store, who, { content: `Of ${name} alone.`, access: 'private' })
  }
  const root = await admin('administered')
  const exported = await run(memory.operations.export, root, { format: 'markdown' })
  expect(exported.count).toBe(2)
  const { confirm_token: token } = await run(memory.operations.forget, root, { everything: true })
  const forgotten = await run(memory.operations.forget, root, { confirm_token: token })
  expect(forgotten).toMatchObject({ status: 'forgotten', memories: 2 })
})

test('readers beside any other access are refused, since everybody would read it', async () => {
  const ada = await agent('vain', 'ada')
  for (const access of [undefined, 'shared', 'public']) {
    const one = { content: 'For Grace alone?', allowed_agents: ['grace'], access }
    for (const input of [one, { memories: [one] }]) {
      await expect(run(memory.operations.store, ada, input)).rejects.toMatchObject({
        code: 'invalid_input',
      })
    }
  }
})
