/** One caller's turn on an engine that only serves one at a time: it ends when its caller does not come back. */

import type { AppError } from '../errors.ts'
import { tooSlow } from './faults.ts'
import type { Statements } from './session.ts'

export interface TurnLimits {
  readonly idleTimeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** From when on neither of them ends the turn: COMMIT is on its way. */
  readonly isFinal?: () => boolean
}

/**
 * Statements pass through until the turn ends: with the work, when `signal` aborts, or when the caller
 * pauses longer than `idleTimeoutMs` between two statements. In the latter cases `run` rolls back and throws
 * `timeout`, and whatever the work does later is refused.
 */
export class Turn {
  readonly #inner: Statements
  readonly #limits: TurnLimits
  #ended: AppError | undefined
  #pending = 0
  #idle: NodeJS.Timeout | undefined
  #reject: (error: AppError) => void = () => undefined

  constructor(inner: Statements, limits: TurnLimits) {
    this.#inner = inner
    this.#limits = limits
  }

  async run<T>(work: (statements: Statements) => Promise<T>): Promise<T> {
    const { signal } = this.#limits
    const onAbort = (): void => this.#end('aborted by its caller')
    const cut = new Promise<never>((_, reject) => {
      this.#reject = reject
    })
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true) onAbort()
    try {
      return await Promise.race([
        work({
          query: (text, values) => this.#track(() => this.#inner.query(text, values)),
          simple: (text) => this.#track(() => this.#inner.simple(text)),
        }),
        cut,
      ])
    } catch (error) {
      // The engine runs statements in order, so this comes after whatever the work still has in flight.
      if (this.#ended !== undefined) await this.#inner.simple('rollback').catch(() => undefined)
      throw error
    } finally {
      clearTimeout(this.#idle)
      signal?.removeEventListener('abort', onAbort)
      this.#ended ??= tooSlow('the turn is over')
    }
  }

  async #track<T>(run: () => Promise<T>): Promise<T> {
    if (this.#ended !== undefined) throw this.#ended
    clearTimeout(this.#idle)
    this.#pending += 1
    try {
      return await run()
    } finally {
      this.#pending -= 1
      if (this.#pending === 0 && this.#ended === undefined) {
        this.#idle = setTimeout(() => this.#end('idle in transaction'), this.#limits.idleTimeoutMs)
      }
    }
  }

  #end(reason: string): void {
    if (this.#limits.isFinal?.() === true) return
    this.#ended ??= tooSlow(reason)
    this.#reject(this.#ended)
  }
}
