/** A question to the person at the terminal, before something that cannot be undone. */
import { createInterface } from 'node:readline/promises'

/** A pipe cannot be asked, so it never agrees. */
export async function agrees(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false
  const lines = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return /^y(?:es)?$/iu.test((await lines.question(question)).trim())
  } finally {
    lines.close()
  }
}
