/** Ends a run with what was left out, if anything, and one line of counts: `123 passed, 0 failed, 4 skipped`. */

import type { Reporter, TestModule } from 'vitest/node'

/** `leftOut` names what could not run here, such as a database that is not there. */
export default class ClosingLineReporter implements Reporter {
  readonly #leftOut: readonly string[]

  constructor(options: { readonly leftOut?: readonly string[] } = {}) {
    this.#leftOut = options.leftOut ?? []
  }

  /** A file that does not even load counts as one failure, and so does an error outside any test. */
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let [passed, failed, skipped] = [0, unhandledErrors.length, 0]
    for (const module of modules) {
      const tests = [...module.children.allTests()]
      passed += tests.filter((test) => test.result().state === 'passed').length
      failed += tests.filter((test) => test.result().state === 'failed').length
      skipped += tests.filter((test) => test.result().state === 'skipped').length
      const testFailed = tests.some((test) => test.result().state === 'failed')
      if (module.state() === 'failed' && !testFailed) failed += 1
    }
    const line = `${passed} passed, ${failed} failed, ${skipped} skipped`
    const leftOut = this.#leftOut.length === 0 ? '' : `Left out: ${this.#leftOut.join('; ')}\n`
    // After the default reporter's own summary, which it writes when the run ends as well.
    process.once('exit', () => process.stdout.write(`${leftOut}${line}\n`))
  }
}
