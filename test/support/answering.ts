/** An `execute` for tests of what stands around it: no database, no checks. */
import type { Execute } from '../../src/execute.ts'

/** Runs nothing: `answer` gets the input, and returns or throws. */
export function answering(answer: (input: unknown) => unknown): Execute {
  const execute = async (_operation: unknown, _principal: unknown, input: unknown) =>
    await Promise.resolve(input).then(answer)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- answers with what the test gives
  return execute as unknown as Execute
}
