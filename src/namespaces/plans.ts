/** Plans: how many requests a minute and how much memory a namespace may have. Figures are configured. */

/** Infinity where there is no bound. */
export interface Plan {
  readonly requestsPerMinute: number
  /** Current memories; versions of before do not count. */
  readonly memories: number
  /** Bytes of text, stored versions included, as they lie in the database. */
  readonly bytes: number
}

/** Figures by the name of a plan, as configured. */
export interface PlanFigures {
  readonly requests: Readonly<Record<string, number>>
  readonly memories: Readonly<Record<string, number>>
  readonly megabytes: Readonly<Record<string, number>>
}

export interface Plans {
  /** Plans that a namespace can be put on. */
  readonly names: readonly string[]
  /**
   * The plan of a name. One that the figures do not name any more allows the smallest number of requests
   * that they do: nobody gains by a name that was taken away.
   */
  of(name: string): Plan
}

const megabyte = 1_000_000

export function createPlans({ requests, memories, megabytes }: PlanFigures): Plans {
  const fewest = Math.min(...Object.values(requests))
  return {
    names: Object.keys(requests),
    of: (name) => ({
      requestsPerMinute: requests[name] ?? fewest,
      memories: memories[name] ?? Infinity,
      bytes: (megabytes[name] ?? Infinity) * megabyte,
    }),
  }
}
