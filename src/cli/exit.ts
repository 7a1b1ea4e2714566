/** The end of the process. */

/** Ends the process with this code once stdout is flushed: it may be a pipe that is still written. */
export function exitWith(code: number): void {
  process.exitCode = code
  process.stdout.write('', () => process.exit(code))
}
