/** Being told of changes: only of what one may read, in both eras, over HTTP and streams. */
import { Client as ModernClient } from '@modelcontextprotocol/client'
import {
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openChanges } from '../../src/jobs/changes.ts'
import { changeFeed } from '../../src/mcp/subscriptions.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { connections, type Caller } from '../support/clients.ts'
import { testPrincipal } from '../support/principal.ts'
import { until } from '../support/until.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

async function storeIn(namespaceName: string, content: string): Promise<string> {
  const { execute, operations } = app.app
  const who = await app.app.principal({ namespaceName, agent: 'arranger', channel: 'cli' })
  const { results } = await execute(operations.store, who, { content })
  return results[0]?.id ?? ''
}

async function forgetIn(namespaceName: string, id: string): Promise<void> {
  const { execute, operations } = app.app
  const who = await app.app.principal({ namespaceName, agent: 'arranger', channel: 'cli' })
  await execute(operations.forget, who, { ids: [id] })
}

interface Watching {
  readonly updated: string[]
  readonly listChanges: () => number
  /** What the server agreed to announce; in the 2025 era every URI that it did not refuse. */
  readonly honored: readonly string[]
  stop(): Promise<void>
}

async function watch({ client }: Caller, uris: readonly string[]): Promise<Watching> {
  const updated: string[] = []
  let listChanges = 0
  if (client instanceof ModernClient) {
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      updated.push(params.uri)
    })
    client.setNotificationHandler('notifications/resources/list_changed', () => {
      listChanges++
    })
    const subscription = await client.listen({
      resourceSubscriptions: [...uris],
      resourcesListChanged: true,
    })
    const honored = subscription.honoredFilter.resourceSubscriptions ?? []
    return { updated, listChanges: () => listChanges, honored, stop: () => subscription.close() }
  }
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    updated.push(params.uri)
  })
  client.setNotificationHandler(ResourceListChangedNotificationSchema, () => {
    listChanges++
  })
  const honored: string[] = []
  for (const uri of uris) {
    await client.subscribeResource({ uri }).then(
      () => honored.push(uri),
      (error: unknown) => expect(error).toMatchObject({ code: -32_602 }),
    )
  }
  return {
    updated,
    listChanges: () => listChanges,
    honored,
    stop: async () => {
      for (const uri of honored) await client.unsubscribeResource({ uri })
    },
  }
}

test('a change of very many memories is announced as one of the list, not each by itself', async () => {
  const changes = await openChanges(undefined)
  const heard: string[] = []
  const end = changeFeed({ events: changes })(testPrincipal(), (event) => {
    heard.push('uri' in event ? event.uri : event.kind)
  })
  const memoryIds = Array.from({ length: 100_000 }, (_, index) => `id-${index}`)
  changes.publish({ namespace: 1n, memoryIds, action: 'forgotten' })
  expect(heard).toEqual([
    'memory://default/recent',
    'memory://default/brief',
    'resources_list_changed',
  ])
  changes.publish({ namespace: 1n, memoryIds: ['id-1'], action: 'forgotten' })
  expect(heard).toContain('memory://default/id-1')
  end()
})

describe.each(connections)('$name', ({ open, name }) => {
  test('changes of watched resources arrive, those of other namespaces never', async () => {
    const caller = await open(app)
    const own = await storeIn('default', `Watched by ${name}.`)
    const other = await storeIn('default', `Not watched by ${name}.`)
    const foreign = await storeIn('elsewhere', `Foreign to ${name}.`)
    const uris = {
      own: `memory://default/${own}`,
      recent: 'memory://default/recent',
      foreign: `memory://elsewhere/${foreign}`,
      disguised: `memory://default/${foreign}`,
      unknown: 'memory://default/01890000-0000-7000-8000-00000000dead',
    }
    const watching = await watch(caller, Object.values(uris))
    expect(watching.honored).toEqual([uris.own, uris.recent])

    await forgetIn('elsewhere', foreign)
    await forgetIn('default', other)
    await until(() => watching.updated.length > 0)
    // One of the two changes: they come in order, so the foreign one would be here already.
    expect(watching.updated).toEqual([uris.recent])
    await forgetIn('default', own)
    await until(() => watching.updated.includes(uris.own))
    expect(new Set(watching.updated)).toEqual(new Set([uris.own, uris.recent]))
    await until(() => watching.listChanges() > 0)

    await watching.stop()
    const before = watching.updated.length
    const witness = await open(app)
    const seen = await watch(witness, [uris.recent])
    await storeIn('default', `After the end, ${name}.`)
    await until(() => seen.updated.length > 0)
    expect(watching.updated).toHaveLength(before)
    await witness.close()
    await caller.close()
  })

  test('many changes at once announce the list a few times, not each time', async () => {
    const caller = await open(app)
    const watching = await watch(caller, ['memory://default/recent'])
    const count = 12
    for (let index = 0; index < count; index++) {
      await storeIn('default', `Burst ${index} for ${name}.`)
    }
    await until(() => watching.updated.length === count)
    await until(() => watching.listChanges() > 0)
    expect(watching.listChanges()).toBeLessThan(count)
    await watching.stop()
    await caller.close()
  })
})
