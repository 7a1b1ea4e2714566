/** What a Postgres server does by itself and the embedded engine does not: checkpoints and vacuum. */
import type { Database } from '../database/database.ts'
import type { Job } from './runner.ts'

/** Jobs that run only when something was written since they last did. */
export function maintenanceJobs(database: Database, writes: () => number): readonly Job[] {
  return [
    analyzeJob(database, writes),
    whenWritten('checkpoint', 60, writes, () => database.maintain('checkpoint')),
    whenWritten('vacuum', 600, writes, () => database.maintain('vacuum')),
  ]
}

function whenWritten(
  name: string,
  everySeconds: number,
  writes: () => number,
  work: () => Promise<void>,
): Job {
  let seen = 0
  return {
    name,
    everySeconds,
    run: async () => {
      const now = writes()
      if (now === seen) return
      await work()
      seen = now
    },
  }
}

/** Nobody analyzes an embedded database: the planner would take a grown table for an empty one. */
function analyzeJob(database: Database, writes: () => number): Job {
  // Each time the memories written by this process doubled: rare once a table is large.
  let next = 100
  return {
    name: 'analyze',
    everySeconds: 5,
    run: async () => {
      if (writes() < next) return
      next = writes() * 2
      await database.maintain('analyze')
    },
  }
}
