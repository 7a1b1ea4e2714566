/** What a Postgres server does by itself and the embedded engine does not: checkpoints and vacuum. */
import { changeCount } from '../database/changes.sql.ts'
import type { Database } from '../database/database.ts'
import type { Job } from './runner.ts'

/** @param memoriesWritten Memories stored or forgotten by this process. */
export function maintenanceJobs(database: Database, memoriesWritten: () => number): readonly Job[] {
  return [
    analyzeJob(database, memoriesWritten),
    whenChanged(database, 'checkpoint', 60),
    whenChanged(database, 'vacuum', 600),
  ]
}

/**
 * Anything counts: the audit log of a daemon that only answers, a purge, vectors made anew. The first run
 * does what a process that was killed left to do.
 */
function whenChanged(database: Database, task: 'checkpoint' | 'vacuum', everySeconds: number): Job {
  let seen: string | undefined
  return {
    name: task,
    everySeconds,
    run: async () => {
      // Before the task: what is written during it has another one.
      const count = await database.transaction({ readOnly: true }, changeCount)
      if (count === seen) return
      await database.maintain(task)
      seen = count
    },
  }
}

/** Nobody analyzes an embedded database: the planner would take a grown table for an empty one. */
function analyzeJob(database: Database, memoriesWritten: () => number): Job {
  // Each time the memories written by this process doubled: rare once a table is large.
  let next = 100
  return {
    name: 'analyze',
    everySeconds: 5,
    run: async () => {
      if (memoriesWritten() < next) return
      next = memoriesWritten() * 2
      await database.maintain('analyze')
    },
  }
}
