/**
 * What one process has acknowledged, the next request on another finds. Two windows on stdio, each a process of
 * its own: on a server each asks the database by itself, on the embedded engine both go to one daemon. `FULL=1`
 * runs the size that the requirement names.
 */
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { run } from '../daemon/program.ts'
import { testEngine } from '../support/database.ts'
import { installProgram, type Installation } from '../support/processes.ts'

const size =
  process.env['FULL'] === '1'
    ? { stores: 10_000, timeoutMs: 7_200_000 }
    : { stores: 120, timeoutMs: 300_000 }
/** Pairs of requests under way at once. */
const lanes = 4

let installation: Installation
const windows: Client[] = []
beforeAll(async () => {
  installation = await installProgram()
  // One after the other: the first makes the store.
  for (let window = 0; window < 2; window += 1) windows.push(await openWindow())
}, 120_000)
afterAll(async () => {
  for (const window of windows) await window.close()
  if (testEngine === 'embedded') {
    await run(installation.main, ['daemon', 'stop'], installation.environment).exit
  }
  await installation.remove()
})

async function openWindow(): Promise<Client> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [installation.main],
    env: { ...installation.environment },
    stderr: 'ignore',
  })
  const client = new Client({ name: 'window', version: '1.0.0' })
  await client.connect(transport)
  return client
}

const results = z.object({
  results: z.array(z.object({ id: z.string(), version: z.int(), content: z.string().optional() })),
})

async function call(window: Client, name: string, input: object) {
  const answer = await window.callTool({ name, arguments: { ...input } })
  if (answer.isError === true) throw new Error(`${name}: ${JSON.stringify(answer.content)}`)
  return results.parse(answer.structuredContent).results
}

test(
  `${size.stores} stores are found by the next recall of another process`,
  { timeout: size.timeoutMs },
  async () => {
    const missed: string[] = []
    let begun = 0
    const pair = async (number: number): Promise<void> => {
      const [one, other] = number % 2 === 0 ? windows : windows.toReversed()
      if (!one || !other) throw new Error('two windows are needed')
      const content = `Crate zq${number} stands in hall ${number % 89}.`
      const [stored] = await call(one, 'store', { content })
      const id = stored?.id ?? ''
      const way =
        number % 3 === 0 ? { ids: [id] } : { query: `Where does crate zq${number} stand?` }
      const found = await call(other, 'recall', way)
      if (found[0]?.id !== id || found[0].content !== content) missed.push(`store ${number}`)
      if (number % 10 > 0) return
      const moved = `Crate zq${number} was moved to the yard.`
      await call(one, 'store', { id, content: moved })
      const [now] = await call(other, 'recall', { ids: [id] })
      if (now?.version !== 2 || now.content !== moved) missed.push(`edit ${number}`)
    }
    const lane = async (): Promise<void> => {
      while (begun < size.stores) await pair((begun += 1))
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    process.stderr.write(
      `store, then recall elsewhere, ${testEngine}: ${begun} stores, ${missed.length} missed\n`,
    )
    expect(missed).toEqual([])
  },
)
