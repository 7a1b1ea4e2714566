/** What one process stores, subscribers of another hear of: over a real Redis. */
import { describe, expect, test } from 'vitest'
import { openChanges, type MemoryChange } from '../../src/jobs/changes.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { until } from '../support/until.ts'

const redisUrl = process.env['TEST_REDIS_URL']
const log = createLog({ level: 'silent' })
const metrics = createMetrics({ version: '0.0.0', namespaces: [] })
const open = (url: string | undefined) => openChanges(url, log, metrics)
const change: MemoryChange = { namespace: 7n, memoryIds: ['a', 'b'], action: 'stored' }

test('a listener of the same process hears a change once, and no more after it ended', async () => {
  const changes = await open(undefined)
  const heard: MemoryChange[] = []
  const end = changes.onChange((event) => heard.push(event))
  changes.publish(change)
  end()
  changes.publish(change)
  expect(heard).toEqual([change])
})

test('a configured Redis that is not there stops the start and says what to do', async () => {
  const failing = open('redis://127.0.0.1:1')
  await expect(failing).rejects.toMatchObject({ code: 'unavailable' })
  await expect(failing).rejects.toThrow('REDIS_URL')
})

describe.skipIf(redisUrl === undefined)('with Redis', () => {
  test('another process hears the change, the publisher hears it once', async () => {
    const [here, there] = [await open(redisUrl), await open(redisUrl)]
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
    await Promise.all([here.close(), there.close()])
  })
})
