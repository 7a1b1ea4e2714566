/** Private memories between the agents of one installation: whoever may connect is not an administrator. */
import { afterAll, beforeAll, expect, test } from 'vitest'
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
