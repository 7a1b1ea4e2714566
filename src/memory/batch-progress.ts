/** How far a batch of memories is, in memories. */
import type { PrepareContext } from '../operation.ts'

/** Each memory is derived, embedded and written; a step counts as a third of it. */
const steps = 3

/** Reports for a batch of `total`; all of it is reported once it is written, before it is durable. */
export function batchProgress(context: Pick<PrepareContext, 'progress'>, total: number) {
  const report = (stepsDone: number, done: number): void =>
    context.progress(Math.floor((stepsDone * total + done) / steps), total)
  return {
    derived: (done: number) => report(0, done),
    embedded: (done: number) => report(1, done),
    written: () => report(2, total),
  }
}
