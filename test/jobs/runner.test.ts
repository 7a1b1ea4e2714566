/** What every job may rely on: its turn comes, alone, again after a failure, and not after the end. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startJobs, type Job } from '../../src/jobs/runner.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

let lines: string[] = []
const log = createLog({
  level: 'debug',
  destination: { write: (text: string) => void lines.push(text) },
})
const metrics = createMetrics({ version: '0.0.0', namespaces: [] })

beforeEach(() => {
  lines = []
  vi.useFakeTimers()
})
afterEach(() => vi.useRealTimers())

function job(everySeconds: number, run: Job['run'], name = 'sweep'): Job {
  return { name, everySeconds, run }
}

const seconds = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * 1000)

test('each job runs at its own interval, first after one of them', async () => {
  const runs: string[] = []
  const noting = (name: string, everySeconds: number): Job =>
    job(everySeconds, () => Promise.resolve(void runs.push(name)), name)
  const jobs = startJobs([noting('often', 2), noting('rarely', 5)], log, metrics)
  await seconds(1)
  expect(runs).toEqual([])
  await seconds(5)
  expect(runs).toEqual(['often', 'often', 'rarely', 'often'])
  await jobs.stop()
})

test('a job never runs beside itself, and its interval begins when it is done', async () => {
  let under = 0
  let most = 0
  let runs = 0
  const long = job(1, async () => {
    runs += 1
    under += 1
    most = Math.max(most, under)
    await new Promise((resolve) => setTimeout(resolve, 10_000))
    under -= 1
  })
  const jobs = startJobs([long], log, metrics)
  await seconds(10)
  expect(runs).toBe(1)
  await seconds(2)
  expect([runs, most]).toEqual([2, 1])
  const stopped = jobs.stop()
  await seconds(10)
  await stopped
})

test('a job that fails is counted and logged, has its next turn, and keeps no other from its own', async () => {
  let failures = 0
  let others = 0
  const failing = job(1, () => {
    failures += 1
    return Promise.reject(new Error('the disk is full'))
  })
  const jobs = startJobs(
    [failing, job(1, () => Promise.resolve(void others++), 'other')],
    log,
    metrics,
  )
  await seconds(3)
  expect([failures, others]).toEqual([3, 3])
  expect(lines).toHaveLength(3)
  expect(lines[0]).toContain('job failed')
  expect(lines[0]).toContain('sweep')
  expect(await metrics.text()).toMatch(/jobs"\} 3/u)
  await jobs.stop()
})

test('a job that throws before it is a promise fails alike', async () => {
  let runs = 0
  const throwing = job(1, () => {
    runs += 1
    throw new Error('at once')
  })
  const jobs = startJobs([throwing], log, metrics)
  await seconds(2)
  expect(runs).toBe(2)
  await jobs.stop()
})

test('stopping aborts what runs, waits for it, and nothing runs afterwards', async () => {
  const heard: string[] = []
  const patient = job(1, async (signal) => {
    heard.push('begins')
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    heard.push('aborted')
    await new Promise((resolve) => setTimeout(resolve, 1000))
    heard.push('ended')
  })
  const jobs = startJobs([patient], log, metrics)
  await seconds(1)
  const stopped = jobs.stop().then(() => heard.push('stopped'))
  await seconds(1)
  await stopped
  await seconds(10)
  expect(heard).toEqual(['begins', 'aborted', 'ended', 'stopped'])
})

test('stopping waits for no interval', async () => {
  const never = job(3600, () => Promise.reject(new Error('not due')))
  await startJobs([never], log, metrics).stop()
  expect([lines, vi.getTimerCount()]).toEqual([[], 0])
})
