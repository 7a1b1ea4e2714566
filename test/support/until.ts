/** Waits for a condition instead of a time. */

import { setTimeout as delay } from 'node:timers/promises'

/**
 * Resolves with the first value of `condition` that is not false, null or undefined; rejects when
 * `timeoutMs` pass first, naming `what`. Errors of the condition count as "not yet" until then.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: { timeoutMs?: number; intervalMs?: number; what?: string } = {},
): Promise<Exclude<T, false | null | undefined>> {
  const { timeoutMs = 5000, intervalMs = 10, what = 'the condition' } = options
  const endsAt = performance.now() + timeoutMs
  let lastError: unknown
  do {
    try {
      const value = await condition()
      if (value !== false && value !== null && value !== undefined) {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the line above excludes these
        return value as Exclude<T, false | null | undefined>
      }
    } catch (error) {
      lastError = error
    }
    await delay(intervalMs)
  } while (performance.now() < endsAt)
  throw new Error(`${what} did not come true within ${timeoutMs} ms`, { cause: lastError })
}
