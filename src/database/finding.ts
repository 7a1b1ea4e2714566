/** What an inspection of a set-up finds. Types only. */

/** One thing that is wrong, why it matters, and what mends it. */
export interface Finding {
  /** `problem`: isolation or data is at risk and the program must not serve. */
  readonly severity: 'problem' | 'warning'
  readonly check: string
  readonly message: string
  /** A command or statement that mends it. */
  readonly remedy: string
}
