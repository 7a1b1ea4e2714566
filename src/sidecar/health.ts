/** Health: alive says the process runs, ready says each dependency that it cannot do without does. */

/** One dependency, as `/health/ready` names it. */
export interface Check {
  readonly name: string
  readonly ok: boolean
  /** What is wrong, safe to show: no address, credential or content. */
  readonly detail?: string
  /** Without it requests are answered all the same, with less: no reason to send them elsewhere. */
  readonly optional?: boolean
}

export interface Readiness {
  readonly status: 'ready' | 'not ready' | 'draining'
  readonly checks: readonly Check[]
}

/** A probe that hangs is a failed probe; below the timeout of common orchestrators' own probes. */
const checkMsMax = 3000

/**
 * Runs the checks. Concurrent callers share one run, so that probes cannot load a database that
 * already struggles. Never rejects: a check that throws or hangs is one that failed.
 */
export function createReadiness(
  check: () => Promise<readonly Check[]>,
  timeoutMs = checkMsMax,
): () => Promise<Readiness> {
  let running: Promise<Readiness> | undefined
  return () => {
    running ??= run(check, timeoutMs).finally(() => {
      running = undefined
    })
    return running
  }
}

async function run(check: () => Promise<readonly Check[]>, timeoutMs: number): Promise<Readiness> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<readonly Check[]>((resolve) => {
    timer = setTimeout(
      () => resolve([{ name: 'checks', ok: false, detail: `no answer in ${timeoutMs} ms` }]),
      timeoutMs,
    )
  })
  try {
    const checks = await Promise.race([check(), late])
    const isReady = checks.every(({ ok, optional }) => ok || optional === true)
    return { status: isReady ? 'ready' : 'not ready', checks }
  } catch {
    // Lost: the text of the failure, which may hold an address; the part that failed logs it.
    return { status: 'not ready', checks: [{ name: 'checks', ok: false, detail: 'failed' }] }
  } finally {
    clearTimeout(timer)
  }
}
