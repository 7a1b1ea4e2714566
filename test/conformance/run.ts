/** Runs the suite against the fixtures and against the product, prints both, fails on a regression. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startFixtures } from './fixtures/server.ts'
import { startProduct } from './product.ts'

const revisions = ['2025-11-25', '2026-07-28'] as const
type Revision = (typeof revisions)[number]

/** A server under test: where it listens, and how it stops. */
interface Subject {
  readonly url: string
  close(): Promise<void>
}

/** What the product is known not to answer, with reasons in the file itself. */
function baselineOf(revision: Revision): string {
  return fileURLToPath(new URL(`product-baseline-${revision}.yml`, import.meta.url))
}

/** One run takes about ten seconds; ten minutes mean that something hangs. */
const runMsMax = 600_000

interface Report {
  readonly exitCode: number
  readonly output: string
}

async function runSuite(suite: string, url: string, args: readonly string[]): Promise<Report> {
  const results = mkdtempSync(join(tmpdir(), 'mindglue-conformance-'))
  try {
    const child = spawn(process.execPath, [suite, 'server', '--url', url, ...args, '-o', results], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.on('data', (part: Buffer) => (output += part.toString()))
    child.stderr.on('data', (part: Buffer) => (output += part.toString()))
    const timer = setTimeout(() => child.kill(), runMsMax)
    const exitCode = await new Promise<number>((resolve) => {
      child.on('close', (code) => resolve(code ?? 1))
    })
    clearTimeout(timer)
    return { exitCode, output }
  } finally {
    rmSync(results, { recursive: true, force: true })
  }
}

/** The suite's own summary, without the log of every scenario. */
function summaryOf(output: string): string {
  const start = output.indexOf('=== SUMMARY ===')
  return start === -1 ? output.slice(-4000) : output.slice(start)
}

async function check(
  suite: string,
  title: string,
  start: () => Promise<Subject>,
  argsFor: (revision: Revision) => readonly string[],
): Promise<boolean> {
  let isGood = true
  for (const revision of revisions) {
    const subject = await start()
    try {
      const report = await runSuite(suite, subject.url, argsFor(revision))
      isGood &&= report.exitCode === 0
      const verdict = report.exitCode === 0 ? 'passed' : 'FAILED'
      process.stdout.write(`\n## ${title}, ${revision}: ${verdict}\n${summaryOf(report.output)}\n`)
    } finally {
      await subject.close()
    }
  }
  return isGood
}

const [suite] = process.argv.slice(2)
if (suite === undefined) throw new Error('name the program of the suite')
const fixtures = await check(
  suite,
  'Our HTTP stack with test fixtures',
  async () => {
    const listener = await startFixtures()
    return { url: `${listener.origin}/mcp`, close: () => listener.close() }
  },
  (revision) => ['--requirements', revision],
)
const product = await check(suite, 'The product', startProduct, (revision) => [
  '--requirements',
  revision,
  '--expected-failures',
  baselineOf(revision),
])
process.stdout.write(
  `\nconformance: stack ${fixtures ? 'passed' : 'FAILED'}, product ${product ? 'passed' : 'FAILED'}\n`,
)
process.exitCode = fixtures && product ? 0 : 1
