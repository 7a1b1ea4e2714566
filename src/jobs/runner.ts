/** Runs jobs at their interval, one run of a job at a time in this process; bounded batches are theirs. */
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export interface Job {
  readonly name: string
  readonly everySeconds: number
  /** One bounded run; must stop soon after `signal` aborts. */
  run(signal: AbortSignal): Promise<void>
}

export interface Runner {
  /** Aborts running jobs and waits for them. */
  stop(): Promise<void>
}

export function startJobs(jobs: readonly Job[], log: Log, metrics: Metrics): Runner {
  const stopping = new AbortController()
  const loops = jobs.map(async (job) => {
    while (!stopping.signal.aborted) {
      await pause(job.everySeconds * 1000, stopping.signal)
      if (stopping.signal.aborted) break
      try {
        await job.run(stopping.signal)
      } catch (error) {
        // The next run does what this one could not; nothing depends on a single run.
        metrics.failure('jobs')
        log.warn('job failed', { component: job.name, error })
      }
    }
  })
  return {
    stop: async () => {
      stopping.abort()
      await Promise.all(loops)
    },
  }
}

/** Resolves after `ms` or at once when aborted; does not keep the process alive. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(done, ms).unref()
    signal.addEventListener('abort', done, { once: true })
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
}
