/** Stored values that do not decrypt: left out of an answer and named, so that they take no other with them. */
import { isEnvelopeFailure } from '../crypto/envelope.ts'
import type { AppError } from '../errors.ts'
import { readRevision } from '../namespaces/namespaces.sql.ts'
import type { CommitContext } from '../operation.ts'

/** Ids that an answer names; the count in the log is whole. */
const idsMax = 100

/** One answer's. A value is damaged, was moved here from elsewhere, or was written past the program. */
export class Unreadable {
  readonly #ids = new Set<string>()
  #failure: AppError | undefined

  /** What `open` returns; undefined when a value of this memory does not decrypt, which is then noted. */
  skip<T>(id: string, open: () => T): T | undefined {
    try {
      return open()
    } catch (error) {
      if (!isEnvelopeFailure(error)) throw error
      this.#failure = error
      this.#ids.add(id)
      return undefined
    }
  }

  get count(): number {
    return this.#ids.size
  }

  get ids(): string[] {
    return [...this.#ids].slice(0, idsMax)
  }

  /** Throws AppError `internal`, as reading the value did, when nothing of what was asked for could be read. */
  requireAny(results: readonly unknown[]): void {
    if (results.length === 0 && this.#failure !== undefined) throw this.#failure
  }

  /**
   * Throws likewise when the namespace's settings have changed since they were read: keys may have been
   * wrapped anew in between, and `execute` reads again with the new ones.
   */
  async requireCurrent({ tx, settings }: Pick<CommitContext, 'tx' | 'settings'>): Promise<void> {
    if (this.#failure === undefined) return
    if ((await readRevision(tx, false)) !== settings.revision) throw this.#failure
  }
}
