/** Private memories between the agents of one installation: whoever may connect is not an administrator. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeFeed } from '../../src/mcp/subscriptions.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

let running: TestApp
beforeAll(async () => {
  running = await startTestApp()
})
afterAll(() => running.close())

test('an agent that connects sees no private memory of another, the command line sees all', async () => {
  const { app } = running
  const as = (agent: string, channel: 'stdio' | 'mcp-http' | 'cli') =>
    app.principal({ namespaceName: 'private', agent, channel })
  await app.execute(app.operations.store, await as('ada', 'stdio'), {
    content: 'The launch code is under the plant.',
    access: 'private',
  })
  const seen = async (agent: string, channel: 'stdio' | 'mcp-http' | 'cli') => {
    const answer = await app.execute(app.operations.recall, await as(agent, channel), {})
    return answer.results.length
  }
  expect(await seen('ada', 'stdio')).toBe(1)
  expect(await seen('bob', 'stdio')).toBe(0)
  expect(await seen('bob', 'mcp-http')).toBe(0)
  expect(await seen('operator', 'cli')).toBe(1)
})

test('nobody hears of a change of what it may not see, not even that there was one', async () => {
  const { app } = running
  const as = (agent: string, channel: 'stdio' | 'cli' = 'stdio') =>
    app.principal({ namespaceName: 'whispers', agent, channel })
  const heard = new Map<string, string[]>()
  for (const agent of ['ada', 'grace', 'eve', 'operator']) {
    const events: string[] = []
    heard.set(agent, events)
    const who = await as(agent, agent === 'operator' ? 'cli' : 'stdio')
    changeFeed(app)(who, (event) => void events.push('uri' in event ? event.uri : event.kind))
  }
  const counts = () => Object.fromEntries([...heard].map(([name, events]) => [name, events.length]))
  const { results } = await app.execute(app.operations.store, await as('ada'), {
    content: 'Between the two of us.',
    access: 'private',
    allowed_agents: ['grace'],
  })
  const afterStoring = counts()
  expect(afterStoring['eve']).toBe(0)
  for (const agent of ['ada', 'grace', 'operator']) expect(afterStoring[agent]).toBeGreaterThan(2)
  await app.execute(app.operations.forget, await as('grace'), { ids: [results[0]?.id] })
  const afterForgetting = counts()
  expect(afterForgetting['eve']).toBe(0)
  for (const agent of ['ada', 'grace', 'operator']) {
    expect(afterForgetting[agent]).toBeGreaterThan(afterStoring[agent] ?? 0)
  }
  await app.execute(app.operations.store, await as('ada'), { content: 'Between all of us.' })
  expect(counts()['eve']).toBeGreaterThan(2)
})
