/** Metrics: what is counted, under which names, and that labels stay bounded. */
import { expect, test } from 'vitest'
import { createMetrics, type RequestSample } from '../../src/telemetry/metrics.ts'

const sample: RequestSample = {
  operation: 'recall',
  transport: 'stdio',
  outcome: 'ok',
  namespaceName: 'default',
  durationMs: 20,
  stageMs: { embed: 1 },
}

function fresh() {
  return createMetrics({ version: '1.2.3', namespaces: ['default'], processMetrics: false })
}

test('a request is counted and timed, with each of its stages', async () => {
  const metrics = fresh()
  metrics.request(sample)
  metrics.request({ ...sample, outcome: 'not_found' })
  const text = await metrics.text()
  const total = (outcome: string) =>
    `mindglue_requests_total{operation="recall",transport="stdio",outcome="${outcome}",namespace="default"} 1`
  expect(text).toContain(total('ok'))
  expect(text).toContain(total('not_found'))
  expect(text).toContain(
    'mindglue_request_duration_seconds_bucket{le="0.025",operation="recall",transport="stdio",outcome="ok"} 1',
  )
  expect(text).toContain(
    'mindglue_stage_duration_seconds_count{operation="recall",stage="embed"} 2',
  )
  expect(text).toContain('mindglue_build_info{version="1.2.3"} 1')
})

test('a namespace that is not listed is counted as other', async () => {
  const metrics = fresh()
  metrics.request({ ...sample, namespaceName: 'a customer' })
  const text = await metrics.text()
  expect(text).toContain('namespace="other"')
  expect(text).not.toContain('a customer')
})

test('no input can grow the number of series without bound', async () => {
  const metrics = fresh()
  for (let index = 0; index < 1000; index++) {
    metrics.request({ ...sample, operation: `op${index}`, namespaceName: `n${index}`, stageMs: {} })
  }
  metrics.request({ ...sample, operation: 'x"} 1\nfake 1', stageMs: { 'y\n': 1 } })
  const text = await metrics.text()
  expect(
    text.split('\n').filter((line) => line.startsWith('mindglue_requests_total{')),
  ).toHaveLength(
    // 64 operations, and `other` under its two namespaces.
    66,
  )
  expect(text).not.toContain('fake')
})

test('gauges are read at the scrape', async () => {
  const metrics = fresh()
  let inUse = 1
  metrics.observePool(() => ({ inUse, waiting: 3 }))
  metrics.daemonConnections(2)
  metrics.purged(500, 12.5)
  metrics.failure('database')
  expect(await metrics.text()).toContain('mindglue_pool_connections{state="in_use"} 1')
  inUse = 4
  const text = await metrics.text()
  for (const line of [
    'mindglue_pool_connections{state="in_use"} 4',
    'mindglue_pool_connections{state="waiting"} 3',
    'mindglue_daemon_connections 2',
    'mindglue_expired_purged_total 500',
    'mindglue_purge_lag_seconds 12.5',
    'mindglue_errors_total{component="database"} 1',
  ]) {
    expect(text).toContain(line)
  }
})

test('a figure that cannot be read does not take the others with it', async () => {
  const metrics = fresh()
  metrics.observePool(() => Promise.reject(new Error('database is down')))
  metrics.failure('database')
  const text = await metrics.text()
  expect(text).toContain('mindglue_errors_total{component="database"} 1')
  expect(text).not.toContain('state="in_use"')
})

test('two instances in one process do not share figures', async () => {
  const one = createMetrics({ version: '1', namespaces: [] })
  const two = createMetrics({ version: '1', namespaces: [] })
  one.failure('redis')
  expect(await one.text()).toContain('mindglue_errors_total{component="redis"} 1')
  expect(await two.text()).not.toContain('component="redis"')
  expect(await two.text()).toContain('process_cpu_user_seconds_total')
})
