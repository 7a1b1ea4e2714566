/** What one process stores, subscribers of another hear of: over a real Redis. */
import { describe, expect, test } from 'vitest'
import { openRedis, type RedisBus } from '../../src/database/redis.ts'
import { openChanges, type MemoryChange } from '../../src/jobs/changes.ts'
import { until } from '../support/until.ts'

const redisUrl = process.env['TEST_REDIS_URL']
const openBus = (url: string) => openRedis(url, () => undefined)
const change: MemoryChange = { namespace: 7n, memoryIds: ['a', 'b'], action: 'stored' }

test('a listener of the same process hears a change once, and no more after it ended', async () => {
  const changes = await openChanges(undefined)
  const heard: MemoryChange[] = []
  const end = changes.onChange((event) => heard.push(event))
  changes.publish(change)
  end()
  changes.publish(change)
  expect(heard).toEqual([change])
})

test('a message that is none of ours is ignored and told, and the next one is heard', async () => {
  let deliver: (message: string) => void = () => undefined
  const bus: RedisBus = {
    ping: () => Promise.resolve(),
    publish: () => undefined,
    subscribe: (_channel, onMessage) => {
      deliver = onMessage
      return Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
  let unknown = 0
  const changes = await openChanges(bus, () => unknown++)
  const heard: MemoryChange[] = []
  changes.onChange((event) => heard.push(event))
  const message = { from: 'another', namespace: '7', memoryIds: ['a', 'b'], action: 'stored' }
  const long = Array.from({ length: 501 }, () => 'a')
  const strange = [
    '',
    'not json',
    'null',
    JSON.stringify({ ...message, namespace: 'seven' }),
    JSON.stringify({ ...message, namespace: '7.5' }),
    JSON.stringify({ ...message, memoryIds: long }),
  ]
  for (const text of strange) deliver(text)
  expect([unknown, heard]).toEqual([strange.length, []])
  deliver(JSON.stringify(message))
  expect(heard).toEqual([change])
})

test('a configured Redis that is not there stops the start and says what to do', async () => {
  const failing = openBus('redis://127.0.0.1:1')
  await expect(failing).rejects.toMatchObject({ code: 'unavailable' })
  await expect(failing).rejects.toThrow('REDIS_URL')
})

describe.skipIf(redisUrl === undefined)('with Redis', () => {
  test('another process hears the change, the publisher hears it once', async () => {
    const buses = [await openBus(redisUrl ?? ''), await openBus(redisUrl ?? '')] as const
    const [here, there] = [await openChanges(buses[0]), await openChanges(buses[1])]
    const heardHere: MemoryChange[] = []
    const heardThere: MemoryChange[] = []
    here.onChange((event) => heardHere.push(event))
    there.onChange((event) => heardThere.push(event))
    here.publish(change)
    await until(() => heardThere.length > 0)
    there.publish({ ...change, action: 'forgotten' })
    await until(() => heardHere.length > 1)
    expect(heardHere.map((event) => event.action)).toEqual(['stored', 'forgotten'])
    expect(heardThere).toEqual([change, { ...change, action: 'forgotten' }])
    await Promise.all(buses.map((bus) => bus.close()))
  })
})
