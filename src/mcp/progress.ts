/** Progress notifications of one request: increasing, not too many, none after the answer. */
import type { ServerContext } from '@modelcontextprotocol/server'

/** Fewer notifications would feel stuck, more would only cost. */
const intervalMs = 100

export interface ProgressReport {
  /** Does nothing when the client did not ask for progress. */
  report(this: void, done: number, total?: number): void
  /** Sends what was held back; call it before answering. */
  finish(this: void): Promise<void>
}

/** Reports for the request of `context`, if it carries a progress token. */
export function progressOf(context: ServerContext): ProgressReport {
  const progressToken = context.mcpReq._meta?.progressToken
  if (progressToken === undefined) {
    return { report: () => undefined, finish: () => Promise.resolve() }
  }
  let sentAt = 0
  let reached = -1
  let held: { progress: number; total?: number } | undefined
  let sending = Promise.resolve()
  const flush = (): void => {
    if (held === undefined) return
    const params = { progressToken, ...held }
    sentAt = Date.now()
    held = undefined
    sending = sending
      .then(() => context.mcpReq.notify({ method: 'notifications/progress', params }))
      // A client that is gone needs no progress; its request is aborted by the signal.
      .catch(() => undefined)
  }
  return {
    report(done, total) {
      // The protocol asks for increasing values; a second run of `prepare` may report lower ones.
      if (done <= reached) return
      reached = done
      held = { progress: done, ...(total !== undefined && { total }) }
      if (Date.now() - sentAt >= intervalMs) flush()
    },
    finish() {
      flush()
      return sending
    },
  }
}
