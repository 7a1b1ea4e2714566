/** Loads changed copies of sources in processes of their own and asks what they noticed. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { z } from 'zod'
import { copySources, type Site } from './sources.ts'

const run = promisify(execFile)
const outputBytesMax = 64 * 1024 * 1024

/** Runs a program of this folder over `src` with these sites replaced; parses the line that it prints. */
async function runOver(
  program: string,
  replaced: readonly Site[],
  environment: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const { folder, remove } = copySources(replaced)
  const path = `test/hostile/mutation/${program}.ts`
  const options = {
    env: { ...process.env, ...environment, SOURCE_COPY: folder },
    maxBuffer: outputBytesMax,
  }
  try {
    const { stdout } = await run(
      process.execPath,
      ['--import', './test/support/typescript-loader.mjs', path],
      options,
    )
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  } finally {
    remove()
  }
}

const outcomeSchema = z.object({
  /** How each site was noticed to be gone. */
  killed: z.array(z.tuple([z.string(), z.string()])).transform((pairs) => new Map(pairs)),
  /** How often each of the others was tried. */
  open: z.array(z.tuple([z.string(), z.number()])).transform((pairs) => new Map(pairs)),
  /** What is wrong of the product as it is. */
  findings: z.array(z.string()),
})
type Outcome = z.output<typeof outcomeSchema>

/** The whole program with every site marked; `wanted` are taken out in turn. */
export async function runMarked(
  program: 'scope-run' | 'lock-run',
  sites: readonly Site[],
  wanted: readonly Site[],
): Promise<Outcome> {
  const names = wanted.map(({ id }) => id).join(',')
  return outcomeSchema.parse(await runOver(program, sites, { SITES: names }))
}

/** Which bindings are broken without one of them; of the product as it is when left out. */
export async function brokenWithout(site?: Site): Promise<readonly string[]> {
  try {
    return z.array(z.string()).parse(await runOver('binding-run', site ? [site] : []))
  } catch (error) {
    // A program that cannot even start was noticed.
    if (site === undefined) throw error
    return [String(error)]
  }
}
