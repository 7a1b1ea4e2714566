/** Turns for a bounded number of workers, first come first served, with a bounded queue and a bounded wait. */

import { AppError } from '../errors.ts'
import { DatabaseFault, overloaded, tooSlow, unreachable } from './faults.ts'

interface Waiter {
  readonly admit: () => void
  readonly refuse: (error: AppError) => void
}

/** No caller waits longer than `waitTimeoutMs`; none overtakes another. */
export class Queue {
  readonly #concurrency: number
  readonly #waitingMax: number
  readonly #waitTimeoutMs: number
  readonly #waiters: Waiter[] = []
  #running = 0
  #closed = false
  #onEmpty: () => void = () => undefined

  constructor(limits: { concurrency: number; waitingMax: number; waitTimeoutMs: number }) {
    this.#concurrency = limits.concurrency
    this.#waitingMax = limits.waitingMax
    this.#waitTimeoutMs = limits.waitTimeoutMs
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiters.length
  }

  /**
   * Resolves to the function that ends the turn. Throws `unavailable` when the queue is full, closed or
   * the wait too long, `timeout` when the signal aborts first.
   */
  async enter(signal?: AbortSignal): Promise<() => void> {
    if (this.#closed) throw unreachable(new DatabaseFault('the database is closed'))
    if (signal?.aborted === true) throw tooSlow('aborted before its turn')
    if (this.#running < this.#concurrency && this.#waiters.length === 0) {
      this.#running += 1
    } else {
      if (this.#waiters.length >= this.#waitingMax) throw overloaded()
      await this.#wait(signal)
    }
    let over = false
    return () => {
      if (over) return
      over = true
      this.#leave()
    }
  }

  /** Refuses those who wait and resolves when the last turn has ended. */
  async close(): Promise<void> {
    this.#closed = true
    for (const waiter of this.#waiters.splice(0)) {
      waiter.refuse(unreachable(new DatabaseFault('the database is closed')))
    }
    if (this.#running === 0) return
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve
    })
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      const waiter: Waiter = {
        admit: () => {
          settle()
          resolve()
        },
        refuse: (error) => {
          settle()
          reject(error)
        },
      }
      const giveUp = (error: AppError): void => {
        const index = this.#waiters.indexOf(waiter)
        if (index !== -1) this.#waiters.splice(index, 1)
        waiter.refuse(error)
      }
      const onAbort = (): void => giveUp(tooSlow('aborted before its turn'))
      const timer = setTimeout(() => giveUp(overloaded()), this.#waitTimeoutMs)
      signal?.addEventListener('abort', onAbort)
      this.#waiters.push(waiter)
    })
  }

  /** The turn passes on without the count ever falling, so that no newcomer slips in between. */
  #leave(): void {
    const next = this.#waiters.shift()
    if (next !== undefined) {
      next.admit()
      return
    }
    this.#running -= 1
    if (this.#running === 0) this.#onEmpty()
  }
}
